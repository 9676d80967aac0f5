#include "db/schema.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <array>

#include "db/tuning_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

const int kCreate = SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE;

// Three versions of a small schema: the mechanism does not care what it migrates.
constexpr std::array<std::string_view, 3> kSteps = {
    "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)",
    "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1",
    "INSERT INTO a SELECT x * 10, y * 10 FROM a"};

int Sum(SQLite::Database& database) {
  return database.execAndGet("SELECT sum(x) * 100 + sum(y) FROM a").getInt();
}

TEST(SchemaTest, EveryOlderVersionReachesTheSameSchema) {
  for (std::size_t oldest = 0; oldest <= kSteps.size(); ++oldest) {
    SQLite::Database database(":memory:", kCreate);
    Migrate(database, Migrations(kSteps).first(oldest));
    EXPECT_EQ(UserVersion(database), static_cast<int>(oldest));
    Migrate(database, kSteps);
    EXPECT_EQ(UserVersion(database), 3);
    EXPECT_EQ(Sum(database), 11 * 100 + 22) << "from version " << oldest;
    Migrate(database, kSteps);
    EXPECT_EQ(Sum(database), 11 * 100 + 22) << "nothing is done twice";
  }
}

TEST(SchemaTest, AMigrationThatFailsChangesNothing) {
  constexpr std::array<std::string_view, 3> kBroken = {kSteps[0], kSteps[1], "UPDATE nothing"};
  SQLite::Database database(":memory:", kCreate);
  Migrate(database, Migrations(kBroken).first(1));
  EXPECT_THROW(Migrate(database, kBroken), SQLite::Exception);
  EXPECT_EQ(UserVersion(database), 1);
  EXPECT_THROW(database.exec("SELECT y FROM a"), SQLite::Exception);
}

TEST(SchemaTest, ADatabaseOfEveryVersionOpensAndTakesTrials) {
  const Task task = FakeTask();
  for (int version = 0; version <= SchemaVersion(); ++version) {
    const TempDir dir;
    const std::string path = dir.File("old.db");
    {
      SQLite::Database database(path, kCreate);
      Migrate(database, SchemaMigrations().first(static_cast<std::size_t>(version)));
    }
    auto store = OpenSqliteStore(path, OpenMode::kReadWrite);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(
        (*store)->Append(task, CacheState::kHot, std::vector{OkTrial(task, 0, 10, "a")}).ok());
    EXPECT_EQ((*store)->Records({})->size(), 1u);
    SQLite::Database database(path);
    EXPECT_EQ(UserVersion(database), SchemaVersion());
    EXPECT_EQ(database.execAndGet("PRAGMA application_id").getInt(), kApplicationId);
    EXPECT_EQ(database.execAndGet("PRAGMA journal_mode").getString(), "wal");
  }
}

// What version 1 held is there after the migration, and the view still has a row for each trial.
TEST(SchemaTest, VersionTwoTakesAFurtherKindOfTimesForAnOldTrial) {
  const Task task = FakeTask();
  const TempDir dir;
  const std::string path = dir.File("old.db");
  {
    SQLite::Database database(path, kCreate);
    Migrate(database, SchemaMigrations());
  }
  Trial emulated = OkTrial(task, 0, 10, "e");
  emulated.kind = TimeKind::kEmulated;
  const Trial measured = OkTrial(task, 0, 20, "m");
  const std::vector<Trial> trials = {emulated, measured};
  {
    auto store = OpenSqliteStore(path, OpenMode::kReadWrite);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->Append(task, CacheState::kHot, std::span(trials).first(1)).ok());
  }
  {  // back to what version 1 looked like
    SQLite::Database database(path, SQLite::OPEN_READWRITE);
    database.exec(
        "DROP VIEW kiln_trials; DROP INDEX one_tuning_measurement;"
        "CREATE UNIQUE INDEX one_tuning_measurement ON measurements (trial_id)"
        " WHERE purpose = 'tune';"
        "CREATE VIEW kiln_trials (task_id, config_id, status, seq) AS"
        " SELECT t.task_id, t.config_id, m.status, t.seq"
        " FROM trials t JOIN measurements m ON m.trial_id = t.id WHERE m.purpose = 'tune';"
        "PRAGMA user_version = 1");
  }
  auto store = OpenSqliteStore(path, OpenMode::kReadWrite);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->Append(task, CacheState::kHot, std::span(trials).last(1)).ok());
  EXPECT_EQ((*store)->Records({})->size(), 2u);
  EXPECT_EQ((*store)->Bests({})->at(0).record.trial.uuid, "m");
  SQLite::Database database(path);
  EXPECT_EQ(database.execAndGet("SELECT count(*) FROM kiln_trials").getInt(), 1);
}

}  // namespace
}  // namespace kiln
