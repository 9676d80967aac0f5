// What every TuningStore promises, run on each of them.

#include "db/tuning_store.h"

#include <cmath>
#include <set>
#include <thread>

#include "db/timed_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr CacheState kHot = CacheState::kHot;

// One database, and ways into it.
class Database {
 public:
  virtual ~Database() = default;
  virtual std::shared_ptr<TuningStore> Connect() = 0;
};

class MemoryDatabase final : public Database {
 public:
  std::shared_ptr<TuningStore> Connect() override { return store_; }

 private:
  std::shared_ptr<TuningStore> store_ = NewMemoryStore();
};

class SqliteDatabase final : public Database {
 public:
  std::shared_ptr<TuningStore> Connect() override {
    auto store = OpenSqliteStore(dir_.File("tuning.db"), OpenMode::kReadWrite);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

 private:
  TempDir dir_;
};

class TimedDatabase final : public Database {
 public:
  std::shared_ptr<TuningStore> Connect() override { return store_; }

 private:
  std::shared_ptr<TuningStore> store_ =
      NewTimedStore(NewMemoryStore(), SystemClock(), {[](Nanoseconds) {}, [](const Status&) {}});
};

struct Kind {
  const char* name;
  std::unique_ptr<Database> (*make)();
};

class TuningStoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  void Append(const Task& task, std::vector<Trial> trials, CacheState cache = kHot) {
    const Status status = store_->Append(task, cache, trials);
    EXPECT_TRUE(status.ok()) << status;
  }
  std::vector<TrialRecord> Records(const BestQuery& query = {}) { return *store_->Records(query); }
  // The config and time of the only best there is.
  std::pair<std::string, double> TheBest() {
    const std::vector<Best> bests = *store_->Bests({});
    if (bests.size() != 1) return {std::to_string(bests.size()) + " bests", 0};
    return {bests[0].record.config_id, *RankTime(bests[0].judged)};
  }
  std::string Id(std::uint64_t index) { return task_.space().Id(task_.space().At(index)); }

  std::unique_ptr<Database> database_ = GetParam().make();
  std::shared_ptr<TuningStore> store_ = database_->Connect();
  const Task task_ = FakeTask();
};

INSTANTIATE_TEST_SUITE_P(
    Stores, TuningStoreTest,
    ::testing::Values(
        Kind{"Memory",
             []() -> std::unique_ptr<Database> { return std::make_unique<MemoryDatabase>(); }},
        Kind{"Timed",
             []() -> std::unique_ptr<Database> { return std::make_unique<TimedDatabase>(); }},
        Kind{"Sqlite",
             []() -> std::unique_ptr<Database> { return std::make_unique<SqliteDatabase>(); }}),
    [](const auto& test) { return test.param.name; });

TEST_P(TuningStoreTest, EmptyStoreHasNothing) {
  EXPECT_THAT(*store_->History(task_, kHot), IsEmpty());
  EXPECT_THAT(*store_->Records({}), IsEmpty());
  EXPECT_THAT(*store_->Bests({}), IsEmpty());
}

TEST_P(TuningStoreTest, KeepsEveryFieldOfEveryTrial) {
  Trial ok = OkTrial(task_, 3, 1234.0625, "u1");
  ok.predicted = -0.1;
  ok.batch = 5;
  ok.kind = TimeKind::kEmulated;
  ok.before = {2400.5, 41.25, 0.5};
  ok.after = {.frequency_mhz = 1800, .temperature_c = 63};
  ok.log = "cannot run thread 1 on core 3\n";
  std::get<Timings>(ok.outcome).samples_ns = {1e9 / 3, 0.1, 17};
  const Trial censored = CensoredTrial(task_, 1, 5000, "u2");
  Trial failed = FailedTrial(
      task_, 2,
      {Stage::kCompile, FailureKind::kCompileError, "error: \"x\" is\nnot declared \xE2\x86\x92"},
      "u3");
  failed.device.clear();
  Append(task_, {ok, censored, failed});

  EXPECT_THAT(*store_->History(task_, kHot),
              ElementsAre(SameTrial(ok), SameTrial(censored), SameTrial(failed)));
  const std::vector<TrialRecord> records = Records();
  ASSERT_THAT(records, SizeIs(3));
  EXPECT_EQ(records[0].workload, Key(task_.workload()));
  EXPECT_EQ(records[0].target, "testbed");
  EXPECT_EQ(records[0].threads, 1);
  EXPECT_EQ(records[0].cache, kHot);
  EXPECT_EQ(records[0].kernel_template, "fake.portable");
  EXPECT_EQ(records[0].config_id, Id(3));
  EXPECT_EQ(records[0].labels, task_.space().Labels(ok.config));
  EXPECT_THAT(records[1].trial, SameMeasurement(censored));
  EXPECT_THAT(records[2].again, IsEmpty());
}

TEST_P(TuningStoreTest, EveryFailureKeepsItsKindStageAndText) {
  const Task task = FakeTask(ManyConfigs());
  std::vector<Trial> trials;
  for (int kind = 0; kind <= static_cast<int>(FailureKind::kHostKilled); ++kind) {
    if (kind == static_cast<int>(FailureKind::kDeviceLost)) continue;  // never stored
    for (int stage = 0; stage <= static_cast<int>(Stage::kDevice); ++stage) {
      const std::string text = std::to_string(kind) + "/" + std::to_string(stage);
      trials.push_back(
          FailedTrial(task, trials.size(),
                      {static_cast<Stage>(stage), static_cast<FailureKind>(kind), text}, text));
    }
  }
  Append(task, trials);
  const std::vector<TrialRecord> records = Records();
  ASSERT_EQ(records.size(), trials.size());
  for (std::size_t i = 0; i < trials.size(); ++i) {
    EXPECT_THAT(records[i].trial, SameMeasurement(trials[i]));
  }
}

TEST_P(TuningStoreTest, NumbersTheTrialsOfEachTaskFromOne) {
  const Task threads = FakeTask({}, FakeSpec(2));
  const Task other = FakeTask({.name = "fake.other"});
  TaskSpec wide_spec = FakeSpec();
  wide_spec.workload.o = 32;
  const Task wide = FakeTask({}, wide_spec);
  Append(task_, {OkTrial(task_, 0, 10, "a"), OkTrial(task_, 1, 10, "b")});
  Append(task_, {OkTrial(task_, 0, 10, "c")}, CacheState::kCold);
  Append(threads, {OkTrial(threads, 0, 10, "d")});
  Append(other, {OkTrial(other, 0, 10, "e")});
  Append(wide, {OkTrial(wide, 0, 10, "f")});
  Append(task_, {OkTrial(task_, 2, 10, "g")});

  std::vector<std::pair<std::string, std::int64_t>> numbered;
  for (const TrialRecord& record : Records()) numbered.emplace_back(record.trial.uuid, record.seq);
  using P = std::pair<std::string, std::int64_t>;
  EXPECT_THAT(numbered, ElementsAre(P("e", 1), P("a", 1), P("b", 2), P("g", 3), P("c", 1),
                                    P("d", 1), P("f", 1)))
      << "by workload, target, threads, cache, template";
  EXPECT_THAT(*store_->History(task_, kHot), SizeIs(3));
  EXPECT_THAT(*store_->History(task_, CacheState::kCold), SizeIs(1));
  EXPECT_THAT(*store_->History(wide, kHot), SizeIs(1));
}

TEST_P(TuningStoreTest, AKnownUuidChangesNothing) {
  const std::vector<Trial> trials = {OkTrial(task_, 0, 10, "a"), OkTrial(task_, 1, 20, "b")};
  Append(task_, trials);
  Append(task_, trials);
  Append(task_, {OkTrial(task_, 2, 5, "b")});
  Append(task_, {OkTrial(task_, 3, 7, "c"), OkTrial(task_, 4, 9, "c")});
  const std::vector<TrialRecord> records = Records();
  ASSERT_THAT(records, SizeIs(3));
  EXPECT_THAT(records[0].trial, SameMeasurement(trials[0]));
  EXPECT_THAT(records[2].trial, SameMeasurement(OkTrial(task_, 3, 7, "c")));
  EXPECT_EQ(records[2].seq, 3);
}

TEST_P(TuningStoreTest, EveryMeasurementOfAKnownConfigIsKept) {
  Trial elsewhere = OkTrial(task_, 0, 5, "elsewhere");
  elsewhere.device = "board-2";
  Append(task_, {OkTrial(task_, 0, 10, "a"), OkTrial(task_, 1, 20, "b")});
  Append(task_, {elsewhere, OkTrial(task_, 0, 9, "by another program")});
  Append(task_, {elsewhere});
  const std::vector<TrialRecord> records = Records();
  ASSERT_THAT(records, SizeIs(2));
  EXPECT_THAT(records[0].trial, SameMeasurement(OkTrial(task_, 0, 10, "a")));
  ASSERT_THAT(records[0].again, SizeIs(2));
  EXPECT_THAT(records[0].again[0].trial, SameMeasurement(elsewhere));
  EXPECT_FALSE(records[0].again[0].confirms);
  EXPECT_EQ(records[0].again[1].trial.uuid, "by another program");
  EXPECT_THAT(records[1].again, IsEmpty());
  EXPECT_THAT(*store_->History(task_, kHot), SizeIs(2)) << "a config is tried once";
  EXPECT_EQ((*store_->Bests({}))[0].trials, 2);
}

TEST_P(TuningStoreTest, TimesOfDifferentDevicesAreNotCompared) {
  const auto on = [&](const char* device, std::uint64_t index, double ns, const char* uuid,
                      std::int64_t at_ms = 0) {
    Trial trial = OkTrial(task_, index, ns, uuid);
    trial.device = device;
    trial.measured_at_ms = at_ms;
    return trial;
  };
  // The second board is faster at everything, but has tried less.
  Append(task_, {on("slow", 0, 100, "a"), on("slow", 1, 90, "b"), on("slow", 2, 80, "c")});
  Append(task_, {on("fast", 3, 10, "d"), on("fast", 2, 20, "c fast")});
  EXPECT_EQ(TheBest(), std::pair(Id(2), 80.0));
  EXPECT_EQ((*store_->Bests({}))[0].judged.device, "slow");

  // Whatever board confirms decides, by its own times; the latest, where several did.
  const auto confirm = [&](const Trial& trial) {
    EXPECT_TRUE(store_->AppendConfirmation(task_, kHot, trial).ok());
  };
  confirm(on("fast", 3, 11, "d2", 5));
  confirm(on("fast", 1, 9, "b2", 6));
  EXPECT_EQ(TheBest(), std::pair(Id(1), 9.0));
  confirm(on("slow", 0, 95, "a2", 8));
  confirm(on("slow", 2, 97, "c2", 7));
  EXPECT_EQ(TheBest(), std::pair(Id(0), 95.0));
  EXPECT_EQ((*BestFor(*store_, task_, kHot))->judged.uuid, "a2");
  confirm(on("fast", 0, 30, "a3", 9));
  EXPECT_EQ(TheBest(), std::pair(Id(1), 9.0)) << "of all that this board confirmed";

  Trial wrong = on("slow", 1, 1, "b3", 1);
  wrong.outcome = Failure{Stage::kVerify, FailureKind::kWrongResult, "first byte"};
  Append(task_, {wrong});
  EXPECT_EQ(TheBest(), std::pair(Id(3), 11.0)) << "wrong on one board is wrong";
}

TEST_P(TuningStoreTest, AppendIsAllOrNothing) {
  const Status status = store_->Append(
      task_, kHot, std::vector{OkTrial(task_, 0, 10, "a"), OkTrial(task_, 1, 10, "")});
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_P(TuningStoreTest, RefusesTrialsThatSayNothing) {
  const auto message = [&](Trial trial) {
    const Status append = store_->Append(task_, kHot, std::vector{trial});
    EXPECT_EQ(append.code(), StatusCode::kInvalidArgument) << append;
    EXPECT_EQ(store_->AppendConfirmation(task_, kHot, trial), append);
    EXPECT_THAT(Message(append), HasSubstr(task_.Key()));
    return Message(append);
  };
  EXPECT_THAT(message(OkTrial(task_, 0, 10, "")), HasSubstr("no uuid"));
  EXPECT_THAT(
      message(FailedTrial(task_, 0, {Stage::kDevice, FailureKind::kDeviceLost, "gone"}, "a")),
      HasSubstr("device was lost"));
  Trial trial = OkTrial(task_, 0, 10, "a");
  trial.config = {{2, 1, 1}};
  EXPECT_THAT(message(trial), HasSubstr("not in the space"));
  trial = OkTrial(task_, 0, 10, "a");
  trial.outcome = Timings{};
  EXPECT_THAT(message(trial), HasSubstr("no samples"));
  trial.outcome = Timings{{10, 0}, 1};
  EXPECT_THAT(message(trial), HasSubstr("not a positive time"));
  trial.outcome = Timings{{10, std::nan("")}, 1};
  EXPECT_THAT(message(trial), HasSubstr("not a positive time"));
  trial.outcome = Timings{{10}, 0};
  EXPECT_THAT(message(trial), HasSubstr("no calls"));
  trial.outcome = Censored{{}, 0};
  EXPECT_THAT(message(trial), HasSubstr("bound"));
  EXPECT_THAT(Records(), IsEmpty());
}

TEST_P(TuningStoreTest, HistoryLeavesOutWhatThePresentSpaceAndCodeNoLongerMean) {
  Append(task_, {OkTrial(task_, 0, 10, "tile 1"), OkTrial(task_, 8, 20, "tile 4")});

  const Task without_four = FakeTask({.tiles = {8, 2, 1}});
  const std::vector<Trial> kept = *store_->History(without_four, kHot);
  ASSERT_THAT(kept, SizeIs(1));
  EXPECT_EQ(kept[0].uuid, "tile 1");
  EXPECT_EQ(without_four.space().Labels(kept[0].config), task_.space().Labels({{0, 0, 0}}))
      << "labels are kept, positions are not";

  const Task new_code = FakeTask({.body = "changed"});
  EXPECT_THAT(*store_->History(new_code, kHot), IsEmpty());
  Append(new_code, {OkTrial(new_code, 0, 9, "tile 1 again")});
  EXPECT_THAT(*store_->History(new_code, kHot), SizeIs(1));
  EXPECT_THAT(*store_->History(task_, kHot), SizeIs(2)) << "the old code, were it to come back";
  EXPECT_THAT(Records(), SizeIs(3));
}

TEST_P(TuningStoreTest, RefusedConfigsAreRememberedUntilLoweringTakesThem) {
  const Task refusing = FakeTask({.refused_tile = 2});
  Trial refused = FailedTrial(
      refusing, 4, {Stage::kLower, FailureKind::kInvalidConfig, "a tile of 2 is refused"}, "a");
  ASSERT_EQ(refused.code_digest, 0u);
  refused.device.clear();
  Append(refusing, {refused});
  EXPECT_THAT(*store_->History(refusing, kHot), ElementsAre(SameTrial(refused)));
  EXPECT_THAT(*store_->History(task_, kHot), IsEmpty());
}

TEST_P(TuningStoreTest, BestIsTheFastestThatWorked) {
  Append(task_, {OkTrial(task_, 0, 300, "a"), OkTrial(task_, 1, 200, "b"),
                 CensoredTrial(task_, 2, 100, "c"),
                 FailedTrial(task_, 3, {Stage::kVerify, FailureKind::kWrongResult, "no"}, "d"),
                 OkTrial(task_, 4, 250, "e")});
  const std::vector<Best> bests = *store_->Bests({});
  ASSERT_THAT(bests, SizeIs(1));
  EXPECT_THAT(bests[0].record.trial, SameMeasurement(OkTrial(task_, 1, 200, "b")));
  EXPECT_EQ(bests[0].record.seq, 2);
  EXPECT_EQ(bests[0].record.labels, task_.space().Labels(task_.space().At(1)));
  EXPECT_EQ(bests[0].trials, 5);
  EXPECT_EQ(bests[0].origin, "tuned");
  EXPECT_FALSE(bests[0].confirmed);
}

TEST_P(TuningStoreTest, RankIsTheMinimumOfTheFirstTenSamples) {
  Trial late = OkTrial(task_, 0, 300, "a");
  std::get<Timings>(late.outcome).samples_ns.push_back(1);  // the eleventh
  Append(task_, {late, OkTrial(task_, 1, 200, "b")});
  EXPECT_EQ(TheBest(), std::pair(Id(1), 200.0));
}

TEST_P(TuningStoreTest, NoBestWithoutATrialThatWorked) {
  Append(task_, {CensoredTrial(task_, 2, 100, "c"),
                 FailedTrial(task_, 3, {Stage::kRun, FailureKind::kTimeout, "2 s"}, "d")});
  EXPECT_THAT(*store_->Bests({}), IsEmpty());
}

TEST_P(TuningStoreTest, TiesGoToTheSmallestConfigId) {
  Append(task_,
         {OkTrial(task_, 0, 100, "a"), OkTrial(task_, 1, 100, "b"), OkTrial(task_, 2, 100, "c")});
  EXPECT_EQ(TheBest().first, std::min({Id(0), Id(1), Id(2)}));
}

TEST_P(TuningStoreTest, MeasuredTimesBeatEmulatedAndEstimatedOnesWhateverTheySay) {
  Trial estimated = OkTrial(task_, 0, 1, "a"), emulated = OkTrial(task_, 1, 2, "b");
  estimated.kind = TimeKind::kEstimated;
  emulated.kind = TimeKind::kEmulated;
  Append(task_, {estimated});
  EXPECT_EQ(TheBest().first, Id(0));
  Append(task_, {emulated});
  EXPECT_EQ(TheBest().first, Id(1));
  Append(task_, {OkTrial(task_, 2, 100, "c")});
  EXPECT_EQ(TheBest().first, Id(2));
}

TEST_P(TuningStoreTest, AConfigHasATrialOfEachKindOfTimes) {
  Trial estimated = OkTrial(task_, 0, 5, "estimated");
  estimated.kind = TimeKind::kEstimated;
  Append(task_, {estimated});
  EXPECT_EQ(TheBest(), std::pair(Id(0), 5.0)) << "there is nothing better to go by";
  EXPECT_EQ((*store_->Bests({}))[0].trials, 1);
  EXPECT_FALSE(*BestFor(*store_, task_, kHot, TimeKind::kMeasured));

  Append(task_, {OkTrial(task_, 0, 70, "measured"), OkTrial(task_, 1, 60, "other")});
  EXPECT_THAT(Records(), SizeIs(3));
  EXPECT_EQ(TheBest(), std::pair(Id(1), 60.0));
  EXPECT_EQ((*store_->Bests({}))[0].trials, 2) << "estimates are not counted";
  EXPECT_EQ((*BestFor(*store_, task_, kHot))->trials, 2);
  EXPECT_EQ(*RankTime((*BestFor(*store_, task_, kHot, TimeKind::kEstimated))->record.trial), 5);

  // A later estimate of the same config does not stand for it.
  estimated.uuid = "again";
  estimated.code_digest ^= 1;
  Append(task_, {estimated});
  EXPECT_THAT(Records(), SizeIs(4));
  EXPECT_EQ(TheBest(), std::pair(Id(1), 60.0));
  Append(task_, {OkTrial(task_, 0, 70, "once more")});
  EXPECT_THAT(Records(), SizeIs(4)) << "there is one of that kind already";
}

TEST_P(TuningStoreTest, TheFastestConfirmedConfigBeatsFasterUnconfirmedOnes) {
  Append(task_,
         {OkTrial(task_, 0, 100, "a"), OkTrial(task_, 1, 110, "b"), OkTrial(task_, 2, 90, "c")});
  for (const Trial& trial : {OkTrial(task_, 0, 130, "a2"), OkTrial(task_, 1, 120, "b2")}) {
    ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, trial).ok());
  }
  const std::vector<Best> bests = *store_->Bests({});
  ASSERT_THAT(bests, SizeIs(1));
  EXPECT_TRUE(bests[0].confirmed);
  EXPECT_EQ(bests[0].record.config_id, Id(1));
  EXPECT_EQ(bests[0].record.trial.uuid, "b");
  EXPECT_THAT(bests[0].judged, SameMeasurement(OkTrial(task_, 1, 120, "b2")));
  EXPECT_EQ(bests[0].trials, 3) << "a confirmation is not a trial";
  EXPECT_THAT(*store_->History(task_, kHot), SizeIs(3));

  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, OkTrial(task_, 0, 115, "a3")).ok());
  EXPECT_EQ(TheBest(), std::pair(Id(0), 115.0)) << "the latest confirmation counts";
}

TEST_P(TuningStoreTest, AConfirmationIsStoredOnce) {
  Append(task_, {OkTrial(task_, 0, 100, "a")});
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, OkTrial(task_, 0, 130, "a2")).ok());
  }
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, OkTrial(task_, 0, 130, "a")).ok());
  Append(task_, {OkTrial(task_, 1, 100, "a2")});
  ASSERT_THAT(Records(), SizeIs(1)) << "a2 is taken";
  ASSERT_THAT(Records()[0].again, SizeIs(1));
  EXPECT_TRUE(Records()[0].again[0].confirms);
  EXPECT_THAT(Records()[0].again[0].trial, SameMeasurement(OkTrial(task_, 0, 130, "a2")));
}

TEST_P(TuningStoreTest, OnlyStoredTrialsCanBeConfirmed) {
  Append(task_, {OkTrial(task_, 0, 100, "a")});
  const Task new_code = FakeTask({.body = "changed"});
  for (const auto& [task, index] : {std::pair(task_, 1), std::pair(new_code, 0)}) {
    const Status status = store_->AppendConfirmation(
        task, kHot, OkTrial(task, static_cast<std::uint64_t>(index), 90, "b"));
    EXPECT_EQ(status.code(), StatusCode::kNotFound);
    EXPECT_THAT(Message(status), HasSubstr("none can be confirmed"));
  }
  EXPECT_THAT(Records(), SizeIs(1));
}

TEST_P(TuningStoreTest, AKillerOfHostsIsNeverBestAndKnownToAll) {
  const Failure killed{Stage::kRun, FailureKind::kHostKilled, "took down two hosts: a: SIGSEGV"};
  Append(task_, {OkTrial(task_, 0, 10, "a"), OkTrial(task_, 1, 20, "b")});
  EXPECT_THAT(*HostKillers(*store_, task_), IsEmpty());
  // Measured again, it turns out to be one; another one is found with cold caches.
  Append(task_, {FailedTrial(task_, 0, killed, "c")});
  Append(task_, {FailedTrial(task_, 2, killed, "d")}, CacheState::kCold);
  EXPECT_EQ(*HostKillers(*store_, task_),
            (std::set<Config>{task_.space().At(0), task_.space().At(2)}));
  const auto best = BestFor(*store_, task_, kHot);
  ASSERT_TRUE(best.ok() && *best);
  EXPECT_EQ((*best)->record.config_id, Id(1));
  EXPECT_EQ(store_->Bests({})->at(0).record.config_id, Id(1));
}

TEST_P(TuningStoreTest, AWrongResultOutlastsEveryConfirmation) {
  Append(task_, {OkTrial(task_, 0, 100, "a"), OkTrial(task_, 1, 110, "b")});
  const Trial wrong =
      FailedTrial(task_, 0, {Stage::kVerify, FailureKind::kWrongResult, "call 900"}, "a2");
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, wrong).ok());
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, OkTrial(task_, 0, 100, "a3")).ok());
  EXPECT_EQ(TheBest().first, Id(1));
}

TEST_P(TuningStoreTest, AConfigThatFailsWhenConfirmedIsOutUntilItIsConfirmed) {
  Append(task_, {OkTrial(task_, 0, 100, "a"), OkTrial(task_, 1, 110, "b")});
  const Trial slow = FailedTrial(task_, 0, {Stage::kRun, FailureKind::kTimeout, "2 s"}, "a2");
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, slow).ok());
  EXPECT_EQ(TheBest().first, Id(1));
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, OkTrial(task_, 0, 100, "a3")).ok());
  EXPECT_EQ(TheBest().first, Id(0));
}

TEST_P(TuningStoreTest, CodeThatWasReplacedIsNotBest) {
  Append(task_, {OkTrial(task_, 0, 100, "old"), OkTrial(task_, 1, 120, "b")});
  const Task new_code = FakeTask({.body = "changed"});
  Append(new_code, {OkTrial(new_code, 0, 150, "new")});
  EXPECT_EQ(TheBest(), std::pair(Id(1), 120.0));
}

TEST_P(TuningStoreTest, TheBestForATaskIsOfTodaysSpaceAndCode) {
  const Task new_code = FakeTask({.body = "changed"});
  const auto best_for = [&](const Task& task) {
    const StatusOr<std::optional<Best>> best = BestFor(*store_, task, kHot);
    EXPECT_TRUE(best.ok()) << best.status();
    return best.ok() && *best ? (*best)->record.trial.uuid : "none";
  };
  EXPECT_EQ(best_for(task_), "none");
  Append(task_, {OkTrial(task_, 0, 100, "a"), OkTrial(task_, 8, 50, "tile 4")});
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, OkTrial(task_, 8, 55, "again")).ok());
  EXPECT_EQ(best_for(task_), "tile 4");
  EXPECT_EQ(best_for(FakeTask({.tiles = {1, 2}})), "a");
  EXPECT_EQ(best_for(new_code), "none");
  EXPECT_EQ(best_for(FakeTask({.name = "fake.other"})), "none");
  Append(new_code, {OkTrial(new_code, 0, 300, "new"), OkTrial(new_code, 1, 400, "slower")});
  EXPECT_EQ(best_for(new_code), "new") << "though stale ones were faster and confirmed";
  EXPECT_EQ((*BestFor(*store_, new_code, kHot))->trials, 4);
  EXPECT_EQ(best_for(task_), "tile 4") << "were the old code to come back";
}

TEST_P(TuningStoreTest, BestIsChosenAmongAllTemplatesOfAWorkload) {
  const Task other = FakeTask({.name = "fake.other"});
  Append(task_, {OkTrial(task_, 0, 100, "a"), OkTrial(task_, 1, 90, "b")});
  Append(other, {OkTrial(other, 0, 80, "c")});
  const std::vector<Best> bests = *store_->Bests({});
  ASSERT_THAT(bests, SizeIs(1));
  EXPECT_EQ(bests[0].record.kernel_template, "fake.other");
  EXPECT_EQ(bests[0].trials, 3);
}

TEST_P(TuningStoreTest, QueriesSelectByEveryField) {
  const Task threads = FakeTask({}, FakeSpec(2));
  TaskSpec wide_spec = FakeSpec();
  wide_spec.workload.o = 32;
  wide_spec.target.name = "other";
  const Task wide = FakeTask({}, wide_spec);
  Append(task_, {OkTrial(task_, 0, 100, "a")});
  Append(task_, {OkTrial(task_, 0, 200, "a cold")}, CacheState::kCold);
  Append(threads, {OkTrial(threads, 0, 60, "b")});
  Append(wide, {OkTrial(wide, 0, 300, "c")});

  const auto uuids = [&](const BestQuery& query) {
    std::vector<std::string> bests, records;
    const std::vector<Best> found = *store_->Bests(query);
    for (const Best& best : found) bests.push_back(best.record.trial.uuid);
    for (const TrialRecord& record : Records(query)) records.push_back(record.trial.uuid);
    EXPECT_EQ(bests, records);
    return bests;
  };
  EXPECT_THAT(uuids({}), ElementsAre("a", "a cold", "b", "c"));
  EXPECT_THAT(uuids({.workload = Key(task_.workload())}), ElementsAre("a", "a cold", "b"));
  EXPECT_THAT(uuids({.target = "other"}), ElementsAre("c"));
  EXPECT_THAT(uuids({.threads = 2}), ElementsAre("b"));
  EXPECT_THAT(uuids({.cache = CacheState::kCold}), ElementsAre("a cold"));
  EXPECT_THAT(uuids({.workload = Key(task_.workload()), .threads = 1, .cache = kHot}),
              ElementsAre("a"));
  EXPECT_THAT(uuids({.target = "nowhere"}), IsEmpty());
}

TEST_P(TuningStoreTest, RecordsCanBeOfOneConfigOrOfWhatCameLater) {
  const Task threads = FakeTask({}, FakeSpec(2));
  Append(task_, {OkTrial(task_, 0, 100, "a"), OkTrial(task_, 1, 90, "b")});
  Append(threads, {OkTrial(threads, 0, 80, "c")});
  const auto uuids = [&](const BestQuery& query) {
    std::vector<std::string> found;
    for (const TrialRecord& record : Records(query)) found.push_back(record.trial.uuid);
    return found;
  };
  EXPECT_THAT(uuids({.config_id = Id(0)}), ElementsAre("a", "c"));
  EXPECT_THAT(uuids({.threads = 1, .config_id = Id(1)}), ElementsAre("b"));
  EXPECT_THAT(uuids({.config_id = "0123456789abcdef"}), IsEmpty());

  std::int64_t last = 0;
  for (const TrialRecord& record : Records()) last = std::max(last, record.insertion);
  EXPECT_THAT(uuids({.inserted_after = 0}), ElementsAre("a", "b", "c"));
  EXPECT_THAT(uuids({.inserted_after = last}), IsEmpty());
  // To the task that comes first, and after the numbers of its own that were seen.
  Append(task_, {OkTrial(task_, 2, 70, "d")});
  EXPECT_THAT(uuids({.inserted_after = last}), ElementsAre("d"));
}

TEST_P(TuningStoreTest, TheDefaultsTimeIsOfTheDeviceAndKindOfTheBest) {
  const auto trial = [&](std::uint64_t index, double ns, const char* uuid, const char* device) {
    Trial made = OkTrial(task_, index, ns, uuid);
    made.device = device;
    return made;
  };
  const auto default_ns = [&] {
    const std::vector<Best> bests = *store_->Bests({});
    EXPECT_THAT(bests, SizeIs(1));
    const std::optional<Trial> judged = *DefaultBeside(*store_, task_, bests.at(0));
    return judged ? RankTime(*judged) : std::nullopt;
  };
  Append(task_, {trial(1, 50, "b", "owl"), trial(2, 60, "c", "owl")});
  EXPECT_EQ(default_ns(), std::nullopt) << "it was never measured";
  Append(task_, {trial(0, 90, "a fox", "fox")});
  EXPECT_EQ(default_ns(), std::nullopt) << "not there";
  Trial emulated = trial(0, 10, "a emulated", "owl");
  emulated.kind = TimeKind::kEmulated;
  Append(task_, {emulated});
  EXPECT_EQ(default_ns(), std::nullopt) << "of another kind";
  Append(task_, {trial(0, 100, "a owl", "owl")});
  EXPECT_EQ(default_ns(), 100);
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, trial(0, 110, "a2", "owl")).ok());
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, trial(1, 55, "b2", "owl")).ok());
  EXPECT_EQ(default_ns(), 110) << "as it was measured beside the best";
}

TEST_P(TuningStoreTest, ThePeakOfATargetIsTheHighestThatWasMeasured) {
  EXPECT_EQ(*store_->PeakOf("testbed", 1), std::nullopt);
  for (const double gops : {300.0, 410.5, 390.0}) {
    ASSERT_TRUE(store_->AppendPeak({"testbed", 1, gops, "board-1", 1}).ok());
  }
  ASSERT_TRUE(store_->AppendPeak({"testbed", 2, 800, "board-1", 2}).ok());
  EXPECT_EQ(*store_->PeakOf("testbed", 1), 410.5);
  EXPECT_EQ(*store_->PeakOf("testbed", 2), 800);
  EXPECT_EQ(*store_->PeakOf("other", 1), std::nullopt);
  EXPECT_EQ(store_->AppendPeak({"testbed", 1, 0, "", 1}).code(), StatusCode::kInvalidArgument);
}

// Four connections add the same 300 trials in different orders, and 40 of their own each.
TEST_P(TuningStoreTest, ConcurrentWritersLoseAndDoubleNothing) {
  const Task task = FakeTask(ManyConfigs());
  std::vector<Trial> shared;
  for (std::uint64_t i = 0; i < 300; ++i) {
    shared.push_back(OkTrial(task, i, 100, "shared " + std::to_string(i)));
  }
  std::vector<std::thread> writers;
  for (std::uint64_t w = 0; w < 4; ++w) {
    writers.emplace_back([&, w, store = database_->Connect()] {
      for (std::uint64_t i = 0; i < 40; ++i) {
        std::vector<Trial> batch = {
            OkTrial(task, 300 + 40 * w + i, 100, std::to_string(w) + "/" + std::to_string(i))};
        for (std::uint64_t s = 0; s < 8; ++s) batch.push_back(shared[(75 * w + 8 * i + s) % 300]);
        EXPECT_TRUE(store->Append(task, kHot, batch).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();

  std::set<std::string> uuids, configs;
  std::int64_t seq = 0;
  for (const TrialRecord& record : Records()) {
    EXPECT_EQ(record.seq, ++seq) << "without gaps";
    uuids.insert(record.trial.uuid);
    configs.insert(record.config_id);
  }
  EXPECT_EQ(seq, 300 + 4 * 40);
  EXPECT_EQ(uuids.size(), 460u);
  EXPECT_EQ(configs.size(), 460u);
}

TEST_P(TuningStoreTest, AConfigHasATrialOfEachKindOfTimesAndTheMeasuredOneIsBest) {
  const auto trial = [&](std::uint64_t index, double ns, const char* uuid, TimeKind kind) {
    Trial result = OkTrial(task_, index, ns, uuid);
    result.kind = kind;
    return result;
  };
  // The emulator finds config 1 faster, and everything faster than the device does.
  Append(task_, {trial(0, 20, "e0", TimeKind::kEmulated), trial(1, 10, "e1", TimeKind::kEmulated)});
  EXPECT_EQ(TheBest(), (std::pair{Id(1), 10.0}));
  Append(task_, {trial(1, 900, "m1", TimeKind::kMeasured)});
  Append(task_, {trial(1, 901, "m1 again", TimeKind::kMeasured)});
  EXPECT_EQ(TheBest(), (std::pair{Id(1), 900.0})) << "the first of its device";
  Append(task_, {trial(0, 800, "m0", TimeKind::kMeasured)});
  EXPECT_EQ(TheBest(), (std::pair{Id(0), 800.0}));

  const Trial confirmation = trial(1, 5, "e1 confirmed", TimeKind::kEmulated);
  ASSERT_TRUE(store_->AppendConfirmation(task_, kHot, confirmation).ok());
  EXPECT_EQ(TheBest(), (std::pair{Id(0), 800.0})) << "whatever an emulator confirms";
  const auto emulated = BestFor(*store_, task_, kHot, TimeKind::kEmulated);
  ASSERT_TRUE(emulated.ok() && *emulated);
  EXPECT_EQ((*emulated)->record.config_id, Id(1));
  EXPECT_EQ(RankTime((*emulated)->judged), 5);

  std::vector<std::string> found;
  for (const TrialRecord& record : Records()) {
    found.push_back(std::to_string(record.seq) + " " + record.trial.uuid + " " +
                    std::to_string(record.again.size()));
  }
  EXPECT_THAT(found, ElementsAre("1 e0 0", "2 e1 1", "3 m1 1", "4 m0 0"));
}

TEST_P(TuningStoreTest, ATrialOfAnotherKindOfTimesCannotBeConfirmed) {
  Append(task_, {OkTrial(task_, 0, 10, "m0")});
  Trial confirmation = OkTrial(task_, 0, 5, "e0");
  confirmation.kind = TimeKind::kEmulated;
  const Status status = store_->AppendConfirmation(task_, kHot, confirmation);
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(status), HasSubstr("no emulated trial"));
}

}  // namespace
}  // namespace kiln
