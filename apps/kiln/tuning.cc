#include "apps/kiln/tuning.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/clock.h"
#include "cost_model/cost_model.h"

namespace kiln {
namespace {

TuneOptions OptionsOf(const TuningPlan& plan, TimeKind kind) {
  TuneOptions tune;
  tune.policy = plan.policy;
  tune.seed = plan.seed;
  tune.batch = plan.batch;
  tune.cache = plan.cache;
  tune.kind = kind;
  tune.plan.threads = plan.threads;
  tune.plan.cache = plan.cache;
  if (kind == TimeKind::kEstimated) tune.finalists = 0;  // an estimate made again is the same
  if (AllowsNoTrial(plan.budget)) tune.finalists = 0;
  return tune;
}

std::unique_ptr<CostModel> ModelFor(const TuningPlan& plan) {
  if (!PolicyLearns(plan.policy)) return NewNullCostModel();
  return NewXgboostCostModel({.seed = plan.seed});
}

}  // namespace

bool AllowsNoTrial(const Budget& budget) {
  return budget.trials == 0 || budget.trials_per_task == 0;
}

std::int64_t TrialsExpected(const TuningPlan& plan) {
  const Budget& budget = plan.budget;
  if (!budget.trials_per_task && !budget.trials) return 0;
  std::int64_t sum = 0;
  for (const WeightedTask& each : plan.tasks) {
    const auto size = static_cast<std::int64_t>(each.task.space().size());
    sum += std::min(size, budget.trials_per_task.value_or(size));
  }
  return std::min(sum, budget.trials.value_or(sum));
}

Session NewSession(const std::string& command, std::uint64_t seed) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  Session session;
  session.started_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                           SystemClock().Today().time_since_epoch())
                           .count();
  session.command = command;
  session.seed = seed;
  session.host = host;
  return session;
}

StatusOr<double> PeakFor(const TuningPlan& plan, Rig& rig, TuningStore& store) {
  if (rig.kind() != TimeKind::kMeasured) return 0;
  if (AllowsNoTrial(plan.budget)) {
    ASSIGN_OR_RETURN(const std::optional<double> stored,
                     store.PeakOf(plan.target.name, plan.threads));
    return stored.value_or(0);
  }
  ASSIGN_OR_RETURN(const MeasuredDots dots, MeasureDots(rig, plan.target, plan.threads));
  RETURN_IF_ERROR(store.AppendPeak(dots.peak));
  return dots.peak.gops;
}

StatusOr<std::vector<TaskResult>> RunTuning(const TuningPlan& plan, Rig& rig, TuningStore& store,
                                            const TuningObserver& observer) {
  const std::unique_ptr<CostModel> model = ModelFor(plan);
  const std::unique_ptr<TaskScheduler> scheduler =
      plan.scheduler == "gradient" ? NewGradientScheduler() : NewRoundRobinScheduler();
  Tuner tuner({rig.measurer(), rig.expected(), store, *model, *scheduler, SystemClock()},
              OptionsOf(plan, rig.kind()), plan.budget);
  // The tuner asks for the first time when it has read what is stored.
  const auto stop = [&] {
    if (observer.before_round) observer.before_round();
    return rig.interrupt().requested();
  };
  return tuner.Tune(plan.tasks, stop, observer.event);
}

}  // namespace kiln
