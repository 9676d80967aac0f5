#include "apps/kiln/stored.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "apps/command_line/command_line.h"
#include "base/standard_streams.h"
#include "ops/target.h"
#include "ops/workload_key.h"

namespace kiln {
StatusOr<std::vector<StoredBest>> ReadBests(const Environment& env, const TuningStore& store,
                                            const BestQuery& query) {
  ASSIGN_OR_RETURN(std::vector<Best> bests, store.Bests(query));
  return DescribeBests(env.registry, NewTargetLookup(), store, std::move(bests));
}

StatusOr<std::string> StoredTarget(const TuningStore& store, const std::string& option) {
  const StatusOr<Target> known = TargetOption(option);
  if (known.ok()) return known->name;
  ASSIGN_OR_RETURN(const auto records, store.Records({.target = option}));
  if (records.empty()) return known.status();
  return option;
}

Status TellUnknownWorkloads(const TuningStore& store) {
  constexpr std::size_t kNamed = 3;
  ASSIGN_OR_RETURN(const std::vector<UnknownWorkload> unknown, store.UnknownWorkloads());
  if (unknown.empty()) return {};
  std::int64_t trials = 0;
  for (const UnknownWorkload& workload : unknown) trials += workload.trials;
  WriteError(
      fmt::format("note: {} trials of {} workloads have keys that this version does not know:\n",
                  trials, unknown.size()));
  for (const UnknownWorkload& workload :
       std::span(unknown).first(std::min(kNamed, unknown.size()))) {
    WriteError(fmt::format("  {}: {}\n", workload.workload, workload.why));
  }
  if (unknown.size() > kNamed) WriteError(fmt::format("  and {} more\n", unknown.size() - kNamed));
  return {};
}

Status TellFormerKeys(const TuningStore& store, const Network& network) {
  for (const WeightedWorkload& unique : UniqueWorkloads(network)) {
    const std::optional<std::string> former = FormerKey(unique.workload);
    if (!former) continue;
    ASSIGN_OR_RETURN(const auto own, store.Records({.workload = Key(unique.workload)}));
    if (!own.empty()) continue;
    ASSIGN_OR_RETURN(const auto left, store.Records({.workload = *former}));
    if (left.empty()) continue;
    WriteError(fmt::format(
        "note: {} trials are left behind under the former key of {}, which does not say all of "
        "this "
        "layer ({}); `kiln history --workload {}` shows them\n",
        left.size(), unique.layers.empty() ? Describe(unique.workload) : unique.layers.front(),
        Key(unique.workload), *former));
  }
  return {};
}

StatusOr<std::optional<Config>> StoredConfig(const TuningStore& store, const Task& task,
                                             CacheState cache) {
  ASSIGN_OR_RETURN(const std::optional<Best> best, BestFor(store, task, cache));
  if (!best) return std::optional<Config>();
  ASSIGN_OR_RETURN(Config config, task.space().FromLabels(best->record.labels));
  return std::optional<Config>(std::move(config));
}

}  // namespace kiln
