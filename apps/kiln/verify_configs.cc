#include "apps/kiln/verify_configs.h"

#include <algorithm>
#include <set>

#include "apps/kiln/config_choice.h"
#include "base/digest.h"

namespace kiln {

StatusOr<DrawnConfigs> DrawConfigs(const Task& task, const std::optional<Config>& best,
                                   const ConfigDraw& draw) {
  const ConfigSpace& space = task.space();
  DrawnConfigs drawn;
  if (!draw.config.empty()) {
    ASSIGN_OR_RETURN(drawn.configs.emplace_back(), FindConfig(task, draw.config));
    return drawn;
  }
  std::set<Config> chosen;
  if (best) chosen.insert(*best);
  chosen.insert(task.kernel_template().Default(task.spec(), space));
  Rng rng(draw.seed ^ Digest(task.Key()));
  if (draw.pair_configs > 0) {
    drawn.cover = CoverPairs(space, draw.pair_configs, rng);
    chosen.insert(drawn.cover->configs.begin(), drawn.cover->configs.end());
  } else {
    const std::size_t wanted = std::min<std::uint64_t>(space.size(), chosen.size() + draw.samples);
    while (chosen.size() < wanted) chosen.insert(space.Sample(rng));
  }
  drawn.configs.assign(chosen.begin(), chosen.end());
  return drawn;
}

PairReport ReportPairs(const ConfigSpace& space, const DrawnConfigs& drawn) {
  const auto word = [&](std::size_t knob, std::size_t choice) {
    return space.knobs()[knob].name + "=" + space.knobs()[knob].values[choice].label;
  };
  PairReport report;
  for (const Config& config : drawn.configs)
    report.configs.push_back(DescribeConfig(space.Labels(config)));
  if (!drawn.cover) return report;
  for (const ChoicePair& pair : drawn.cover->left) {
    report.left.push_back(word(pair.first_knob, pair.first_choice) + " " +
                          word(pair.second_knob, pair.second_choice));
  }
  report.all = drawn.cover->pairs;
  report.covered = report.all - report.left.size();
  return report;
}

}  // namespace kiln
