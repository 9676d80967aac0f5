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

}  // namespace
}  // namespace kiln
