#include "tuner/final_round.h"

#include <algorithm>
#include <set>

#include "tuner/confirmation.h"

namespace kiln {
namespace {

Config DefaultConfig(const Task& task) {
  return task.kernel_template().Default(task.spec(), task.space());
}

const Trial* FindTrial(std::span<const Trial> trials, const Config& config) {
  const auto found = std::ranges::find(trials, config, &Trial::config);
  return found == trials.end() ? nullptr : &*found;
}

struct Incumbent {
  Trial trial;
  bool confirmed = false;
};

// The store's best of this task, as it did in the measurement that decided.
StatusOr<std::optional<Incumbent>> StoredBest(const FinalRound& with, const Task& task) {
  ASSIGN_OR_RETURN(const std::optional<Best> best,
                   BestFor(with.store, task, with.cache, with.kind));
  if (!best) return std::optional<Incumbent>();
  Incumbent incumbent{best->judged, best->confirmed};
  ASSIGN_OR_RETURN(incumbent.trial.config, task.space().FromLabels(best->record.labels));
  return std::optional<Incumbent>(std::move(incumbent));
}

// Without those that are known to take hosts down, as the default may be.
StatusOr<std::vector<Config>> Finalists(const FinalRound& with, const TaskSession& session,
                                        const std::optional<Incumbent>& incumbent) {
  ASSIGN_OR_RETURN(const std::set<Config> killers, HostKillers(with.store, session.task()));
  std::vector<Trial> fastest = session.measured();
  std::erase_if(fastest, [&](const Trial& trial) { return killers.contains(trial.config); });
  std::ranges::stable_sort(fastest, {}, [](const Trial& trial) { return *RankTime(trial); });
  fastest.resize(std::min(fastest.size(), static_cast<std::size_t>(with.finalists)));
  std::vector<Config> finalists;
  const auto add = [&](const Config& config) {
    if (killers.contains(config)) return;
    if (std::ranges::find(finalists, config) == finalists.end()) finalists.push_back(config);
  };
  for (const Trial& trial : fastest) add(trial.config);
  if (incumbent) add(incumbent->trial.config);
  add(DefaultConfig(session.task()));
  return finalists;
}

StatusOr<std::vector<Trial>> Compare(const FinalRound& with, const TaskSession& session,
                                     std::span<const Config> finalists) {
  const Task& task = session.task();
  const MeasureRequest request{
      task, {}, with.expected.CasesFor(task.workload()), with.plan, std::nullopt, 0, with.kind};
  return MeasureInTurns(with.measurer, request, finalists, with.stop);
}

}  // namespace

StatusOr<bool> RecallStored(const FinalRound& with, const TaskSession& session,
                            TaskResult& result) {
  const Trial* trial = FindTrial(session.measured(), DefaultConfig(session.task()));
  if (trial != nullptr) result.default_ns = RankTime(*trial);
  if (!result.best || session.fresh() > 0) return false;
  ASSIGN_OR_RETURN(const auto incumbent, StoredBest(with, session.task()));
  if (!incumbent || !incumbent->confirmed) return false;
  result.best = incumbent->trial;
  return true;
}

Status RunFinalRound(const FinalRound& with, const TaskSession& session, TaskResult& result) {
  ASSIGN_OR_RETURN(const bool is_confirmed, RecallStored(with, session, result));
  if (is_confirmed || !result.best) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto incumbent, StoredBest(with, session.task()));
  const Config untuned = DefaultConfig(session.task());
  ASSIGN_OR_RETURN(const auto finalists, Finalists(with, session, incumbent));
  if (with.begins && !finalists.empty()) with.begins();
  ASSIGN_OR_RETURN(const auto trials, Compare(with, session, finalists));
  for (const Trial& trial : trials) {
    // A default that the search never tried is only compared with.
    if (FindTrial(session.measured(), trial.config) == nullptr) continue;
    RETURN_IF_ERROR(with.store.AppendConfirmation(session.task(), with.cache, trial));
  }
  ASSIGN_OR_RETURN(const auto chosen, StoredBest(with, session.task()));
  result.best = chosen ? std::optional(chosen->trial) : std::nullopt;
  for (const Trial& trial : trials) {
    const bool beside_best = !result.best || trial.device == result.best->device;
    if (trial.config == untuned && beside_best) result.default_ns = RankTime(trial);
  }
  if (!result.best) result.note = "every finalist failed when it was measured again";
  return absl::OkStatus();
}

}  // namespace kiln
