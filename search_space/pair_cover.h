#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "search_space/config_space.h"

// Few configs of a space in which together every two labels occur that any legal config has
// together: a fault of two knobs that random configs seldom meet is met by one of them.
// Source: pairwise testing; Cohen, Dalal, Fredman, Patton, The AETG System, IEEE TSE 23 (1997).

namespace kiln {

// A choice of one knob together with one of a later knob; of a space with one knob only, a choice
// with itself.
struct ChoicePair {
  std::size_t first_knob = 0, second_knob = 0;
  std::uint16_t first_choice = 0, second_choice = 0;
  bool operator==(const ChoicePair&) const = default;
};

struct PairCover {
  std::vector<Config> configs;
  std::size_t pairs = 0;         // that some legal config has
  std::vector<ChoicePair> left;  // of them, those that no config of `configs` has
};

// At most `most` configs (from 1). Those with the rarest pairs come first, so that a few configs of
// a large space have what random ones lack. The same `rng` gives the same configs. Looks at every
// config of the space once: about 0.1 s for 100,000.
PairCover CoverPairs(const ConfigSpace& space, std::size_t most, Rng rng);

}  // namespace kiln
