#include <gmock/gmock.h>

#include "tests/tuner/tuner_fixture.h"

// What the tuner does when kernels, devices or the disk fail.

namespace kiln::testing {
namespace {

using ::testing::HasSubstr;

using TunerFailureTest = TunerTest;

TEST_F(TunerFailureTest, ATaskOnWhichNothingWorksSaysWhy) {
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [](const MeasureRequest& request) {
    auto trial = FakeMeasurer::Exact(request);
    trial->outcome = Failure{Stage::kRun, FailureKind::kRuntimeError, "SIGSEGV reading past x"};
    return trial;
  });
  options_.finalists = 5;
  budget_.trials = 40;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  for (const TaskResult& result : *results) {
    EXPECT_FALSE(result.best);
    EXPECT_EQ(result.failed, result.trials);
    EXPECT_THAT(result.note, HasSubstr(std::to_string(result.trials) + " RUNTIME_ERROR"));
    EXPECT_THAT(result.note, HasSubstr("SIGSEGV reading past x"));
  }
}

TEST_F(TunerFailureTest, AFarmThatIsGoneEndsTheTuningWithItsError) {
  std::atomic<int> left = 30;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted,
                        [&](const MeasureRequest& request) -> StatusOr<Trial> {
                          if (left-- > 0) return FakeMeasurer::Exact(request);
                          return Error(StatusCode::kUnavailable, "no device for synthetic");
                        });
  const auto results = Tune(measurer);
  EXPECT_EQ(results.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Message(results.status()), HasSubstr("no device for synthetic"));
  EXPECT_EQ(measurer.withdrawals(), 1) << "nothing more is wanted of it";
  EXPECT_EQ(History(0).size() + History(1).size(), 30U);
}

TEST_F(TunerFailureTest, NoDeviceFromTheStartIsAnErrorEvenForOneTrial) {
  budget_.trials = 1;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [](const MeasureRequest&) {
    return StatusOr<Trial>(Error(StatusCode::kDeadlineExceeded, "no device within 30s"));
  });
  EXPECT_EQ(Tune(measurer).status().code(), StatusCode::kDeadlineExceeded);
}

TEST_F(TunerFailureTest, ASingleConfigThatKillsItsDeviceIsPassedOver) {
  std::atomic<int> count = 0;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted,
                        [&](const MeasureRequest& request) -> StatusOr<Trial> {
                          if (++count % 10 == 0) return Error(StatusCode::kUnavailable, "lost it");
                          return FakeMeasurer::Exact(request);
                        });
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].trials + (*results)[1].trials, 120);
}

TEST_F(TunerFailureTest, OtherTrialsAreMadeInPlaceOfThoseThatCouldNotBe) {
  std::atomic<int> count = 0;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted,
                        [&](const MeasureRequest& request) -> StatusOr<Trial> {
                          if (++count % 10 == 0) return Error(StatusCode::kUnavailable, "lost it");
                          return FakeMeasurer::Exact(request);
                        });
  budget_ = {.trials_per_task = 40};
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  for (const TaskResult& result : *results) {
    EXPECT_EQ(result.trials, 40);
    EXPECT_EQ(result.shortfall, Shortfall::kNone) << result.shortfall_words;
  }
}

TEST_F(TunerFailureTest, ASpaceThatIsUsedUpSaysSo) {
  tasks_ = {{SyntheticTask(64, 14, {.small = true}), 1}};
  const auto all = static_cast<std::int64_t>(tasks_[0].task.space().size());
  budget_ = {.trials_per_task = all + 1};
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].trials, all);
  EXPECT_EQ((*results)[0].shortfall, Shortfall::kSpaceUsedUp);
  EXPECT_EQ((*results)[0].shortfall_words, "all " + std::to_string(all) + " configs were tried");
}

TEST_F(TunerFailureTest, ATrialThatCannotBeMadeNorReplacedSaysSo) {
  tasks_ = {{SyntheticTask(64, 14, {.small = true}), 1}};
  const auto all = static_cast<std::int64_t>(tasks_[0].task.space().size());
  std::atomic<int> count = 0;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted,
                        [&](const MeasureRequest& request) -> StatusOr<Trial> {
                          if (++count == 7) return Error(StatusCode::kUnavailable, "lost it");
                          return FakeMeasurer::Exact(request);
                        });
  budget_ = {.trials_per_task = all};
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].trials, all - 1);
  EXPECT_EQ((*results)[0].shortfall, Shortfall::kErrors);
  EXPECT_EQ((*results)[0].shortfall_words, "1 trial could not be made, the last: lost it");
}

TEST_F(TunerFailureTest, AnInterruptedTuningSaysSo) {
  std::atomic<int> count = 0;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [&](const MeasureRequest& request) {
    ++count;
    return FakeMeasurer::Exact(request);
  });
  const auto results = Tune(measurer, [&] { return count >= 20; });
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].shortfall, Shortfall::kStopped);
}

TEST_F(TunerFailureTest, ATuningWithoutNumberOfTrialsIsNotShort) {
  budget_ = {.early_stop = 20};
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  for (const TaskResult& result : *results) EXPECT_EQ(result.shortfall, Shortfall::kNone);
}

// Another tuner, or one with cold caches, has found it out.
TEST_F(TunerFailureTest, AConfigThatTookHostsDownIsNeverTriedAgain) {
  tasks_ = {{SyntheticTask(64, 14, {.small = true}), 1}};
  const Task& task = tasks_[0].task;
  const Config untuned = task.kernel_template().Default(task.spec(), task.space());
  Trial killer = SyntheticTrial(task, untuned);
  killer.code_digest = task.Emit(untuned)->code_digest;
  killer.outcome = Failure{Stage::kRun, FailureKind::kHostKilled, "took down two hosts"};
  ASSERT_TRUE(store_->Append(task, CacheState::kCold, std::span(&killer, 1)).ok());
  options_.finalists = 5;
  budget_ = {.trials_per_task = static_cast<std::int64_t>(task.space().size())};
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].trials, *budget_.trials_per_task - 1);
  for (const MeasureRequest& request : measurer.submitted()) EXPECT_NE(request.config, untuned);
}

// A disk that is full after some trials.
class FullStore final : public TuningStore {
 public:
  explicit FullStore(int room) : room_(room) {}
  Status Append(const Task& task, CacheState cache, std::span<const Trial> trials) override {
    if (room_-- <= 0) return Error(StatusCode::kResourceExhausted, "disk full");
    return store_->Append(task, cache, trials);
  }
  Status AppendConfirmation(const Task& task, CacheState cache, const Trial& trial) override {
    return store_->AppendConfirmation(task, cache, trial);
  }
  StatusOr<std::vector<Trial>> History(const Task& task, CacheState cache) const override {
    return store_->History(task, cache);
  }
  StatusOr<std::vector<Trial>> Hints(const Task& task, CacheState cache) const override {
    return store_->Hints(task, cache);
  }
  StatusOr<std::vector<TrialRecord>> Records(const BestQuery& query) const override {
    return store_->Records(query);
  }
  StatusOr<std::vector<Best>> Bests(const BestQuery& query) const override {
    return store_->Bests(query);
  }
  StatusOr<std::vector<UnknownWorkload>> UnknownWorkloads() const override {
    return store_->UnknownWorkloads();
  }

  Status AppendPeak(const Peak& peak) override { return store_->AppendPeak(peak); }
  StatusOr<std::optional<double>> PeakOf(const std::string& target,
                                         std::int32_t threads) const override {
    return store_->PeakOf(target, threads);
  }

 private:
  std::unique_ptr<TuningStore> store_ = NewMemoryStore();
  int room_;
};

TEST_F(TunerFailureTest, AFullDiskEndsTheTuning) {
  store_ = std::make_unique<FullStore>(25);
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  EXPECT_EQ(results.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(History(0).size() + History(1).size(), 25U);
  EXPECT_LT(measurer.submitted().size(), 120U);
}

TEST_F(TunerFailureTest, AFinalistThatFailsWhenMeasuredAgainIsNotTheBest) {
  options_.finalists = 5;
  std::optional<Config> fastest;
  double best = 1e300;
  bool confirming = false;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [&](const MeasureRequest& request) {
    auto trial = FakeMeasurer::Exact(request);
    confirming |= request.plan.samples == 2;
    if (const auto time = RankTime(*trial); !confirming && time && *time < best) {
      best = *time;
      fastest = request.config;
    }
    if (confirming && request.config == fastest) {
      trial->outcome = Failure{Stage::kVerify, FailureKind::kWrongResult, "sometimes"};
    }
    return trial;
  });
  tasks_.pop_back();
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_TRUE(confirming && fastest && (*results)[0].best);
  EXPECT_NE((*results)[0].best->config, *fastest);
}

}  // namespace
}  // namespace kiln::testing
