#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/status.h"

namespace kiln {

// One value of a knob. Records keep the label, so adding a value changes no old record; templates
// compute with the number.
struct KnobValue {
  std::string label;  // "2x4", "ring", "8"
  std::int64_t value = 0;
};

// One tunable choice: a name and the ordered values that it may take, at most 65,535. Names and
// labels are words for people and records: not empty, without '=' and ';'.
struct Knob {
  std::string name;
  std::vector<KnobValue> values;
};

// A knob whose labels are its numbers.
Knob IntKnob(std::string name, const std::vector<std::int64_t>& values);
// A knob of named choices, numbered from 0.
Knob ChoiceKnob(std::string name, std::vector<std::string> labels);

// A choice for every knob, by position in Knob::values. A plain value: it compares and hashes, and
// means nothing without its ConfigSpace.
struct Config {
  std::vector<std::uint16_t> choice;
  auto operator<=>(const Config&) const = default;  // NOLINT(modernize-use-nullptr)
  template <typename H>
  friend H AbslHashValue(H state, const Config& config) {
    return H::combine(std::move(state), config.choice);
  }
};

// A config as people and records have it: knob names and labels.
using ConfigLabels = std::vector<std::pair<std::string, std::string>>;

// The stable name of a config: 16 hex digits of "name=label;..." with the names sorted, so neither
// the order of knobs nor values added to a space change it.
std::string ConfigId(std::span<const std::pair<std::string, std::string>> labels);

// A rule that legal configs keep, over the values of some knobs. `reason` completes "illegal,
// because".
struct Constraint {
  std::string reason;              // "the accumulators do not fit 32 registers"
  std::vector<std::string> knobs;  // in the order in which `holds` takes their values
  std::function<bool(std::span<const std::int64_t>)> holds;  // the same for the same values
};

// The legal configs of one workload: illegal ones are never generated. All of them are enumerated
// when the space is made (a constraint prunes as soon as the last of its knobs is set, so order
// knobs such that constraints bind early), hence its size is exact and a config has an index.
// Immutable; cheap to copy; safe to share between threads. 8 bytes per legal config.
class ConfigSpace {
 public:
  ConfigSpace();  // no knobs, one config

  // kInvalidArgument: a knob without values, a name or label used twice, a constraint over an
  // unknown knob, more than kMaxSize legal configs, or more than kMaxVisits partial ones looked at;
  // kFailedPrecondition: no legal config at all, with the rules that removed the last candidates.
  static StatusOr<ConfigSpace> Create(std::vector<Knob> knobs, std::vector<Constraint> constraints);
  static constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 22;
  static constexpr std::uint64_t kMaxVisits = std::uint64_t{1} << 26;

  std::span<const Knob> knobs() const;
  std::span<const Constraint> constraints() const;
  std::uint64_t size() const;                         // legal configs
  Config At(std::uint64_t index) const;               // index < size(), in lexicographic order
  bool Contains(const Config& config) const;          // legal here?
  std::uint64_t IndexOf(const Config& config) const;  // of a legal config

  // The value or label that `config` gives to a knob. Asserts that the knob exists.
  std::int64_t Value(const Config& config, std::string_view knob) const;
  const std::string& Label(const Config& config, std::string_view knob) const;

  Config Sample(Rng& rng) const;                               // uniform over the legal configs
  std::vector<Config> Neighbours(const Config& config) const;  // legal, one knob differs
  // The legal config that agrees with most knobs of `wish`; among equals the one whose first knob
  // is nearest (in positions), then the second, and so on. `wish` has a choice for every knob and
  // may be illegal or out of range.
  Config Nearest(const Config& wish) const;

  // Labels of a config, and back. kNotFound names a knob or label that this space does not have, or
  // a knob that the labels lack; kInvalidArgument: a knob twice; kFailedPrecondition: illegal here,
  // with the reasons.
  ConfigLabels Labels(const Config& config) const;
  StatusOr<Config> FromLabels(std::span<const std::pair<std::string, std::string>> labels) const;
  std::string Id(const Config& config) const;  // ConfigId of its labels

 private:
  struct Rep;
  explicit ConfigSpace(std::shared_ptr<const Rep> rep);
  std::shared_ptr<const Rep> rep_;
};

}  // namespace kiln
