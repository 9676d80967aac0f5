// Databases whose keys another version of Kiln wrote. They are made by hand: a key is respelt, or
// made one that nobody can read, behind the back of the store.

#include "db/stored_keys.h"

#include <SQLiteCpp/SQLiteCpp.h>

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

class StoredKeysTest : public ::testing::TestWithParam<OpenMode> {
 protected:
  // The dilation of a kernel of one tap, which says nothing, was not always left out of keys.
  static std::string OldSpelling(std::string key) {
    key.replace(key.find("d1x1"), 4, "d2x3");
    return key;
  }
  void Store(const std::vector<Trial>& trials, const std::string& path) {
    auto store = OpenSqliteStore(path, OpenMode::kReadWrite);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Append(task_, kHot, trials).ok());
  }
  void Rename(const std::string& key, const std::string& path) {
    SQLite::Database database(path, SQLite::OPEN_READWRITE);
    SQLite::Statement rename(database, "UPDATE tasks SET workload = ? WHERE workload = ?");
    rename.bind(1, key);
    rename.bind(2, key_);
    EXPECT_EQ(rename.exec(), 1);
  }
  Trial At(std::uint64_t index, double ns, const std::string& uuid, std::int64_t at_ms) {
    Trial trial = OkTrial(task_, index, ns, uuid);
    trial.measured_at_ms = at_ms;
    return trial;
  }
  std::unique_ptr<TuningStore> Open() {
    auto store = OpenSqliteStore(path_, GetParam());
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  // "seq uuid again..." of each trial under the present key.
  std::vector<std::string> Found(const TuningStore& store) {
    std::vector<std::string> found;
    const std::vector<TrialRecord> records = *store.Records({.workload = key_});
    for (const TrialRecord& record : records) {
      found.push_back(std::to_string(record.seq) + " " + record.trial.uuid);
      for (const Remeasurement& more : record.again) {
        found.back() += " " + more.trial.uuid + (more.confirms ? "!" : "");
      }
    }
    return found;
  }

  const TempDir dir_;
  const std::string path_ = dir_.File("tuning.db");
  const Task task_ = FakeTask();
  const std::string key_ = Key(task_.workload());
};

INSTANTIATE_TEST_SUITE_P(Modes, StoredKeysTest,
                         ::testing::Values(OpenMode::kReadWrite, OpenMode::kReadOnly),
                         [](const auto& test) {
                           return test.param == OpenMode::kReadOnly ? "Reading" : "Writing";
                         });

TEST_P(StoredKeysTest, TrialsOfAnotherSpellingAreFoundUnderThePresentKey) {
  Store({OkTrial(task_, 0, 20, "a"), OkTrial(task_, 1, 10, "b")}, path_);
  Rename(OldSpelling(key_), path_);
  const auto store = Open();
  EXPECT_THAT(Found(*store), ElementsAre("1 a", "2 b"));
  EXPECT_THAT(*store->History(task_, kHot), SizeIs(2));
  const auto best = BestFor(*store, task_, kHot);
  ASSERT_TRUE(best.ok() && *best);
  EXPECT_EQ((*best)->judged.uuid, "b");
  EXPECT_EQ(store->Bests({})->at(0).record.workload, key_);
  EXPECT_THAT(*store->Records({}), SizeIs(2));
  EXPECT_THAT(*store->UnknownWorkloads(), IsEmpty());
}

// One task that was tuned under both spellings: the trials are merged as they were measured.
TEST_P(StoredKeysTest, TasksOfOneComputationBecomeOneTask) {
  Store({At(0, 50, "a", 10), At(1, 40, "b", 20), At(2, 30, "c", 50)}, path_);
  {
    auto store = *OpenSqliteStore(path_, OpenMode::kReadWrite);
    ASSERT_TRUE(store->AppendConfirmation(task_, kHot, At(1, 41, "b2", 60)).ok());
  }
  Rename(OldSpelling(key_), path_);
  {
    // As a tuner of the present version finds it: nothing of this task yet.
    SQLite::Database database(path_, SQLite::OPEN_READWRITE);
    database.exec("INSERT INTO tasks SELECT 100, '" + key_ +
                  "', target, threads, cache, template FROM tasks;"
                  "INSERT INTO trials SELECT id + 100, 100, seq, config_id, labels, code_digest,"
                  " kind, predicted, batch, session_id FROM trials WHERE seq IN (1, 2);"
                  "INSERT INTO measurements (uuid, trial_id, purpose, kind, device, measured_ms,"
                  " status, samples, calls, min_ns, median_ns)"
                  " SELECT uuid || '/new', trial_id + 100, purpose, kind, device, measured_ms + 15,"
                  " status, samples, calls, min_ns - 20, median_ns FROM measurements"
                  " WHERE uuid IN ('a', 'b')");
    database.exec("UPDATE trials SET config_id = 'other' WHERE id = 101");
  }
  const auto store = Open();
  EXPECT_THAT(Found(*store), ElementsAre("1 a", "2 a/new", "3 b/new b b2!", "4 c"));
  const std::vector<Best> bests = *store->Bests({});
  ASSERT_THAT(bests, SizeIs(1));
  EXPECT_EQ(bests[0].judged.uuid, "b2") << "the only confirmed one";
  EXPECT_EQ(bests[0].trials, 4);
  EXPECT_THAT(*store->Records({}), SizeIs(4));
}

TEST_P(StoredKeysTest, WhatCannotBeReadIsToldAndKept) {
  Store({OkTrial(task_, 0, 20, "a"), OkTrial(task_, 1, 10, "b")}, path_);
  Rename("pool2d/i8/n1h8w8c16", path_);
  const auto store = Open();
  const std::vector<UnknownWorkload> unknown = *store->UnknownWorkloads();
  ASSERT_THAT(unknown, SizeIs(1));
  EXPECT_EQ(unknown[0].workload, "pool2d/i8/n1h8w8c16");
  EXPECT_EQ(unknown[0].trials, 2);
  EXPECT_THAT(unknown[0].why, HasSubstr("expected one of conv2d"));
  EXPECT_THAT(*store->Records({}), SizeIs(2));
  EXPECT_THAT(*store->History(task_, kHot), IsEmpty());
}

using ReadKeysTest = StoredKeysTest;

INSTANTIATE_TEST_SUITE_P(Modes, ReadKeysTest, ::testing::Values(OpenMode::kReadOnly),
                         [](const auto&) { return "Reading"; });

TEST_P(ReadKeysTest, KeysAreReadAnewForEveryQuestion) {
  Store({OkTrial(task_, 0, 20, "a")}, path_);
  const auto store = Open();
  EXPECT_THAT(Found(*store), ElementsAre("1 a"));
  Rename(OldSpelling(key_), path_);
  EXPECT_THAT(Found(*store), ElementsAre("1 a"));
  EXPECT_THAT(Found(*store), ElementsAre("1 a"));
}

// A writer leaves the database respelt for all others.
TEST(StoredKeysFileTest, OpeningToWriteRespellsOnceAndForAll) {
  const TempDir dir;
  const std::string path = dir.File("tuning.db");
  const Task task = FakeTask();
  const auto key = [&] {
    SQLite::Database database(path, SQLite::OPEN_READWRITE);
    return database.execAndGet("SELECT workload FROM tasks").getString();
  };
  ASSERT_TRUE((*OpenSqliteStore(path, OpenMode::kReadWrite))
                  ->Append(task, kHot, std::vector{OkTrial(task, 0, 20, "a")})
                  .ok());
  SQLite::Database(path, SQLite::OPEN_READWRITE)
      .exec("UPDATE tasks SET workload = replace(workload, 'd1x1', 'd2x3')");
  ASSERT_TRUE(OpenSqliteStore(path, OpenMode::kReadOnly).ok());
  EXPECT_NE(key(), Key(task.workload())) << "a reader changes nothing";
  ASSERT_TRUE(OpenSqliteStore(path, OpenMode::kReadWrite).ok());
  EXPECT_EQ(key(), Key(task.workload()));
}

}  // namespace
}  // namespace kiln
