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
namespace {

// Whether lowering the record today gives the code that was measured.
bool IsCurrent(const Environment& env, const TrialRecord& record, const Workload& workload,
               const Target& target) {
  const auto kernel_template = env.registry.Find(record.kernel_template);
  if (!kernel_template.ok()) return false;
  const StatusOr<Task> task = Task::Create(*kernel_template, {workload, target, record.threads});
  if (!task.ok()) return false;
  return CurrentConfig(*task, record.labels, record.trial.code_digest).ok();
}

}  // namespace

StatusOr<std::vector<StoredBest>> ReadBests(const Environment& env, const TuningStore& store,
                                            const BestQuery& query) {
  ASSIGN_OR_RETURN(std::vector<Best> bests, store.Bests(query));
  // A stored name may be that of this machine, of a data file, or of a machine that nobody here
  // knows.
  std::map<std::string, std::optional<Target>> targets;
  const auto target_of = [&](const std::string& name) -> const std::optional<Target>& {
    const auto [it, is_new] = targets.try_emplace(name);
    if (is_new) {
      const StatusOr<Target> native = DetectNative();
      if (native.ok() && native->name == name) {
        it->second = *native;
      } else if (StatusOr<Target> known = FindTarget(name); known.ok()) {
        it->second = *std::move(known);
      }
    }
    return it->second;
  };
  std::vector<StoredBest> result;
  for (Best& best : bests) {
    const TrialRecord& record = best.record;
    StoredBest stored;
    const StatusOr<Workload> workload = ParseWorkload(record.workload);
    const std::optional<Target>& target = target_of(record.target);
    stored.stale = !workload.ok() || (target && !IsCurrent(env, record, *workload, *target));
    if (workload.ok()) {
      stored.gops = Gops(*workload, std::get<Timings>(best.judged.outcome).min_ns());
      ASSIGN_OR_RETURN(const std::optional<double> peak,
                       store.PeakOf(record.target, record.threads));
      const bool comparable = best.judged.kind == TimeKind::kMeasured;  // as peaks are
      if (comparable && peak && *peak > 0) stored.peak_share = stored.gops / *peak;
    }
    stored.best = std::move(best);
    result.push_back(std::move(stored));
  }
  return result;
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
