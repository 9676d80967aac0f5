#include "apps/kiln/top_store.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/db/trials.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::int64_t kNow = 1'795'780'800'000, kMinuteMs = 60'000;

class TopStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenSqliteStore(path_, OpenMode::kReadWrite, {.command = "a test"});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  // The next trial of the task.
  void Add(const Outcome& outcome, std::int64_t minutes_ago) {
    Trial trial = OkTrial(task_, trials_, 1, "u" + std::to_string(trials_));
    ++trials_;
    trial.outcome = outcome;
    trial.measured_at_ms = kNow - minutes_ago * kMinuteMs;
    ASSERT_TRUE(store_->Append(task_, CacheState::kHot, std::vector<Trial>{trial}).ok());
  }
  void AddOk(double ns, std::int64_t minutes_ago) {
    Add(OkTrial(task_, 0, ns, "").outcome, minutes_ago);
  }
  StoreFacts Read() const {
    const StatusOr<StoreFacts> facts = ReadStoreFacts(path_, kNow);
    EXPECT_TRUE(facts.ok()) << facts.status();
    return facts.value_or(StoreFacts());
  }

  TempDir dir_;
  const std::string path_ = dir_.File("tuning.db");
  std::shared_ptr<TuningStore> store_;
  const Task task_ = FakeTask(ManyConfigs());
  std::uint64_t trials_ = 0;
};

TEST_F(TopStoreTest, GainOfTheHourIsOverTheBestOfBefore) {
  AddOk(400, 90);
  AddOk(300, 70);
  AddOk(350, 30);
  AddOk(200, 20);
  AddOk(250, 10);
  const StoreFacts facts = Read();
  ASSERT_THAT(facts.tasks, SizeIs(1));
  const StoreFacts::Task& task = facts.tasks[0];
  EXPECT_EQ(task.trials, 5);
  EXPECT_EQ(task.recent, 3);
  EXPECT_EQ(task.best_ns, 200);
  EXPECT_EQ(task.gain, 1.5);
  EXPECT_EQ(task.flat, 1);
  EXPECT_THAT(task.curve, ElementsAre(400, 300, 300, 200, 200));
  EXPECT_EQ(facts.measured, 3);
  EXPECT_EQ(facts.trials, 5);
}

TEST_F(TopStoreTest, ATaskThatBeganInTheHourGainsOnItsFirstTime) {
  Add(Failure{Stage::kCompile, FailureKind::kCompileError, "no"}, 31);
  AddOk(400, 30);
  AddOk(200, 20);
  const StoreFacts facts = Read();
  ASSERT_THAT(facts.tasks, SizeIs(1));
  EXPECT_EQ(facts.tasks[0].gain, 2.0);
  EXPECT_TRUE(std::isinf(facts.tasks[0].curve[0])) << "no time yet";
  EXPECT_EQ(facts.tasks[0].failed, 1);
  EXPECT_EQ(facts.failed, 1);
  EXPECT_EQ(facts.failure, "") << "not all of them";
}

TEST_F(TopStoreTest, WhereAllFailedItIsTheCommonestFailureOfTheHour) {
  for (int i = 0; i < 5; ++i) Add(Failure{Stage::kLoad, FailureKind::kBadObject, "old"}, 100);
  for (int i = 0; i < 2; ++i) Add(Failure{Stage::kRun, FailureKind::kTimeout, "20 s"}, 10);
  Add(Failure{Stage::kLoad, FailureKind::kBadObject, "old"}, 10);
  const StoreFacts facts = Read();
  EXPECT_THAT(facts.failure, HasSubstr("20 s"));
  ASSERT_THAT(facts.tasks, SizeIs(1));
  EXPECT_EQ(facts.tasks[0].gain, std::nullopt);
  EXPECT_THAT(facts.tasks[0].curve, IsEmpty());
}

TEST_F(TopStoreTest, WhatIsOldIsCountedAndNotListed) {
  AddOk(400, 61);
  const StoreFacts facts = Read();
  EXPECT_THAT(facts.tasks, IsEmpty());
  EXPECT_EQ(facts.active_tasks, 0);
  EXPECT_EQ(facts.trials, 1);
  EXPECT_EQ(facts.measured, 0);
}

}  // namespace
}  // namespace kiln
