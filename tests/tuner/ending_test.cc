// How a tuning ends that is told to, or whose time is up.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/tuner/tuner_fixture.h"

namespace kiln::testing {
namespace {

class SettableClock final : public Clock {
 public:
  SteadyTime Now() const override { return SteadyTime(std::chrono::seconds(seconds.load())); }
  WallTime Today() const override { return WallTime(std::chrono::seconds(seconds.load())); }
  std::atomic<int> seconds = 0;
};

bool IsOfFinalRound(const MeasureRequest& request) { return request.plan.samples == 2; }

class EndingTest : public TunerTest {
 protected:
  struct Ended {
    StatusOr<std::vector<TaskResult>> results;
    std::vector<MeasureRequest> submitted;
    std::vector<MeasureRequest> begun;
    std::vector<TuneEvent::Kind> events;
    int withdrawals = 0;
  };
  // A tuning that is ended, by `end`, while the trial of this number (of those that count, from 1) runs,
  // which it does until something is withdrawn.
  Ended TuneUntil(int trial, const std::function<void()>& end,
                  const std::function<bool(const MeasureRequest&)>& counts) {
    Ended ended;
    FakeMeasurer* self = nullptr;
    int count = 0;
    FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [&](const MeasureRequest& request) {
      ended.begun.push_back(request);
      if (counts(request) && ++count == trial) {
        end();
        EXPECT_TRUE(self->AwaitWithdrawal());
      }
      return FakeMeasurer::Exact(request);
    });
    self = &measurer;
    ended.results = Tune(
        measurer, [this] { return stop_.load(); },
        [&](const TuneEvent& event) { ended.events.push_back(event.kind); });
    ended.submitted = measurer.submitted();
    ended.withdrawals = measurer.withdrawals();
    return ended;
  }

  Ended TuneUntilStoppedAt(int trial) {
    stop_ = false;
    auto ended = TuneUntil(
        trial, [this] { stop_ = true; }, [](const MeasureRequest&) { return true; });
    stop_ = false;
    return ended;
  }

  // What is stored, by task and config.
  std::set<std::pair<std::size_t, Config>> Distinct() {
    std::set<std::pair<std::size_t, Config>> distinct;
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      for (const Trial& trial : History(i)) distinct.emplace(i, trial.config);
    }
    return distinct;
  }
  std::size_t Stored() {
    std::size_t stored = 0;
    for (std::size_t i = 0; i < tasks_.size(); ++i) stored += History(i).size();
    return stored;
  }

  std::atomic<bool> stop_ = false;
};

TEST_F(EndingTest, StopWithdrawsWhatHasNotBegun) {
  options_.policy = "random";
  const Ended ended = TuneUntilStoppedAt(20);
  ASSERT_TRUE(ended.results.ok()) << ended.results.status();
  EXPECT_GE(ended.submitted.size(), 32U) << "nothing was there to withdraw";
  EXPECT_EQ(ended.begun.size(), 20U);
  EXPECT_EQ(ended.withdrawals, 1);
  EXPECT_EQ(Stored(), 20U) << "what ran is stored";
  EXPECT_EQ((*ended.results)[0].trials + (*ended.results)[1].trials, 20);
  for (const TaskResult& result : *ended.results) {
    EXPECT_EQ(result.shortfall, Shortfall::kStopped);
    EXPECT_EQ(result.shortfall_words, "it was interrupted");
  }
}

TEST_F(EndingTest, AStopIsSeenWhileTheLastBatchesAreMeasured) {
  options_.policy = "random";
  budget_.trials = 32;  // there is nothing more to think of
  const Ended ended = TuneUntilStoppedAt(20);
  ASSERT_TRUE(ended.results.ok()) << ended.results.status();
  EXPECT_EQ(Stored(), 20U);
  EXPECT_EQ((*ended.results)[0].shortfall, Shortfall::kStopped) << "12 trials are short";
}

TEST_F(EndingTest, TheDeadlineWithdrawsWhatHasNotBegun) {
  SettableClock clock;
  clock_ = &clock;
  options_.policy = "random";
  budget_ = {.trials = 120, .deadline = SteadyTime(std::chrono::seconds(100))};
  const Ended ended = TuneUntil(
      20, [&] { clock.seconds = 100; }, [](const MeasureRequest&) { return true; });
  ASSERT_TRUE(ended.results.ok()) << ended.results.status();
  EXPECT_GE(ended.submitted.size(), 32U) << "nothing was there to withdraw";
  EXPECT_EQ(Stored(), 20U);
  EXPECT_EQ((*ended.results)[0].shortfall, Shortfall::kTime);
}

TEST_F(EndingTest, BatchNearTheDeadlineIsShort) {
  SettableClock clock;  // a second per trial
  clock_ = &clock;
  options_.policy = "random";
  budget_ = {.deadline = SteadyTime(std::chrono::seconds(100))};
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [&](const MeasureRequest& request) {
    ++clock.seconds;
    return FakeMeasurer::Exact(request);
  });
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  // 100 is no multiple of a batch's 16.
  EXPECT_EQ(measurer.submitted().size(), 100U);
  EXPECT_EQ(Stored(), 100U) << "something had to be withdrawn";
}

TEST_F(EndingTest, ResumeAfterWithdrawalMakesEachTrialOnce) {
  for (const std::string_view policy : SearchPolicyNames()) {
    SCOPED_TRACE(policy);
    options_.policy = policy;
    store_ = NewMemoryStore();
    ASSERT_TRUE(TuneUntilStoppedAt(9).results.ok());
    ASSERT_EQ(Stored(), 9U);
    const Ended second = TuneUntilStoppedAt(30);
    ASSERT_TRUE(second.results.ok());
    ASSERT_EQ(Stored(), 39U);
    FakeMeasurer last;
    const auto results = Tune(last);
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ((*results)[0].resumed + (*results)[1].resumed, 39);
    EXPECT_EQ((*results)[0].trials + (*results)[1].trials, 120);
    EXPECT_EQ(last.submitted().size(), 81U);
    EXPECT_EQ(Distinct().size(), 120U);
  }
}

TEST_F(EndingTest, WhatWasWithdrawnIsMadeByALaterRun) {
  tasks_ = {{SyntheticTask(64, 14, {.small = true}), 1}};
  const std::uint64_t all = tasks_[0].task.space().size();
  ASSERT_GT(all, 40U);
  budget_ = {};
  for (const std::string_view policy : {"grid", "kiln"}) {
    SCOPED_TRACE(policy);
    options_.policy = policy;
    store_ = NewMemoryStore();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(TuneUntilStoppedAt(5).results.ok());
    ASSERT_EQ(Stored(), 15U);
    FakeMeasurer last;
    ASSERT_TRUE(Tune(last).ok());
    EXPECT_EQ(Stored(), all);
    EXPECT_EQ(Distinct().size(), all);
  }
}

TEST_F(EndingTest, ResumeAfterWithdrawalIsRepeatable) {
  std::vector<std::vector<std::pair<std::string, Config>>> sequences;
  for (int i = 0; i < 2; ++i) {
    store_ = NewMemoryStore();
    ASSERT_TRUE(TuneUntilStoppedAt(30).results.ok());
    FakeMeasurer last;
    ASSERT_TRUE(Tune(last).ok());
    sequences.emplace_back();
    for (const MeasureRequest& request : last.submitted()) {
      sequences.back().emplace_back(request.task.Key(), request.config);
    }
  }
  EXPECT_EQ(sequences[0], sequences[1]);
}

TEST_F(EndingTest, ConfirmingIsToldOnceAfterTheSearch) {
  options_.finalists = 3;
  std::vector<TuneEvent::Kind> events;
  const auto observe = [&](const TuneEvent& event) {
    events.push_back(event.kind);
    if (event.kind == TuneEvent::Kind::kConfirming) {
      EXPECT_EQ(event.task, 0U);
    }
  };
  FakeMeasurer measurer;
  ASSERT_TRUE(Tune(measurer, {}, observe).ok());
  using Kind = TuneEvent::Kind;
  std::vector<Kind> expected(120, Kind::kTrial);
  expected.insert(expected.end(), {Kind::kConfirming, Kind::kConfirmed, Kind::kTaskDone,
                                   Kind::kConfirmed, Kind::kTaskDone});
  EXPECT_EQ(events, expected);
  events.clear();
  ASSERT_TRUE(Tune(measurer, {}, observe).ok());
  EXPECT_EQ(std::ranges::count(events, Kind::kConfirming), 0) << "all was confirmed before";
}

TEST_F(EndingTest, ConfirmingIsNotToldWhereNothingIsConfirmed) {
  const auto confirmings = [](const Ended& ended) {
    return std::ranges::count(ended.events, TuneEvent::Kind::kConfirming);
  };
  options_.finalists = 3;
  EXPECT_EQ(confirmings(TuneUntilStoppedAt(20)), 0) << "it was stopped";
  options_.finalists = 0;
  std::vector<TuneEvent::Kind> events;
  FakeMeasurer measurer;
  ASSERT_TRUE(Tune(measurer, {}, [&](const TuneEvent& e) { events.push_back(e.kind); }).ok());
  EXPECT_EQ(std::ranges::count(events, TuneEvent::Kind::kConfirming), 0) << "no finalists";
}

TEST_F(EndingTest, AStopGivesAComparisonUp) {
  options_.finalists = 5;
  const Ended ended = TuneUntil(
      7, [this] { stop_ = true; }, IsOfFinalRound);
  ASSERT_TRUE(ended.results.ok()) << ended.results.status();
  EXPECT_EQ(std::ranges::count_if(ended.begun, IsOfFinalRound), 7);
  EXPECT_EQ(std::ranges::count(ended.events, TuneEvent::Kind::kConfirming), 1);
  EXPECT_EQ(std::ranges::count(ended.events, TuneEvent::Kind::kConfirmed), 0);
  EXPECT_EQ(Stored(), 120U);
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    ASSERT_TRUE((*ended.results)[i].best) << "the search had one";
    EXPECT_FALSE((*BestFor(*store_, tasks_[i].task, options_.cache))->confirmed);
  }
  // A later run has it all before it.
  stop_ = false;
  FakeMeasurer later;
  ASSERT_TRUE(Tune(later).ok());
  EXPECT_TRUE((*BestFor(*store_, tasks_[0].task, options_.cache))->confirmed);
}

// The deadline of the search withdraws; what is submitted after that is measured all the same.
TEST_F(EndingTest, TheFinalistsAreComparedAfterAWithdrawal) {
  SettableClock clock;
  clock_ = &clock;
  options_.policy = "random";
  options_.finalists = 3;
  budget_ = {.trials = 120, .deadline = SteadyTime(std::chrono::seconds(100))};
  const Ended ended = TuneUntil(
      20, [&] { clock.seconds = 95; }, [](const MeasureRequest&) { return true; });
  ASSERT_TRUE(ended.results.ok()) << ended.results.status();
  EXPECT_EQ(Stored(), 20U);
  EXPECT_GT(std::ranges::count(ended.events, TuneEvent::Kind::kConfirmed), 0);
}

}  // namespace
}  // namespace kiln::testing
