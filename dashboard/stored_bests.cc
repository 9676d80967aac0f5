#include "dashboard/stored_bests.h"

#include <map>
#include <memory>
#include <utility>

#include "kernels_templates/achievable_bound.h"
#include "kernels_templates/task.h"
#include "measure/figures.h"
#include "ops/target.h"
#include "ops/workload_key.h"
#include "ops/workload_words.h"

namespace kiln {
namespace {

// What takes the task to say.
Status AskTask(const TemplateRegistry& registry, const TuningStore& store, const Target& target,
               StoredBest& stored) {
  const TrialRecord& record = stored.best.record;
  stored.stale = true;
  const auto kernel_template = registry.Find(record.kernel_template);
  if (!kernel_template.ok()) return {};
  const StatusOr<Task> task =
      Task::Create(*kernel_template, {*stored.workload, target, record.threads});
  if (!task.ok()) return {};
  stored.stale = !CurrentConfig(*task, record.labels, record.trial.code_digest).ok();
  const Config untuned = (*kernel_template)->Default(task->spec(), task->space());
  stored.configs = task->space().size();
  stored.untuned.emplace();
  stored.untuned->labels = task->space().Labels(untuned);
  ASSIGN_OR_RETURN(stored.untuned->judged, DefaultBeside(store, *task, stored.best));
  return {};
}

// Asks the store once for each.
class Peaks {
 public:
  explicit Peaks(const TuningStore& store) : store_(store) {}
  StatusOr<std::optional<double>> Of(const std::string& target, std::int32_t threads) {
    const auto [it, is_new] = known_.try_emplace({target, threads});
    if (is_new) {
      ASSIGN_OR_RETURN(it->second, store_.PeakOf(target, threads));
    }
    return it->second;
  }

 private:
  const TuningStore& store_;
  std::map<std::pair<std::string, std::int32_t>, std::optional<double>> known_;
};

// How near it is to what its machine can do, as far as a stored peak says so.
Status AskPeak(Peaks& peaks, const std::optional<Target>& target, StoredBest& stored) {
  const TrialRecord& record = stored.best.record;
  if (stored.best.judged.kind != TimeKind::kMeasured) return {};  // as peaks are
  ASSIGN_OR_RETURN(const std::optional<double> peak, peaks.Of(record.target, record.threads));
  if (!peak) return {};
  stored.peak_share = ShareOfPeak(stored.gops, *peak);
  if (!target) return {};
  const InstructionSet& set = RichestSet(target->isa);
  const AchievableBound bound = LayerBound(*stored.workload, set, LimitsOfPeak(set, *peak));
  stored.bound_share = ShareOfBound(bound.ns(), *RankTime(stored.best.judged));
  return {};
}

}  // namespace

TargetLookup NewTargetLookup() {
  auto known = std::make_shared<std::map<std::string, std::optional<Target>>>();
  return [known](const std::string& name) {
    const auto [it, is_new] = known->try_emplace(name);
    if (is_new) {
      const StatusOr<Target> native = DetectNative();
      if (native.ok() && native->name == name) {
        it->second = *native;
      } else if (StatusOr<Target> found = FindTarget(name); found.ok()) {
        it->second = *std::move(found);
      }
    }
    return it->second;
  };
}

std::optional<double> StoredBest::untuned_ns() const {
  return untuned && untuned->judged ? RankTime(*untuned->judged) : std::nullopt;
}

std::optional<double> StoredBest::gain() const { return Gain(untuned_ns(), RankTime(best.judged)); }

StatusOr<std::vector<StoredBest>> DescribeBests(const TemplateRegistry& registry,
                                                const TargetLookup& targets,
                                                const TuningStore& store, std::vector<Best> bests) {
  Peaks peaks(store);
  std::vector<StoredBest> result;
  for (Best& best : bests) {
    StoredBest& stored = result.emplace_back();
    stored.best = std::move(best);
    const StatusOr<Workload> workload = ParseWorkload(stored.best.record.workload);
    stored.stale = !workload.ok();
    if (!workload.ok()) continue;
    stored.workload = *workload;
    stored.gops = Gops(*workload, *RankTime(stored.best.judged));
    const std::optional<Target> target = targets(stored.best.record.target);
    if (target) RETURN_IF_ERROR(AskTask(registry, store, *target, stored));
    RETURN_IF_ERROR(AskPeak(peaks, target, stored));
  }
  return result;
}

}  // namespace kiln
