#pragma once

#include <functional>

#include "tuner/task_session.h"

namespace kiln {

// What the final round of a task works with.
struct FinalRound {
  Measurer& measurer;
  ExpectedOutputs& expected;
  TuningStore& store;
  CacheState cache = CacheState::kHot;
  TimeKind kind = TimeKind::kMeasured;
  MeasurePlan plan;
  std::int32_t finalists = 5;
  std::function<bool()> stop;    // asked often while something is measured
  std::function<void()> begins;  // told before anything is measured, unless there is nothing to
};

// Chooses the best config of a task: the fastest of the search, the store's best of any run and
// the untuned default are measured in turns (confirmation.h), the measurements are stored, and
// `result` gets the winner and the default's time. A task without new trials whose best is
// confirmed already is left at that. Blocks. kCancelled: `stop` returned true before all was measured;
// the result is what RecallStored() makes of it.
Status RunFinalRound(const FinalRound& with, const TaskSession& session, TaskResult& result);

// What a final round finds out without measuring: the default's time as the search has it, and the
// best that an earlier run confirmed, if there are no new trials. True: there is such a best.
StatusOr<bool> RecallStored(const FinalRound& with, const TaskSession& session, TaskResult& result);

}  // namespace kiln
