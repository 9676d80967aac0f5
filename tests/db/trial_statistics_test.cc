// SQL and the fold over records agree on random stores, and both say what a person would count.

#include "db/trial_statistics.h"

#include "base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr CacheState kHot = CacheState::kHot;
constexpr std::int64_t kDay = 86'400'000, kNight = 1'700'000'000'000;

// The same trials in a file and in memory.
class TrialStatisticsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto store = OpenSqliteStore(path_, OpenMode::kReadWrite, {.command = "a test"});
    ASSERT_TRUE(store.ok()) << store.status();
    file_ = *std::move(store);
    auto statistics = OpenSqliteStatistics(path_);
    ASSERT_TRUE(statistics.ok()) << statistics.status();
    sql_ = *std::move(statistics);
  }

  void Append(const Task& task, const Trial& trial, CacheState cache = kHot) {
    for (TuningStore* store : {file_.get(), memory_.get()}) {
      const Status status = store->Append(task, cache, std::vector<Trial>{trial});
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  void Confirm(const Task& task, const Trial& trial, CacheState cache = kHot) {
    for (TuningStore* store : {file_.get(), memory_.get()}) {
      const Status status = store->AppendConfirmation(task, cache, trial);
      ASSERT_TRUE(status.ok()) << status;
    }
  }
  Trial Ok(std::uint64_t index, double ns, std::int64_t at_ms) {
    Trial trial = OkTrial(task_, index, ns, Uuid());
    trial.measured_at_ms = at_ms;
    return trial;
  }
  Trial Failed(std::uint64_t index, const Failure& failure, std::int64_t at_ms) {
    Trial trial = FailedTrial(task_, index, failure, Uuid());
    trial.measured_at_ms = at_ms;
    return trial;
  }
  std::string Uuid() { return "u" + std::to_string(++uuids_); }
  std::string Id(std::uint64_t index) { return task_.space().Id(task_.space().At(index)); }
  TaskNames Names() const {
    return {Key(task_.workload()), task_.target().name, task_.threads(), kHot, "fake.portable"};
  }
  std::vector<const TrialStatistics*> Both() const { return {sql_.get(), fold_.get()}; }

  TempDir dir_;
  const std::string path_ = dir_.File("tuning.db");
  std::shared_ptr<TuningStore> file_;
  const std::unique_ptr<TuningStore> memory_ = NewMemoryStore();
  std::unique_ptr<TrialStatistics> sql_;
  const std::unique_ptr<TrialStatistics> fold_ = NewTrialStatistics(*memory_);
  const Task task_ = FakeTask(ManyConfigs());
  int uuids_ = 0;
};

TEST_F(TrialStatisticsTest, EmptyStoreHasNothingToSay) {
  for (const TrialStatistics* statistics : Both()) {
    EXPECT_THAT(*statistics->Tasks(0), IsEmpty());
    EXPECT_EQ(statistics->Failures(0, 10)->count, 0);
    EXPECT_THAT(*statistics->Devices(0), IsEmpty());
    EXPECT_THAT(*statistics->Readings(0), IsEmpty());
    EXPECT_THAT(*statistics->Repetitions(), IsEmpty());
    EXPECT_THAT(*statistics->BestsBefore(kNight), IsEmpty());
    EXPECT_THAT(*statistics->Curves(std::vector<TaskNames>{Names()}), ElementsAre(IsEmpty()));
    EXPECT_EQ(statistics->NewestSessions(5)->all, 0);
  }
}

TEST_F(TrialStatisticsTest, TasksCountTheirTrialsFailuresAndTheNight) {
  Append(task_, Ok(0, 100, kNight - 1));
  Append(task_, Failed(1, {Stage::kRun, FailureKind::kTimeout, "slow"}, kNight));
  Append(task_, CensoredTrial(task_, 2, 500, Uuid()));
  for (const TrialStatistics* statistics : Both()) {
    const auto tasks = *statistics->Tasks(kNight);
    ASSERT_THAT(tasks, SizeIs(1));
    EXPECT_EQ(tasks[0].task, Names());
    EXPECT_EQ(tasks[0].trials, 3);
    EXPECT_EQ(tasks[0].failed, 1) << "what was cut off has not failed";
    EXPECT_EQ(tasks[0].since, 2);
  }
}

TEST_F(TrialStatisticsTest, FailuresAreGroupedByStageAndMessageAndNewOnesAreKnown) {
  const Failure wrong{Stage::kVerify, FailureKind::kWrongResult, "byte 3"};
  const Failure slow{Stage::kRun, FailureKind::kTimeout, "2 s"};
  Append(task_, Failed(0, slow, kNight - kDay));
  Append(task_, Failed(1, slow, kNight + 1));
  Append(task_, Failed(2, wrong, kNight + 2));
  for (const TrialStatistics* statistics : Both()) {
    const FailureSummary summary = *statistics->Failures(kNight, 10);
    ASSERT_THAT(summary.groups, SizeIs(2));
    EXPECT_EQ(summary.groups[0].message, "2 s");
    EXPECT_EQ(summary.groups[0].count, 2);
    EXPECT_EQ(summary.groups[0].since, 1);
    EXPECT_EQ(summary.groups[0].config_id, Id(1)) << "the latest is the one to make again";
    EXPECT_EQ(summary.groups[1].kind, FailureKind::kWrongResult);
    EXPECT_EQ(summary.new_groups, 1);
    EXPECT_EQ(summary.count, 3);
    EXPECT_EQ(summary.since, 2);
  }
}

TEST_F(TrialStatisticsTest, LimitLeavesTotalsAlone) {
  for (std::uint64_t i = 0; i < 9; ++i) {
    Append(task_, Failed(i, {Stage::kRun, FailureKind::kRuntimeError, std::to_string(i)}, kNight));
  }
  for (const TrialStatistics* statistics : Both()) {
    const FailureSummary summary = *statistics->Failures(0, 2);
    EXPECT_THAT(summary.groups, SizeIs(2));
    EXPECT_EQ(summary.all_groups, 9);
    EXPECT_EQ(summary.count, 9);
  }
}

TEST_F(TrialStatisticsTest, CurveKeepsOnlyWhatWasFasterThanAllBefore) {
  for (const auto& [index, ns] : {std::pair(0, 100.0), {1, 120.0}, {2, 90.0}, {3, 90.0}}) {
    Append(task_, Ok(static_cast<std::uint64_t>(index), ns, kNight));
  }
  Append(task_, Failed(4, {Stage::kRun, FailureKind::kTimeout, ""}, kNight));
  for (const TrialStatistics* statistics : Both()) {
    const auto curves = *statistics->Curves(std::vector<TaskNames>{Names()});
    ASSERT_THAT(curves, ElementsAre(SizeIs(1)));
    using Point = BestSoFarCurve::Point;
    EXPECT_THAT(curves[0][0].gains, ElementsAre(Point{1, 100}, Point{3, 90}));
    EXPECT_EQ(curves[0][0].last_seq, 5);
  }
}

TEST_F(TrialStatisticsTest, BestOfBeforeDoesNotKnowWhatCameLater) {
  Append(task_, Ok(0, 100, kNight - kDay));
  Append(task_, Ok(1, 110, kNight - kDay));
  Trial later = Ok(1, 50, kNight + 1);
  Confirm(task_, later);
  Append(task_, Ok(2, 10, kNight + 2));
  for (const TrialStatistics* statistics : Both()) {
    const std::vector<Best> then = *statistics->BestsBefore(kNight);
    ASSERT_THAT(then, SizeIs(1));
    EXPECT_EQ(then[0].record.config_id, Id(0));
    EXPECT_FALSE(then[0].confirmed);
    EXPECT_EQ(then[0].trials, 2);
    EXPECT_EQ(statistics->BestsBefore(kNight + 2)->at(0).record.config_id, Id(1));
  }
  EXPECT_EQ(memory_->Bests({})->at(0).record.config_id, Id(1)) << "confirmed before not";
}

TEST_F(TrialStatisticsTest, ReadingsAreThoseOfTheLatestMeasurement) {
  const auto read = [&](std::uint64_t index, double celsius, std::int64_t at_ms) {
    Trial trial = Ok(index, 100, at_ms);
    trial.after = {.frequency_mhz = 1500, .temperature_c = celsius, .load_1min = celsius / 10};
    return trial;
  };
  Append(task_, read(0, 70, kNight + 5));
  Append(task_, read(1, 50, kNight + 9));
  Append(task_, read(2, 60, kNight - 1));
  Trial failed = Failed(3, {Stage::kCompile, FailureKind::kCompileError, "no"}, kNight);
  failed.device.clear();
  Append(task_, failed);
  for (const TrialStatistics* statistics : Both()) {
    const std::vector<DeviceReading> readings = *statistics->Readings(kNight);
    ASSERT_THAT(readings, SizeIs(2));
    EXPECT_EQ(readings[0].device, "") << "what reached none";
    EXPECT_EQ(readings[0].failed_since, 1);
    EXPECT_EQ(readings[1].device, "board-1");
    EXPECT_EQ(readings[1].since, 2);
    EXPECT_EQ(readings[1].failed_since, 0);
    EXPECT_EQ(readings[1].last_ms, kNight + 9);
    EXPECT_EQ(readings[1].temperature_c, 50) << "not the hottest";
    EXPECT_EQ(readings[1].load, 5);
  }
}

TEST_F(TrialStatisticsTest, SessionsSayWhoWroteHowMuch) {
  Append(task_, Ok(0, 100, kNight));
  Append(task_, Ok(1, 100, kNight));
  const TrialStatistics::Sessions sessions = *sql_->NewestSessions(5);
  ASSERT_THAT(sessions.newest, SizeIs(1));
  EXPECT_EQ(sessions.newest[0].session.command, "a test");
  EXPECT_EQ(sessions.newest[0].trials, 2);
  EXPECT_EQ(sessions.all, 1);
}

// ---- random stores

void ExpectSameRecords(const std::vector<TrialRecord>& a, const std::vector<TrialRecord>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].seq, b[i].seq);
    EXPECT_EQ(a[i].trial.uuid, b[i].trial.uuid);
    EXPECT_EQ(a[i].again.size(), b[i].again.size());
  }
}

void ExpectSameDevices(const std::vector<DeviceActivity>& a, const std::vector<DeviceActivity>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].device, b[i].device);
    EXPECT_EQ(a[i].measurements, b[i].measurements);
    EXPECT_EQ(a[i].failed, b[i].failed);
    EXPECT_EQ(a[i].since, b[i].since);
    EXPECT_EQ(a[i].failed_since, b[i].failed_since);
    EXPECT_NEAR(a[i].timed_ns, b[i].timed_ns, 1e-6 * (1 + b[i].timed_ns));
    EXPECT_NEAR(a[i].timed_since_ns, b[i].timed_since_ns, 1e-6 * (1 + b[i].timed_since_ns));
    EXPECT_EQ(a[i].last_ms, b[i].last_ms);
    EXPECT_EQ(a[i].hottest_since_c, b[i].hottest_since_c);
  }
}

void ExpectSameBests(const std::vector<Best>& a, const std::vector<Best>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].record.workload, b[i].record.workload);
    EXPECT_EQ(a[i].record.config_id, b[i].record.config_id);
    EXPECT_EQ(a[i].judged.uuid, b[i].judged.uuid);
    EXPECT_EQ(a[i].trials, b[i].trials);
    EXPECT_EQ(a[i].confirmed, b[i].confirmed);
    EXPECT_EQ(a[i].record.again.size(), b[i].record.again.size());
  }
}

class RandomTrials {
 public:
  explicit RandomTrials(std::uint64_t seed) : rng_(seed) {}

  Trial Make(const Task& task) {
    const std::uint64_t index = rng_.Below(40);
    const std::string uuid = "r" + std::to_string(rng_.Next());
    const double ns = 50 + static_cast<double>(rng_.Below(60));
    Trial trial = OkTrial(task, index, ns, uuid);
    if (rng_.Below(4) == 0) trial = FailedTrial(task, index, MakeFailure(), uuid);
    if (rng_.Below(6) == 0) trial = CensoredTrial(task, index, ns, uuid);
    trial.device = "board-" + std::to_string(rng_.Below(3));
    trial.measured_at_ms = kNight + rng_.Between(-20, 20);
    trial.kind = rng_.Below(5) == 0 ? TimeKind::kEmulated : TimeKind::kMeasured;
    if (rng_.Below(2) == 0) trial.after.temperature_c = 30 + static_cast<double>(rng_.Below(40));
    const auto* failure = std::get_if<Failure>(&trial.outcome);
    if (failure != nullptr && failure->stage == Stage::kCompile) trial.device.clear();
    return trial;
  }
  std::uint64_t Below(std::uint64_t bound) { return rng_.Below(bound); }

 private:
  Failure MakeFailure() {
    constexpr std::pair<Stage, FailureKind> kFailures[] = {
        {Stage::kCompile, FailureKind::kCompileError},
        {Stage::kRun, FailureKind::kTimeout},
        {Stage::kRun, FailureKind::kRuntimeError},
        {Stage::kVerify, FailureKind::kWrongResult}};
    const auto& [stage, kind] = kFailures[rng_.Below(4)];
    return {stage, kind, "message " + std::to_string(rng_.Below(3))};
  }
  Rng rng_;
};

TEST_F(TrialStatisticsTest, SqlSaysOfRandomTrialsWhatTheRecordsSay) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomTrials random(seed);
    for (int i = 0; i < 120; ++i) {
      const Trial trial = random.Make(task_);
      Append(task_, trial);
      if (random.Below(3) > 0) continue;
      Trial again = trial;
      again.uuid += "c";
      again.measured_at_ms += static_cast<std::int64_t>(random.Below(10));
      Confirm(task_, again);
    }
    EXPECT_EQ(*sql_->Tasks(kNight), *fold_->Tasks(kNight));
    const FailureSummary sql = *sql_->Failures(kNight, 6), fold = *fold_->Failures(kNight, 6);
    EXPECT_TRUE(sql.groups == fold.groups);
    EXPECT_EQ(sql.all_groups, fold.all_groups);
    EXPECT_EQ(sql.new_groups, fold.new_groups);
    EXPECT_EQ(sql.count, fold.count);
    EXPECT_EQ(sql.since, fold.since);
    ExpectSameDevices(*sql_->Devices(kNight), *fold_->Devices(kNight));
    EXPECT_TRUE(*sql_->Repetitions() == *fold_->Repetitions());
    const std::vector<TaskNames> tasks = {Names()};
    EXPECT_TRUE(*sql_->Curves(tasks) == *fold_->Curves(tasks));
    const std::vector<ConfigNames> configs = {{Names(), Id(3)}, {Names(), "none"}};
    ExpectSameRecords(sql_->RecordsOf(configs)->at(0), fold_->RecordsOf(configs)->at(0));
    EXPECT_THAT(sql_->RecordsOf(configs)->at(1), IsEmpty());
    for (const std::int64_t before : {kNight - 10, kNight, kNight + 10}) {
      ExpectSameBests(*sql_->BestsBefore(before), *fold_->BestsBefore(before));
    }
    ExpectSameBests(*sql_->BestsBefore(kNight + kDay), *memory_->Bests({}));
  }
}

}  // namespace
}  // namespace kiln
