#include "db/schema.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <array>

#include "db/database_tools.h"
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
  Migrate(database, SchemaMigrations().first(3));
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

// A trial that worked and was confirmed, one that failed and one that was cut off, as each version
// wrote them.
void FillAsVersion(int version, SQLite::Database& database) {
  database.exec(R"sql(
    INSERT INTO sessions VALUES (3, 1700000000000, 'kiln tune', '7', 'clang 19', 'box');
    INSERT INTO tasks VALUES (5, 'conv2d/i8/n1h8w8c16/o16/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lohi/rq=gen/double',
                              'testbed', 2, 'cold', 'fake.portable');
    CREATE TEMP TABLE written AS SELECT column1 AS id, 5 AS task_id, column2 AS seq, column3 AS config_id,
        column4 AS labels, column5 AS code_digest, column6 AS predicted, column7 AS batch, 3 AS session_id
      FROM (VALUES (7, 1, 'c1', '{"tile":"1"}', '00000000000000d1', -1.5, 4),
                   (8, 2, 'c2', '{"tile":"2"}', '00000000000000d2', NULL, 4),
                   (9, 3, 'c3', '{"tile":"4"}', '0000000000000000', NULL, 5));
  )sql");
  const std::string kind = version < 3 ? "" : ", 'measured'";  // a column of trials since version 3
  database.exec(
      "INSERT INTO trials (id, task_id, seq, config_id, labels, code_digest, predicted,"
      " batch, session_id" +
      std::string(version < 3 ? "" : ", kind") + ") SELECT *" + kind + " FROM written");
  database.exec(R"sql(
    INSERT INTO measurements (id, uuid, trial_id, purpose, kind, device, measured_ms, status, stage, message,
                              samples, calls, min_ns, median_ns, bound_ns) VALUES
      (11, 'a', 7, 'tune', 'measured', 'board-1', 17, 'ok', NULL, NULL, '[12.5,11.25]', 3, 11.25, 11.875, NULL),
      (12, 'b', 8, 'tune', 'measured', 'board-1', 18, 'censored', NULL, NULL, '[40.0]', 2, 40.0, 40.0, 40.0),
      (13, 'c', 9, 'tune', 'measured', NULL, 19, 'invalid_config', 'lower', 'no', NULL, NULL, NULL, NULL, NULL),
      (14, 'd', 7, 'confirm', 'measured', 'board-2', 20, 'ok', NULL, NULL, '[13.0]', 4, 13.0, 13.0, NULL);
    INSERT INTO peaks VALUES (1, 'testbed', 2, 410.5, 'board-1', 16);
  )sql");
}

TEST(SchemaTest, ADatabaseOfEveryVersionKeepsAllThatIsInIt) {
  for (int version = 1; version < SchemaVersion(); ++version) {
    SCOPED_TRACE("from version " + std::to_string(version));
    const TempDir dir;
    const std::string path = dir.File("old.db");
    {
      SQLite::Database database(path, kCreate);
      database.exec("PRAGMA journal_mode = WAL");
      Migrate(database, SchemaMigrations().first(static_cast<std::size_t>(version)));
      FillAsVersion(version, database);
    }
    for (const OpenMode mode : {OpenMode::kReadOnly, OpenMode::kReadWrite}) {
      auto store = OpenSqliteStore(path, mode);
      ASSERT_TRUE(store.ok()) << store.status();
      const std::vector<TrialRecord> records = *(*store)->Records({});
      ASSERT_EQ(records.size(), 3u);
      EXPECT_EQ(*(*store)->PeakOf("testbed", 2), 410.5);
      EXPECT_EQ((*store)->Bests({})->at(0).judged.uuid, "d");
      EXPECT_EQ(CountDatabase(path)->imported.lines, 0);

      Trial ok;
      ok.uuid = "a";
      ok.code_digest = 0xd1;
      ok.outcome = Timings{{12.5, 11.25}, 3};
      ok.device = "board-1";
      ok.measured_at_ms = 17;
      ok.predicted = -1.5;
      ok.batch = 4;
      EXPECT_THAT(records[0].trial, SameTrial(ok));
      EXPECT_EQ(records[0].threads, 2);
      EXPECT_EQ(records[0].cache, CacheState::kCold);
      EXPECT_EQ(records[0].config_id, "c1");
      EXPECT_EQ(records[0].labels, (ConfigLabels{{"tile", "1"}}));
      ok.uuid = "d";
      ok.outcome = Timings{{13}, 4};
      ok.device = "board-2";
      ok.measured_at_ms = 20;
      ASSERT_EQ(records[0].again.size(), 1u);
      EXPECT_TRUE(records[0].again[0].confirms);
      EXPECT_THAT(records[0].again[0].trial, SameMeasurement(ok));
      EXPECT_EQ(std::get<Censored>(records[1].trial.outcome).bound_ns, 40);
      EXPECT_EQ(std::get<Failure>(records[2].trial.outcome).message, "no");
      EXPECT_EQ(records[2].trial.device, "");
      if (mode == OpenMode::kReadWrite) continue;
      SQLite::Database file(path);
      EXPECT_EQ(UserVersion(file), version) << "reading changes nothing";
    }

    SQLite::Database database(path);
    EXPECT_EQ(database.execAndGet("PRAGMA integrity_check").getString(), "ok");
    SQLite::Statement broken(database, "PRAGMA foreign_key_check");
    EXPECT_FALSE(broken.executeStep());
    EXPECT_EQ(
        database.execAndGet("SELECT group_concat(config_id || status || seq) FROM kiln_trials")
            .getString(),
        "c1ok1,c2censored2,c3invalid_config3");
    EXPECT_EQ(database.execAndGet("SELECT command || seed FROM sessions").getString(),
              "kiln tune7");
  }
}

}  // namespace
}  // namespace kiln
