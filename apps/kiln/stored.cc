#include "apps/kiln/stored.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "apps/command_line/command_line.h"
#include "base/standard_streams.h"
#include "kernels_templates/achievable_bound.h"
#include "measure/figures.h"
#include "ops/target.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

// A stored name may be that of this machine, of a data file, or of a machine that nobody here knows:
// nullopt.
std::optional<Target> TargetOf(const std::string& name) {
  const StatusOr<Target> native = DetectNative();
  if (native.ok() && native->name == name) return *native;
  StatusOr<Target> known = FindTarget(name);
  if (known.ok()) return *std::move(known);
  return std::nullopt;
}

// What takes the task to say: whether it is stale, and what it gained.
Status AskTask(const Environment& env, const TuningStore& store, const Target& target,
               StoredBest& stored) {
  const TrialRecord& record = stored.best.record;
  stored.stale = true;
  const auto kernel_template = env.registry.Find(record.kernel_template);
  if (!kernel_template.ok()) return {};
  const StatusOr<Task> task =
      Task::Create(*kernel_template, {*stored.workload, target, record.threads});
  if (!task.ok()) return {};
  stored.stale = !CurrentConfig(*task, record.labels, record.trial.code_digest).ok();
  ASSIGN_OR_RETURN(stored.default_ns, DefaultTimeBeside(store, *task, stored.best));
  stored.gain = Gain(stored.default_ns, RankTime(stored.best.judged));
  return {};
}

// How near it is to what its machine can do, as far as a stored peak says so.
Status AskPeak(const TuningStore& store, const std::optional<Target>& target, StoredBest& stored) {
  const TrialRecord& record = stored.best.record;
  if (stored.best.judged.kind != TimeKind::kMeasured) return {};  // as peaks are
  ASSIGN_OR_RETURN(const std::optional<double> peak, store.PeakOf(record.target, record.threads));
  if (!peak) return {};
  stored.peak_share = ShareOfPeak(stored.gops, *peak);
  if (!target) return {};
  const InstructionSet& set = RichestSet(target->isa);
  const AchievableBound bound = LayerBound(*stored.workload, set, LimitsOfPeak(set, *peak));
  stored.bound_share = ShareOfBound(bound.ns(), *RankTime(stored.best.judged));
  return {};
}

}  // namespace

StatusOr<std::vector<StoredBest>> ReadBests(const Environment& env, const TuningStore& store,
                                            const BestQuery& query) {
  ASSIGN_OR_RETURN(std::vector<Best> bests, store.Bests(query));
  std::map<std::string, std::optional<Target>> targets;
  std::vector<StoredBest> result;
  for (Best& best : bests) {
    StoredBest& stored = result.emplace_back();
    stored.best = std::move(best);
    const TrialRecord& record = stored.best.record;
    const auto [target, is_new] = targets.try_emplace(record.target);
    if (is_new) target->second = TargetOf(record.target);
    const StatusOr<Workload> workload = ParseWorkload(record.workload);
    stored.stale = !workload.ok();
    if (!workload.ok()) continue;
    stored.workload = *workload;
    stored.gops = Gops(*workload, *RankTime(stored.best.judged));
    if (target->second) RETURN_IF_ERROR(AskTask(env, store, *target->second, stored));
    RETURN_IF_ERROR(AskPeak(store, target->second, stored));
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
