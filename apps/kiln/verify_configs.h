#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/kiln/command.h"
#include "search_space/pair_cover.h"

namespace kiln {

// How `kiln verify` chooses configs of a task.
struct ConfigDraw {
  std::string config;            // this one alone, as FindConfig reads it; empty: see the others
  std::size_t samples = 10;      // random ones
  std::size_t pair_configs = 0;  // above 0: instead of random ones at most so many that cover pairs
  std::uint64_t seed = 0;
};

struct DrawnConfigs {
  std::vector<Config> configs;     // all different
  std::optional<PairCover> cover;  // where pairs were asked for
};

// Beside the drawn ones the default and `best`, if there is one. Errors as FindConfig.
StatusOr<DrawnConfigs> DrawConfigs(const Task& task, const std::optional<Config>& best,
                                   const ConfigDraw& draw);

// What they cover of the pairs of labels, in words: for people and scripts.
struct PairReport {
  std::size_t covered = 0, all = 0;
  std::vector<std::string> left;     // "tile_h=2 pixels=4"
  std::vector<std::string> configs;  // as DescribeConfig has them
};
PairReport ReportPairs(const ConfigSpace& space, const DrawnConfigs& drawn);

}  // namespace kiln
