#include "tuner/task_scheduler.h"

#include <gtest/gtest.h>

#include <limits>

namespace kiln {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();

TaskProgress Progress(double weight, std::vector<double> best_ns) {
  TaskProgress progress;
  progress.weight = weight;
  progress.trials = 16 * static_cast<std::int64_t>(best_ns.size());
  progress.best_ns = std::move(best_ns);
  return progress;
}

TEST(RoundRobinSchedulerTest, TheTaskWithTheFewestTrialsIsNext) {
  const auto scheduler = NewRoundRobinScheduler();
  std::vector<TaskProgress> tasks(3);
  EXPECT_EQ(scheduler->Next(tasks), 0U);
  tasks[0].trials = 16;
  EXPECT_EQ(scheduler->Next(tasks), 1U);
  tasks[1].trials = tasks[2].trials = 32;
  EXPECT_EQ(scheduler->Next(tasks), 0U);
}

TEST(SchedulerTest, FinishedTasksGetNothing) {
  for (const auto& scheduler : {NewRoundRobinScheduler(), NewGradientScheduler()}) {
    std::vector<TaskProgress> tasks = {Progress(1, {100}), Progress(1, {10})};
    tasks[0].finished = true;
    EXPECT_EQ(scheduler->Next(tasks), 1U);
    tasks[1].finished = true;
    EXPECT_EQ(scheduler->Next(tasks), std::nullopt);
    EXPECT_EQ(scheduler->Next({}), std::nullopt);
  }
}

TEST(GradientSchedulerTest, EveryTaskGetsAFirstBatch) {
  const auto scheduler = NewGradientScheduler();
  std::vector<TaskProgress> tasks = {Progress(1000, {1e6, 1e5}), Progress(1, {})};
  EXPECT_EQ(scheduler->Next(tasks), 1U);
}

TEST(GradientSchedulerTest, ATaskWhoseFirstBatchIsUnderWayWaits) {
  const auto scheduler = NewGradientScheduler();
  std::vector<TaskProgress> tasks = {Progress(1, {}), Progress(1, {100})};
  tasks[0].trials = 16;
  EXPECT_EQ(scheduler->Next(tasks), 1U);
  tasks[1].finished = true;
  EXPECT_EQ(scheduler->Next(tasks), 0U);
}

TEST(GradientSchedulerTest, WeightAndTimeDecideBetweenEquallyTunedTasks) {
  const auto scheduler = NewGradientScheduler();
  EXPECT_EQ(scheduler->Next(std::vector{Progress(1, {100}), Progress(5, {100})}), 1U);
  EXPECT_EQ(scheduler->Next(std::vector{Progress(1, {900}), Progress(5, {100})}), 0U);
}

TEST(GradientSchedulerTest, ATaskThatStillGainsGoesBeforeOneThatDoesNot) {
  const auto scheduler = NewGradientScheduler();
  const std::vector tasks = {Progress(1, {100, 100, 100, 100}), Progress(1, {200, 160, 120, 100})};
  EXPECT_EQ(scheduler->Next(tasks), 1U);
}

TEST(GradientSchedulerTest, ATaskFarBelowItsFamilysThroughputIsWorthTrials) {
  const auto scheduler = NewGradientScheduler();
  std::vector tasks = {Progress(1, {100, 100, 100, 100}), Progress(1, {100, 100, 100, 100})};
  tasks[0].family = tasks[1].family = "conv2d.avx2";
  tasks[0].work = 1e6;
  tasks[1].work = 1e4;  // as slow with a hundredth of the work
  EXPECT_EQ(scheduler->Next(tasks), 1U);
  tasks[1].family = "depthwise.avx2";  // nothing to compare with
  EXPECT_EQ(scheduler->Next(tasks), 0U);
}

TEST(GradientSchedulerTest, ATaskWithoutResultComesFirstButNotForever) {
  const auto scheduler = NewGradientScheduler();
  EXPECT_EQ(scheduler->Next(std::vector{Progress(9, {100}), Progress(1, {kNone})}), 1U);
  EXPECT_EQ(
      scheduler->Next(std::vector{Progress(9, {100}), Progress(1, {kNone, kNone, kNone, kNone})}),
      0U);
}

}  // namespace
}  // namespace kiln
