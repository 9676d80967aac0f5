#include "db/database_tools.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <sstream>
#include <thread>

#include "base/rng.h"
#include "db/schema.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::unique_ptr<TuningStore> Open(const std::string& path, Session session = {}) {
  auto store = OpenSqliteStore(path, OpenMode::kReadWrite, std::move(session));
  EXPECT_TRUE(store.ok()) << store.status();
  return *std::move(store);
}

std::string Jsonl(const std::string& path) {
  StatusOr<std::string> text = ExportJsonl(path);
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *std::move(text) : "";
}

// What a database has: its export, without the order of imported lines.
std::vector<std::string> Content(const std::string& path) {
  std::istringstream text(Jsonl(path));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  std::ranges::sort(lines);
  return lines;
}

MergeCount Merge(const std::string& into, std::vector<std::string> from) {
  const StatusOr<MergeCount> count = MergeDatabases(into, from);
  EXPECT_TRUE(count.ok()) << count.status();
  return count.ok() ? *count : MergeCount();
}

// A comment and a record that no template of Kiln can express.
std::string ForeignLog(int number) {
  return "# log " + std::to_string(number) +
         R"(
{"input": ["llvm", "conv2d_NCHWc_int8.x86", [], {}], "config": {"index": 1, "code_hash": null, "entity": [["tile_ic", "sp", [-1, 16]]]}, "result": [[1000000000.0], 6, 20, 17.5], "version": 0.2, "tvm_version": "0.12.0"}
)";
}

// ---- merge

// A database of trials of some configs, most of which others have too; with confirmations, failures,
// equal times of day, peaks and imported lines.
void FillAtRandom(const std::string& path, const std::string& name, Rng& rng) {
  const auto store = Open(path, {.started_ms = rng.Between(1, 5), .command = name, .seed = ~0ull});
  const std::array tasks = {FakeTask(), FakeTask(ManyConfigs())};
  for (int i = 0; i < 12; ++i) {
    const Task& task = tasks[rng.Below(2)];
    const CacheState cache = rng.Below(3) == 0 ? CacheState::kCold : CacheState::kHot;
    const std::string uuid = name + std::to_string(i);
    const std::uint64_t config = rng.Below(5);
    Trial trial = OkTrial(task, config, 100 + rng.Unit() * 50, uuid);
    if (rng.Below(4) == 0) trial = CensoredTrial(task, config, 300.5, uuid);
    if (rng.Below(4) == 0) {
      trial = FailedTrial(task, config, {Stage::kRun, FailureKind::kRuntimeError, "SIG\xff"}, uuid);
    }
    trial.kind = rng.Below(4) == 0 ? TimeKind::kEmulated : TimeKind::kMeasured;
    trial.device = "board-" + std::to_string(rng.Below(3));
    trial.measured_at_ms = 1000 + rng.Between(0, 8);
    trial.batch = rng.Between(0, 2);
    if (rng.Below(2) == 0) trial.predicted = -rng.Unit();
    EXPECT_TRUE(store->Append(task, cache, std::vector{trial}).ok());
    if (rng.Below(3) != 0) continue;
    trial.uuid += "-confirmed";
    trial.measured_at_ms += rng.Between(-2, 5);
    EXPECT_TRUE(store->AppendConfirmation(task, cache, trial).ok());
  }
  EXPECT_TRUE(store->AppendPeak({"testbed", 1, 1.5 + rng.Unit(), name, 7}).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(ImportAutotvm(path, ForeignLog(static_cast<int>(rng.Below(4))), "a log").ok());
  }
}

bool SeqsAreDense(const std::string& path) {
  const StatusOr<std::vector<std::string>> faults = CheckDatabase(path);
  return faults.ok() && faults->empty();
}

TEST(DatabaseToolsTest, MergesOfRandomDatabasesInAnyOrderHaveTheSameContent) {
  constexpr std::uint64_t kSeed = 14;
  for (std::uint64_t round = 0; round < 12; ++round) {
    SCOPED_TRACE("seed " + std::to_string(kSeed + round));
    Rng rng(kSeed + round);
    const TempDir dir;
    for (const char* name : {"w", "x", "y", "z"}) FillAtRandom(dir.File(name), name, rng);
    // Overlaps are copies of the same measurements, and others of the same configs.
    const std::string a = dir.File("a"), b = dir.File("b"), c = dir.File("c");
    Merge(a, {dir.File("x"), dir.File("y")});
    Merge(b, {dir.File("y"), dir.File("z")});
    Merge(c, {dir.File("z"), dir.File("x"), dir.File("w")});
    std::vector<std::string> order = {a, b, c};
    std::vector<std::string> expected;
    do {
      const std::string into = dir.File("merged");
      Merge(into, order);
      if (expected.empty()) expected = Content(into);
      EXPECT_EQ(Content(into), expected);
      EXPECT_TRUE(SeqsAreDense(into));
      const MergeCount again = Merge(into, order);
      EXPECT_EQ(again.trials + again.measurements + again.peaks + again.lines, 0);
      EXPECT_EQ(Content(into), expected) << "merging again";
      std::filesystem::remove(into);
      // One by one into a copy of the first, and into what was never merged before.
      EXPECT_TRUE(BackUpDatabase(order[0], into, false).ok());
      Merge(into, {order[2]});
      Merge(into, {order[1]});
      EXPECT_EQ(Content(into), expected) << "step by step";
      std::filesystem::remove(into);
    } while (std::ranges::next_permutation(order).found);
    Merge(dir.File("w"), {c, b, a});
    EXPECT_EQ(Content(dir.File("w")), expected) << "into one that was tuned into";
  }
}

TEST(DatabaseToolsTest, AnotherDevicesMeasurementIsKeptAndTrialsAreNumberedByTime) {
  const TempDir dir;
  const Task task = FakeTask();
  const auto trial = [&](std::uint64_t config, const std::string& uuid, std::int64_t ms,
                         const std::string& device) {
    Trial made = OkTrial(task, config, 10, uuid);
    made.measured_at_ms = ms;
    made.device = device;
    return std::vector{made};
  };
  ASSERT_TRUE(Open(dir.File("a"))->Append(task, CacheState::kHot, trial(0, "a0", 30, "pi")).ok());
  ASSERT_TRUE(Open(dir.File("b"))->Append(task, CacheState::kHot, trial(0, "b0", 20, "nano")).ok());
  ASSERT_TRUE(Open(dir.File("b"))->Append(task, CacheState::kHot, trial(1, "b1", 10, "nano")).ok());
  const MergeCount count = Merge(dir.File("a"), {dir.File("b")});
  EXPECT_EQ(count.trials, 1);
  EXPECT_EQ(count.measurements, 2);
  const auto records = *Open(dir.File("a"))->Records({});
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].trial.uuid, "b1");
  EXPECT_EQ(records[1].trial.uuid, "b0") << "the earliest is the one that it was tuned by";
  EXPECT_EQ(records[1].seq, 2);
  ASSERT_EQ(records[1].again.size(), 1u);
  EXPECT_EQ(records[1].again[0].trial.device, "pi");
  EXPECT_FALSE(records[1].again[0].confirms);
}

TEST(DatabaseToolsTest, AMergeThatFailsChangesNothing) {
  const TempDir dir;
  Rng rng(3);
  const std::string into = dir.File("into"), good = dir.File("good"), bad = dir.File("bad");
  FillAtRandom(into, "i", rng);
  FillAtRandom(good, "g", rng);
  FillAtRandom(bad, "b", rng);
  const std::string before = Jsonl(into);
  const auto expect_refusal = [&](const std::string& from, const std::string& why) {
    const auto count = MergeDatabases(into, std::vector{good, from});
    ASSERT_FALSE(count.ok());
    EXPECT_THAT(Message(count.status()), AllOf(HasSubstr(from), HasSubstr(why)));
    EXPECT_EQ(Jsonl(into), before);
  };
  SQLite::Database(bad, SQLite::OPEN_READWRITE)
      .exec(
          "UPDATE measurements SET status = 'cursed', stage = 'run', min_ns = NULL,"
          " bound_ns = NULL WHERE id = (SELECT max(id) FROM measurements)");
  expect_refusal(bad, "unknown status 'cursed'");
  SQLite::Database(bad, SQLite::OPEN_READWRITE)
      .exec("PRAGMA user_version = " + std::to_string(SchemaVersion() + 1));
  expect_refusal(bad, "was written by a newer Kiln");
  expect_refusal(dir.File("none"), "no database at");
  expect_refusal(into, "cannot be merged into itself");
  EXPECT_FALSE(MergeDatabases(dir.File("new"), std::vector{dir.File("none")}).ok());
  EXPECT_FALSE(std::filesystem::exists(dir.File("new")));
}

// ---- jsonl

TEST(DatabaseToolsTest, ImportOfAnExportGivesTheSameContent) {
  const TempDir dir;
  Rng rng(5);
  FillAtRandom(dir.File("x"), "x", rng);
  const std::string raw = "# not UTF-8: \xfe\r\n" + ForeignLog(1) + "# no newline";
  ASSERT_TRUE(ImportAutotvm(dir.File("x"), raw, "a log").ok());
  Merge(dir.File("a"), {dir.File("x")});
  const std::string text = Jsonl(dir.File("a"));
  const auto count = ImportJsonl(dir.File("b"), text, "a.jsonl");
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_GT(count->trials, 0);
  EXPECT_EQ(Jsonl(dir.File("b")), text);
  EXPECT_TRUE(SeqsAreDense(dir.File("b")));
  EXPECT_EQ(ImportJsonl(dir.File("b"), text, "a.jsonl")->measurements, 0);
  EXPECT_EQ(Jsonl(dir.File("b")), text);
}

TEST(DatabaseToolsTest, JsonlThatIsWrongIsRefusedWithItsLineAndChangesNothing) {
  const TempDir dir;
  const Task task = FakeTask();
  ASSERT_TRUE(Open(dir.File("a"))
                  ->Append(task, CacheState::kHot, std::vector{OkTrial(task, 0, 10, "u")})
                  .ok());
  const std::string text = Jsonl(dir.File("a"));
  const auto expect_refusal = [&](const std::string& from, const std::string& to) {
    std::string wrong = text;
    const std::size_t place = wrong.find(from);
    ASSERT_NE(place, std::string::npos) << from;
    wrong.replace(place, from.size(), to);
    const auto count = ImportJsonl(dir.File("b"), text + wrong, "a.jsonl");
    ASSERT_FALSE(count.ok()) << to;
    EXPECT_THAT(Message(count.status()),
                AllOf(HasSubstr("a.jsonl, line "), HasSubstr("nothing of the file was imported")));
    EXPECT_FALSE(std::filesystem::exists(dir.File("b")));
  };
  expect_refusal(R"("version":1)", R"("version":2)");
  expect_refusal(R"("type":"trial")", R"("type":"trail")");
  expect_refusal(R"("uuid":"u")", R"("uuid":"")");
  expect_refusal(R"("uuid":"u",)", "");
  expect_refusal(R"("threads":1)", R"("threads":0)");
  expect_refusal(R"("threads":1)", R"("threads":"1")");
  expect_refusal(R"("purpose":"tune")", R"("purpose":"repeat")");
  expect_refusal(R"("status":"ok")", R"("status":"fine")");
  expect_refusal(R"("samples_ns":[)", R"("samples_ns":[-1,)");
  expect_refusal(R"("samples_ns":[)", R"("samples_ns":["1",)");
  expect_refusal(R"("config_id":")", R"("config_id":"0)");
  expect_refusal(R"("code_digest":")", R"("code_digest":"0)");
  expect_refusal(R"({"type":"trial")", R"({"type":"trial)");
  EXPECT_FALSE(ImportJsonl(dir.File("b"), "", "a.jsonl").ok());
}

// ---- AutoTVM

TEST(DatabaseToolsTest, AnAutotvmLogComesBackByteForByteAndIsNeverABest) {
  const TempDir dir;
  const std::string log =
      ForeignLog(1) + "\n{\"truncated\": \n" + ForeignLog(2) + ForeignLog(1) + "# the end";
  const auto count = ImportAutotvm(dir.File("a"), log, "tune.log");
  ASSERT_TRUE(count.ok()) << count.status();
  EXPECT_EQ(count->lines, 9);
  EXPECT_EQ(count->comments, 5);
  EXPECT_EQ(count->foreign.at("conv2d_NCHWc_int8.x86").at("timeout"), 3);
  ASSERT_EQ(count->damaged.size(), 1u);
  EXPECT_EQ(count->damaged[0].line, 4);
  EXPECT_EQ(count->known, 0);
  EXPECT_EQ(ExportAutotvm(dir.File("a"))->text, log);
  EXPECT_EQ(ImportAutotvm(dir.File("a"), log, "tune.log")->known, 9);
  EXPECT_EQ(ExportAutotvm(dir.File("a"))->text, log);
  EXPECT_THAT(*Open(dir.File("a"))->Bests({}), IsEmpty());
  EXPECT_THAT(*Open(dir.File("a"))->Records({}), IsEmpty());
}

TEST(DatabaseToolsTest, OwnTrialsAreExportedAsAutotvmLinesOnce) {
  const TempDir dir;
  const Task task = FakeTask();
  Trial emulated = OkTrial(task, 1, 10, "e");
  emulated.kind = TimeKind::kEmulated;
  ASSERT_TRUE(Open(dir.File("a"))
                  ->Append(task, CacheState::kHot,
                           std::vector{OkTrial(task, 0, 10, "a"), emulated,
                                       CensoredTrial(task, 2, 40, "c")})
                  .ok());
  const auto log = ExportAutotvm(dir.File("a"));
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->own, 1);
  EXPECT_EQ(log->inexpressible, 2);
  // Into another database, where they are no trials; and into their own, where they are nothing new.
  for (const std::string name : {"a", "b"}) {
    const auto count = ImportAutotvm(dir.File(name), log->text, "own.log");
    ASSERT_TRUE(count.ok()) << count.status();
    EXPECT_EQ(count->own.at("ok"), 1);
    EXPECT_EQ(ExportAutotvm(dir.File(name))->text, log->text);
  }
  EXPECT_THAT(*Open(dir.File("b"))->Bests({}), IsEmpty());
}

TEST(DatabaseToolsTest, ImportedLinesAreHintsForTheirTaskAlone) {
  const TempDir dir;
  const Task task = FakeTask();
  Trial other_code = OkTrial(task, 1, 20, "b");
  other_code.code_digest = 7;
  ASSERT_TRUE(
      Open(dir.File("a"))
          ->Append(task, CacheState::kHot, std::vector{OkTrial(task, 0, 10, "a"), other_code})
          .ok());
  const auto log = ExportAutotvm(dir.File("a"));
  ASSERT_TRUE(ImportAutotvm(dir.File("b"), log->text + ForeignLog(3), "a log").ok());
  const auto store = Open(dir.File("b"));
  const auto hints = *store->Hints(task, CacheState::kHot);
  ASSERT_EQ(hints.size(), 2u);
  EXPECT_EQ(hints[0].config, task.space().At(0));
  EXPECT_EQ(RankTime(hints[0]), 10);
  EXPECT_EQ(hints[1].config, task.space().At(1)) << "whatever code it is of";
  EXPECT_THAT(*store->Hints(task, CacheState::kCold), IsEmpty());
  EXPECT_THAT(*Open(dir.File("a"))->Hints(task, CacheState::kHot), IsEmpty()) << "they are trials";
  EXPECT_THAT(*store->History(task, CacheState::kHot), IsEmpty());
}

TEST(DatabaseToolsTest, AFileThatIsNoLogIsRefused) {
  const TempDir dir;
  for (const std::string text : {"", "# only a comment\n", "\x89PNG\r\n", "{}\n", "[1]\n"}) {
    const auto count = ImportAutotvm(dir.File("a"), text, "tune.log");
    ASSERT_FALSE(count.ok()) << text;
    EXPECT_THAT(Message(count.status()), HasSubstr("tune.log is no AutoTVM v0.2 log"));
    EXPECT_FALSE(std::filesystem::exists(dir.File("a")));
  }
}

// ---- care

TEST(DatabaseToolsTest, CheckNamesEveryBrokenRule) {
  const TempDir dir;
  const std::string path = dir.File("a");
  const auto faults_after = [&](const std::string& damage) {
    std::filesystem::remove(path);
    const Task task = FakeTask();
    EXPECT_TRUE(Open(path)
                    ->Append(task, CacheState::kHot,
                             std::vector{OkTrial(task, 0, 10, "a"), OkTrial(task, 1, 11, "b"),
                                         FailedTrial(task, 2, {}, "f")})
                    .ok());
    SQLite::Database database(path, SQLite::OPEN_READWRITE);
    database.exec(damage);
    const auto faults = CheckDatabase(path);
    EXPECT_TRUE(faults.ok()) << faults.status();
    return faults.ok() ? *faults : std::vector<std::string>();
  };
  EXPECT_THAT(faults_after(""), IsEmpty());
  EXPECT_THAT(faults_after("UPDATE trials SET seq = 7 WHERE id = 3"),
              ElementsAre(HasSubstr("task 1 does not number its trials")));
  EXPECT_THAT(faults_after("UPDATE measurements SET purpose = 'repeat' WHERE uuid = 'a'"),
              ElementsAre(HasSubstr("trial 1 has no measurement that it was tuned by")));
  EXPECT_THAT(faults_after("UPDATE measurements SET kind = 'emulated' WHERE uuid = 'a'"),
              ElementsAre(HasSubstr("measurement a has another kind")));
  EXPECT_THAT(faults_after("UPDATE measurements SET samples = NULL WHERE uuid = 'a'"),
              ElementsAre(HasSubstr("measurement a has no samples")));
  EXPECT_THAT(faults_after("UPDATE measurements SET min_ns = 1 WHERE uuid = 'a'"),
              ElementsAre(HasSubstr("min_ns is not that of its samples")));
  EXPECT_THAT(faults_after("UPDATE measurements SET samples = '[' WHERE uuid = 'a'"),
              ElementsAre(HasSubstr("measurement a: ")));
  EXPECT_THAT(faults_after("UPDATE measurements SET status = 'cursed' WHERE uuid = 'f'"),
              ElementsAre(HasSubstr("unknown status 'cursed'")));
  EXPECT_THAT(faults_after("UPDATE trials SET config_id = 'x' WHERE id = 2"),
              ElementsAre(HasSubstr("trial 2 has a config_id that is not that of its labels")));
  EXPECT_THAT(faults_after("UPDATE trials SET code_digest = 'x' WHERE id = 2"),
              ElementsAre(HasSubstr("trial 2 cannot be read")));
  EXPECT_THAT(faults_after("PRAGMA foreign_keys = OFF; DELETE FROM sessions"),
              testing::Each(HasSubstr("refers to a row of sessions that is not there")));
}

TEST(DatabaseToolsTest, ABackupIsOfOneMomentWhileOthersWrite) {
  const TempDir dir;
  const std::string path = dir.File("a");
  const Task task = FakeTask(ManyConfigs());
  const auto store = Open(path);
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (std::uint64_t i = 0; !done && i < 2000; ++i) {
      const std::string n = std::to_string(i);
      // Both or none: what a copy of one moment has.
      const auto status = store->Append(
          task, CacheState::kHot,
          std::vector{OkTrial(task, 2 * i, 10, "a" + n), OkTrial(task, 2 * i + 1, 11, "b" + n)});
      if (!status.ok()) break;
    }
  });
  for (int i = 0; i < 8; ++i) {
    const std::string copy = dir.File("copy" + std::to_string(i));
    const Status status = BackUpDatabase(path, copy, false);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_TRUE(SeqsAreDense(copy));
    EXPECT_EQ(CountDatabase(copy)->trials % 2, 0);
  }
  done = true;
  writer.join();
  EXPECT_EQ(BackUpDatabase(path, dir.File("copy0"), false).code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(BackUpDatabase(path, dir.File("copy0"), true).ok());
  EXPECT_EQ(Jsonl(dir.File("copy0")), Jsonl(path));
  EXPECT_FALSE(BackUpDatabase(path, path, true).ok());
  EXPECT_FALSE(BackUpDatabase(path, dir.File("no/such/copy"), true).ok());
  for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
    EXPECT_THAT(file.path().string(), testing::Not(HasSubstr(".part-")));
  }
}

TEST(DatabaseToolsTest, GarbageIsWhatNothingRefersTo) {
  const TempDir dir;
  const std::string path = dir.File("a");
  Rng rng(11);
  FillAtRandom(path, "x", rng);
  const std::string before = Jsonl(path);
  SQLite::Database(path, SQLite::OPEN_READWRITE)
      .exec(
          "INSERT INTO tasks (workload, target, threads, cache, template)"
          " VALUES ('w', 't', 1, 'hot', 'x');"
          "INSERT INTO sessions (started_ms, command, seed, compiler, host)"
          " VALUES (-3000000000, 'old', '0', '', ''), (6, 'runs', '0', '', '');"
          "CREATE TABLE big AS SELECT randomblob(1000000) AS x; DROP TABLE big");
  const std::int64_t bytes = CountDatabase(path)->bytes;
  const auto found = FindGarbage(path);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->tasks, 1);
  EXPECT_EQ(found->sessions, 1);
  EXPECT_GT(found->free_bytes, 900'000);
  EXPECT_EQ(FindGarbage(path)->tasks, 1) << "looking removes nothing";
  EXPECT_EQ(RemoveGarbage(path)->tasks, 1);
  const auto left = FindGarbage(path);
  EXPECT_EQ(left->tasks + left->sessions + left->free_bytes, 0);
  EXPECT_LT(CountDatabase(path)->bytes, bytes);
  EXPECT_EQ(Jsonl(path), before);
  EXPECT_TRUE(SeqsAreDense(path));
  EXPECT_EQ(RemoveGarbage(dir.File("none")).status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(dir.File("none")));
}

}  // namespace
}  // namespace kiln
