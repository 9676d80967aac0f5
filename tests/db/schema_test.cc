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

TEST(SchemaTest, Version3HasATrialForEachKindOfTimes) {
  SQLite::Database database(":memory:", kCreate);
  database.exec("PRAGMA foreign_keys = ON");
  Migrate(database, SchemaMigrations().first(2));
  database.exec(R"sql(
    INSERT INTO sessions VALUES (1, 0, 'kiln tune', '0', '', '');
    INSERT INTO tasks VALUES (1, 'w', 't', 1, 'hot', 'x');
    INSERT INTO trials VALUES (7, 1, 1, 'c1', '{}', 'd1', NULL, 0, 1), (9, 1, 2, 'c2', '{}', 'd2', -1.5, 3, 1);
    INSERT INTO measurements (uuid, trial_id, purpose, kind, measured_ms, status, min_ns) VALUES
      ('a', 7, 'tune', 'measured', 0, 'ok', 10), ('b', 9, 'tune', 'emulated', 0, 'ok', 20),
      ('c', 9, 'confirm', 'emulated', 0, 'ok', 21),
      ('d', 9, 'tune', 'measured', 0, 'ok', 300), ('e', 9, 'confirm', 'measured', 0, 'ok', 400);
  )sql");
  Migrate(database, SchemaMigrations());
  EXPECT_EQ(
      database
          .execAndGet("SELECT group_concat(id || config_id || kind || seq || batch) FROM trials")
          .getString(),
      "7c1measured10,9c2emulated23,10c2measured33");
  EXPECT_EQ(
      database
          .execAndGet(
              "SELECT sum(m.min_ns * t.seq) FROM measurements m JOIN trials t ON m.trial_id = t.id")
          .getInt(),
      1 * 10 + 2 * 41 + 3 * 700);
  EXPECT_EQ(database.execAndGet("SELECT group_concat(status || seq) FROM kiln_trials").getString(),
            "ok1,ok2,ok3");
  SQLite::Statement broken(database, "PRAGMA foreign_key_check");
  EXPECT_FALSE(broken.executeStep());
  // The same config, of another kind.
  database.exec("INSERT INTO trials VALUES (20, 1, 4, 'c1', '{}', 'd1', 'estimated', NULL, 0, 1)");
  EXPECT_THROW(
      database.exec(
          "INSERT INTO trials VALUES (11, 1, 4, 'c1', '{}', 'd1', 'estimated', NULL, 0, 1)"),
      SQLite::Exception);
}

}  // namespace
}  // namespace kiln
