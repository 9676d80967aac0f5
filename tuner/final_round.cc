#include "tuner/final_round.h"

#include <algorithm>

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

// What an earlier run confirmed as the best, if this space still has it.
StatusOr<std::optional<Trial>> ConfirmedBest(const FinalRound& with, const Task& task) {
  BestQuery query;
  query.workload = Key(task.workload());
  query.target = task.target().name;
  query.threads = task.threads();
  query.cache = with.cache;
  ASSIGN_OR_RETURN(const std::vector<Best> bests, with.store.Bests(query));
  for (const Best& best : bests) {
    const auto config = task.space().FromLabels(best.record.labels);
    if (!best.confirmed || !config.ok()) continue;
    Trial trial = best.record.trial;
    trial.config = *config;
    return std::optional<Trial>(std::move(trial));
  }
  return std::optional<Trial>();
}

std::vector<Config> Finalists(const FinalRound& with, const TaskSession& session,
                              const std::optional<Trial>& incumbent) {
  std::vector<Trial> fastest = session.measured();
  std::ranges::stable_sort(fastest, {}, [](const Trial& trial) { return *RankTime(trial); });
  fastest.resize(std::min(fastest.size(), static_cast<std::size_t>(with.finalists)));
  std::vector<Config> finalists;
  const auto add = [&](const Config& config) {
    if (std::ranges::find(finalists, config) == finalists.end()) finalists.push_back(config);
  };
  for (const Trial& trial : fastest) add(trial.config);
  if (incumbent && FindTrial(session.measured(), incumbent->config)) add(incumbent->config);
  add(DefaultConfig(session.task()));
  return finalists;
}

}  // namespace

void RecallDefault(const TaskSession& session, TaskResult& result) {
  const Trial* trial = FindTrial(session.measured(), DefaultConfig(session.task()));
  if (trial != nullptr) result.default_ns = RankTime(*trial);
}

Status RunFinalRound(const FinalRound& with, const TaskSession& session, TaskResult& result) {
  RecallDefault(session, result);
  if (!result.best) return absl::OkStatus();
  const Task& task = session.task();
  ASSIGN_OR_RETURN(const std::optional<Trial> incumbent, ConfirmedBest(with, task));
  if (incumbent && session.fresh() == 0) {
    result.best = incumbent;
    return absl::OkStatus();
  }
  const std::vector<Config> configs = Finalists(with, session, incumbent);
  const MeasureRequest request{task,      {},           with.expected.CasesFor(task.workload()),
                               with.plan, std::nullopt, 0};
  ASSIGN_OR_RETURN(const auto trials, MeasureInTurns(with.measurer, request, configs));
  std::vector<Trial> stored;  // a default that the search never tried is only compared with
  for (const Trial& trial : trials) {
    if (trial.config == DefaultConfig(task)) result.default_ns = RankTime(trial);
    if (FindTrial(session.measured(), trial.config) == nullptr) continue;
    RETURN_IF_ERROR(with.store.AppendConfirmation(task, with.cache, trial));
    stored.push_back(trial);
  }
  if (const auto winner = ChooseWinner(task, stored)) result.best = stored[*winner];
  return absl::OkStatus();
}

}  // namespace kiln
