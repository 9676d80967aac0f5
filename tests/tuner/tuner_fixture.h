#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/tuner/fake_measurer.h"
#include "tuner/tuner.h"

namespace kiln::testing {

// Nothing to compute: synthetic kernels have no outputs.
class NoExpectedOutputs final : public ExpectedOutputs {
 public:
  std::vector<RunCase> CasesFor(const Workload&) override { return {RunCase{}}; }
};

// One tuning run after another on the same store.
class TunerTest : public ::testing::Test {
 protected:
  StatusOr<std::vector<TaskResult>> Tune(
      Measurer& measurer, const std::function<bool()>& stop = {},
      const std::function<void(const TuneEvent&)>& observe = {}) {
    const auto model = NewXgboostCostModel({});
    const auto scheduler = NewGradientScheduler();
    Tuner tuner({measurer, expected_, *store_, *model, *scheduler, *clock_}, options_, budget_);
    return tuner.Tune(tasks_, stop, observe);
  }

  std::vector<Trial> History(std::size_t task) {
    return *store_->History(tasks_[task].task, options_.cache);
  }

  std::vector<WeightedTask> tasks_ = {{SyntheticTask(64, 14), 3}, {SyntheticTask(256, 7), 1}};
  TuneOptions options_{.finalists = 0};
  Budget budget_{.trials = 120};
  std::unique_ptr<TuningStore> store_ = NewMemoryStore();
  const Clock* clock_ = &SystemClock();
  NoExpectedOutputs expected_;
};

}  // namespace kiln::testing
