#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "search_space/config_space.h"

namespace kiln {

// A config as one number: mixed radix, the first knob most significant, so that numeric order is
// lexicographic order of the choices. weights[k] is what one step of knob k adds.
struct MixedRadix {
  std::vector<std::uint64_t> weights;
  std::uint64_t combinations = 1;  // legal or not
};

// kInvalidArgument: the knobs or their combinations are not well formed (ConfigSpace::Create).
StatusOr<MixedRadix> NumberConfigs(std::span<const Knob> knobs);

// A constraint with its knobs resolved to positions.
struct BoundConstraint {
  const Constraint* constraint = nullptr;
  std::vector<std::size_t> knobs;  // in the order in which `holds` takes them
  std::size_t last = 0;            // the largest of them: where it can first be checked
};

// kInvalidArgument: a constraint over nothing, over an unknown knob, or without a rule.
StatusOr<std::vector<BoundConstraint>> BindConstraints(std::span<const Knob> knobs,
                                                       std::span<const Constraint> constraints);

// The codes of all legal configs, ascending. Errors as ConfigSpace::Create.
StatusOr<std::vector<std::uint64_t>> EnumerateLegal(std::span<const Knob> knobs,
                                                    std::span<const BoundConstraint> constraints,
                                                    const MixedRadix& radix);

}  // namespace kiln
