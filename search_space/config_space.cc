#include "search_space/config_space.h"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <limits>
#include <numeric>
#include <sstream>

#include "base/digest.h"
#include "search_space/enumeration.h"

namespace kiln {
namespace {

using Labelled = std::pair<std::string, std::string>;

std::string Spelled(std::span<const Labelled* const> sorted) {
  std::string text;
  for (const Labelled* pair : sorted) {
    text.append(pair->first).append("=").append(pair->second).append(";");
  }
  return text;
}

template <typename Range, typename Projection>
std::string Joined(const Range& range, Projection text) {
  std::string joined;
  for (const auto& item : range) joined.append(joined.empty() ? "" : ", ").append(text(item));
  return joined;
}

}  // namespace

Knob IntKnob(std::string name, const std::vector<std::int64_t>& values) {
  Knob knob{std::move(name), {}};
  for (const std::int64_t value : values) knob.values.push_back({std::to_string(value), value});
  return knob;
}

Knob ChoiceKnob(std::string name, std::vector<std::string> labels) {
  Knob knob{std::move(name), {}};
  for (std::string& label : labels) {
    const auto number = static_cast<std::int64_t>(knob.values.size());
    knob.values.push_back({std::move(label), number});
  }
  return knob;
}

std::string ConfigId(std::span<const Labelled> labels) {
  std::vector<const Labelled*> sorted;
  for (const Labelled& pair : labels) sorted.push_back(&pair);
  std::ranges::sort(sorted, {},
                    [](const Labelled* pair) -> const std::string& { return pair->first; });
  return Hex(Digest(Spelled(sorted)));
}

struct ConfigSpace::Rep {
  std::vector<Knob> knobs;
  std::vector<Constraint> constraints;
  std::vector<BoundConstraint> bound;  // points into `constraints`
  MixedRadix radix;
  std::vector<std::uint64_t> codes = {0};  // of the legal configs, ascending

  std::uint64_t Encode(const Config& config) const {
    std::uint64_t code = 0;
    for (std::size_t k = 0; k < knobs.size(); ++k) code += config.choice[k] * radix.weights[k];
    return code;
  }

  Config Decode(std::uint64_t code) const {
    Config config{std::vector<std::uint16_t>(knobs.size())};
    for (std::size_t k = 0; k < knobs.size(); ++k) {
      config.choice[k] = static_cast<std::uint16_t>(code / radix.weights[k]);
      code %= radix.weights[k];
    }
    return config;
  }

  bool InRange(const Config& config) const {
    if (config.choice.size() != knobs.size()) return false;
    for (std::size_t k = 0; k < knobs.size(); ++k) {
      if (config.choice[k] >= knobs[k].values.size()) return false;
    }
    return true;
  }

  bool Has(std::uint64_t code) const { return std::ranges::binary_search(codes, code); }

  const KnobValue& ValueOf(const Config& config, std::string_view name) const {
    const auto knob = std::ranges::find(knobs, name, &Knob::name);
    assert(knob != knobs.end() && "no such knob");
    return knob->values[config.choice[static_cast<std::size_t>(knob - knobs.begin())]];
  }

  // Why a config in range is illegal: the reasons of all the rules that it breaks.
  std::string Offences(const Config& config) const {
    std::string reasons;
    for (const BoundConstraint& rule : bound) {
      std::vector<std::int64_t> arguments;
      for (const std::size_t k : rule.knobs) {
        arguments.push_back(knobs[k].values[config.choice[k]].value);
      }
      if (rule.constraint->holds(arguments)) continue;
      reasons.append(reasons.empty() ? "" : "; ").append(rule.constraint->reason);
    }
    return reasons;
  }
};

ConfigSpace::ConfigSpace() {
  static const auto empty = std::make_shared<const Rep>();
  rep_ = empty;
}

ConfigSpace::ConfigSpace(std::shared_ptr<const Rep> rep) : rep_(std::move(rep)) {}

StatusOr<ConfigSpace> ConfigSpace::Create(std::vector<Knob> knobs,
                                          std::vector<Constraint> constraints) {
  auto rep = std::make_shared<Rep>();
  rep->knobs = std::move(knobs);
  rep->constraints = std::move(constraints);
  ASSIGN_OR_RETURN(rep->radix, NumberConfigs(rep->knobs));
  ASSIGN_OR_RETURN(rep->bound, BindConstraints(rep->knobs, rep->constraints));
  ASSIGN_OR_RETURN(rep->codes, EnumerateLegal(rep->knobs, rep->bound, rep->radix));
  return ConfigSpace(std::move(rep));
}

std::span<const Knob> ConfigSpace::knobs() const { return rep_->knobs; }
std::span<const Constraint> ConfigSpace::constraints() const { return rep_->constraints; }
std::uint64_t ConfigSpace::size() const { return rep_->codes.size(); }

Config ConfigSpace::At(std::uint64_t index) const {
  assert(index < size());
  return rep_->Decode(rep_->codes[index]);
}

bool ConfigSpace::Contains(const Config& config) const {
  return rep_->InRange(config) && rep_->Has(rep_->Encode(config));
}

std::uint64_t ConfigSpace::IndexOf(const Config& config) const {
  assert(Contains(config));
  const auto at = std::ranges::lower_bound(rep_->codes, rep_->Encode(config));
  return static_cast<std::uint64_t>(at - rep_->codes.begin());
}

std::int64_t ConfigSpace::Value(const Config& config, std::string_view knob) const {
  return rep_->ValueOf(config, knob).value;
}

const std::string& ConfigSpace::Label(const Config& config, std::string_view knob) const {
  return rep_->ValueOf(config, knob).label;
}

Config ConfigSpace::Sample(Rng& rng) const { return At(rng.Below(size())); }

std::vector<Config> ConfigSpace::Neighbours(const Config& config) const {
  assert(rep_->InRange(config));
  const std::uint64_t code = rep_->Encode(config);
  std::vector<Config> neighbours;
  for (std::size_t k = 0; k < rep_->knobs.size(); ++k) {
    const std::uint64_t without = code - config.choice[k] * rep_->radix.weights[k];
    for (std::size_t i = 0; i < rep_->knobs[k].values.size(); ++i) {
      if (i == config.choice[k] || !rep_->Has(without + i * rep_->radix.weights[k])) continue;
      neighbours.push_back(config);
      neighbours.back().choice[k] = static_cast<std::uint16_t>(i);
    }
  }
  return neighbours;
}

namespace {

// Branch and bound over the ascending codes, seen as a tree with a level per knob: children are
// tried in order of distance to the wish, so the first config found with a number of disagreements
// is the nearest of those, and only fewer disagreements are worth going on for.
class NearestSearch {
 public:
  NearestSearch(std::span<const Knob> knobs, const MixedRadix& radix, const Config& wish)
      : knobs_(knobs), radix_(radix), wish_(wish) {}

  std::uint64_t Run(std::span<const std::uint64_t> codes) {
    Visit(0, 0, codes, 0);
    return best_;
  }

 private:
  // `codes`: those that begin with `prefix`, the choices of the first `depth` knobs.
  void Visit(std::size_t depth, std::uint64_t prefix, std::span<const std::uint64_t> codes,
             std::size_t disagreements) {
    if (codes.empty() || disagreements >= fewest_) return;
    if (depth == knobs_.size()) {
      fewest_ = disagreements;
      best_ = prefix;
      return;
    }
    for (const std::size_t i : ByDistance(depth)) {
      const std::uint64_t from = prefix + i * radix_.weights[depth];
      const auto begin = std::ranges::lower_bound(codes, from);
      const auto end = std::lower_bound(begin, codes.end(), from + radix_.weights[depth]);
      Visit(depth + 1, from, {begin, end}, disagreements + (i == wish_.choice[depth] ? 0 : 1));
    }
  }

  std::vector<std::size_t> ByDistance(std::size_t depth) const {
    std::vector<std::size_t> order(knobs_[depth].values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const std::size_t wish = wish_.choice[depth];
    std::ranges::stable_sort(order, {},
                             [wish](std::size_t i) { return i > wish ? i - wish : wish - i; });
    return order;
  }

  std::span<const Knob> knobs_;
  const MixedRadix& radix_;
  const Config& wish_;
  std::size_t fewest_ = std::numeric_limits<std::size_t>::max();
  std::uint64_t best_ = 0;
};

}  // namespace

Config ConfigSpace::Nearest(const Config& wish) const {
  assert(wish.choice.size() == rep_->knobs.size());
  return rep_->Decode(NearestSearch(rep_->knobs, rep_->radix, wish).Run(rep_->codes));
}

ConfigLabels ConfigSpace::Labels(const Config& config) const {
  assert(rep_->InRange(config));
  ConfigLabels labels;
  for (std::size_t k = 0; k < rep_->knobs.size(); ++k) {
    labels.emplace_back(rep_->knobs[k].name, rep_->knobs[k].values[config.choice[k]].label);
  }
  return labels;
}

StatusOr<Config> ConfigSpace::FromLabels(std::span<const Labelled> labels) const {
  const std::vector<Knob>& knobs = rep_->knobs;
  Config config{std::vector<std::uint16_t>(knobs.size())};
  std::vector<bool> given(knobs.size());
  for (const auto& [name, label] : labels) {
    const auto knob = std::ranges::find(knobs, name, &Knob::name);
    if (knob == knobs.end()) {
      return Error(StatusCode::kNotFound, "no knob '", name, "'; there are ",
                   Joined(knobs, [](const Knob& k) { return k.name; }));
    }
    const auto value = std::ranges::find(knob->values, label, &KnobValue::label);
    if (value == knob->values.end()) {
      return Error(StatusCode::kNotFound, "knob '", name, "' has no value '", label, "'; it has ",
                   Joined(knob->values, [](const KnobValue& v) { return v.label; }));
    }
    const auto k = static_cast<std::size_t>(knob - knobs.begin());
    if (given[k]) {
      return Error(StatusCode::kInvalidArgument, "the knob '", name, "' is given twice");
    }
    given[k] = true;
    config.choice[k] = static_cast<std::uint16_t>(value - knob->values.begin());
  }
  if (const auto missing = std::ranges::find(given, false); missing != given.end()) {
    const auto k = static_cast<std::size_t>(missing - given.begin());
    return Error(StatusCode::kNotFound, "the config says nothing of the knob '", knobs[k].name,
                 "'");
  }
  if (!Contains(config)) {
    return Error(StatusCode::kFailedPrecondition, "the config is illegal here, because ",
                 rep_->Offences(config));
  }
  return config;
}

std::string ConfigSpace::Id(const Config& config) const { return ConfigId(Labels(config)); }

}  // namespace kiln
