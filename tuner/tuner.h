#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cost_model/cost_model.h"
#include "db/tuning_store.h"
#include "measure/measurer.h"
#include "tuner/search_policy.h"
#include "tuner/task_scheduler.h"

namespace kiln {

// When to stop. Trials already stored count. Unset: no limit.
struct Budget {
  std::optional<std::int64_t> trials = std::nullopt;  // over all tasks
  std::optional<std::int64_t> trials_per_task = std::nullopt;
  // A task ends after so many trials without gain.
  std::optional<std::int64_t> early_stop = std::nullopt;
  std::optional<SteadyTime> deadline = std::nullopt;
};

struct TuneOptions {
  std::string policy = "kiln";
  std::uint64_t seed = 0;
  std::int32_t batch = 16;
  // Batch b is proposed by what is known of batches up to b - 2: one is measured while the next is
  // thought of. Policies with a barrier (search_policy.h) get 1.
  std::int32_t batches_in_flight = 2;
  CacheState cache = CacheState::kHot;
  // Of all times: stored ones of another kind do not count, but estimates are hints to a run of
  // another kind.
  TimeKind kind = TimeKind::kMeasured;
  MeasurePlan plan;                  // its cut_off_ns is set per batch
  std::int32_t finalists = 5;        // re-measured interleaved at the end; 0: none
  std::int32_t errors_in_a_row = 3;  // of the measurer, not of configs: then the tuning ends
};

// One task and how often its network runs it.
struct WeightedTask {
  Task task;
  double weight = 1;
};

// What an observer of the tuning is told. Called on the tuner's thread.
//   kResumed     trials of earlier runs were found, if any
//   kTrial       a trial is stored
//   kConfirming  the search is over, the comparing of finalists begins, with those of this task; once
//                in a run, and never where there is nothing to compare
//   kConfirmed   the finalists of a task were compared: the winner
//   kTaskDone    nothing more will be done for the task
struct TuneEvent {
  enum class Kind : std::uint8_t { kResumed, kTrial, kConfirming, kConfirmed, kTaskDone };
  Kind kind = Kind::kTrial;
  std::size_t task = 0;          // index
  const Trial* trial = nullptr;  // kTrial, kConfirmed
  const TaskProgress* progress = nullptr;
};

// Why a task has fewer trials than were asked for.
//   kSpaceUsedUp  every config was tried
//   kNoGain       the budget's early_stop
//   kTime         the budget's deadline
//   kStopped      `stop` returned true
//   kErrors       trials could not be made, and there is nothing to make in their place
enum class Shortfall : std::uint8_t { kNone, kSpaceUsedUp, kNoGain, kTime, kStopped, kErrors };

struct TaskResult {
  std::int64_t trials = 0, ok = 0, censored = 0, failed = 0, resumed = 0;
  std::optional<Trial> best;         // confirmed where there were finalists
  std::optional<double> default_ns;  // the untuned default, measured beside the finalists
  // Spearman, of predictions made before measuring against measured speeds, all batches together;
  // a censored trial counts with its bound. Unset: the policy predicts nothing.
  std::optional<double> rank_correlation;
  std::string note;  // why there is no best
  Shortfall shortfall = Shortfall::kNone;
  std::string shortfall_words;  // "all 42 configs were tried"
};

// This tunes the tasks of a network: docs/architecture.md walks through a round. Borrows its
// collaborators.
class Tuner {
 public:
  struct Collaborators {
    Measurer& measurer;
    ExpectedOutputs& expected;
    TuningStore& store;
    CostModel& model;
    TaskScheduler& scheduler;
    const Clock& clock;
  };
  Tuner(Collaborators collaborators, TuneOptions options, Budget budget);

  // Until the budget is used up or `stop` returns true (asked often). Then, and when the time is up,
  // the measurer withdraws what has not begun: it counts as never made, and what runs on a device is
  // still stored. After a stop nothing is confirmed any more, and a comparison that has begun is
  // given up. With a deadline, no batch is longer than
  // what fits by the pace of this run. An error: nothing can be measured or stored any more; finished
  // trials are stored all the same. The tasks are different from each other.
  StatusOr<std::vector<TaskResult>> Tune(std::span<const WeightedTask> tasks,
                                         const std::function<bool()>& stop,
                                         const std::function<void(const TuneEvent&)>& observe);

 private:
  Collaborators with_;
  TuneOptions options_;
  Budget budget_;
};

}  // namespace kiln
