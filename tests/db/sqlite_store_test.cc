// What the SQLite store promises beyond the contract of all stores: files, processes, errors.

#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>

#include <barrier>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "db/schema.h"
#include "db/tuning_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/child.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr CacheState kHot = CacheState::kHot;
constexpr uid_t kNobody = 65534;

// While it lives, a test that is run by root has no more rights than others.
class WithoutRoot {
 public:
  WithoutRoot() : root_(geteuid() == 0) {
    if (root_ && seteuid(kNobody) != 0) std::abort();
  }
  ~WithoutRoot() {
    if (root_ && seteuid(0) != 0) std::abort();
  }

 private:
  bool root_;
};

std::string Bytes(const std::string& file) {
  std::ostringstream bytes;
  bytes << std::ifstream(file, std::ios::binary).rdbuf();
  return bytes.str();
}

class SqliteStoreTest : public ::testing::Test {
 protected:
  static std::unique_ptr<TuningStore> Open(const std::string& path,
                                           OpenMode mode = OpenMode::kReadWrite) {
    auto store = OpenSqliteStore(path, mode);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  static Status OpenError(const std::string& path, OpenMode mode = OpenMode::kReadWrite) {
    return OpenSqliteStore(path, mode).status();
  }
  // A closed database with trials 0 .. count-1 of task_.
  std::string Stored(std::uint64_t count, const std::string& name = "tuning.db") {
    std::vector<Trial> trials;
    for (std::uint64_t i = 0; i < count; ++i) {
      trials.push_back(OkTrial(task_, i, 100, std::to_string(i)));
    }
    const Status status = Open(dir_.File(name))->Append(task_, kHot, trials);
    EXPECT_TRUE(status.ok()) << status;
    return dir_.File(name);
  }

  TempDir dir_;
  const std::string path_ = dir_.File("tuning.db");
  const Task task_ = FakeTask(ManyConfigs());
};

TEST_F(SqliteStoreTest, MakesMissingDirectoriesForTheOwnerAlone) {
  const std::string path = dir_.File("new/kiln/tuning.db");
  ASSERT_NE(Open(path), nullptr);
  for (const char* directory : {"new", "new/kiln"}) {
    struct stat info {};
    ASSERT_EQ(stat(dir_.File(directory).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u) << directory;
  }
}

TEST_F(SqliteStoreTest, KeepsTrialsFromRunToRunInOneFile) {
  Stored(20);
  EXPECT_FALSE(fs::exists(path_ + "-wal")) << "checkpointed when closed";
  EXPECT_THAT(*Open(path_)->History(task_, kHot), SizeIs(20));
}

TEST_F(SqliteStoreTest, TheViewOfTrialsHasStableColumnsAndWords) {
  Open(path_)
      ->Append(
          task_, kHot,
          std::vector{OkTrial(task_, 0, 10, "a"), CensoredTrial(task_, 1, 20, "b"),
                      FailedTrial(task_, 2, {Stage::kRun, FailureKind::kRuntimeError, ""}, "c")})
      .IgnoreError();
  ASSERT_TRUE(Open(path_)->AppendConfirmation(task_, kHot, OkTrial(task_, 0, 11, "a2")).ok());
  SQLite::Database database(path_);
  SQLite::Statement view(database,
                         "SELECT task_id, config_id, status, seq FROM kiln_trials ORDER BY seq");
  std::vector<std::string> rows;
  while (view.executeStep()) {
    rows.push_back(view.getColumn(1).getString() + " " + view.getColumn(2).getString() + " " +
                   view.getColumn(3).getString());
    EXPECT_EQ(view.getColumn(0).getInt(), 1);
  }
  const auto id = [&](std::uint64_t i) { return task_.space().Id(task_.space().At(i)); };
  EXPECT_THAT(rows,
              ElementsAre(id(0) + " ok 1", id(1) + " censored 2", id(2) + " runtime_error 3"));
}

TEST_F(SqliteStoreTest, ASessionIsStoredWithItsFirstTrial) {
  const Session session{1'700'000'000'000, "kiln tune --seed 7", ~std::uint64_t{0}, "clang 19",
                        "box"};
  const auto sessions = [&] {
    SQLite::Database database(path_);
    SQLite::Statement row(database,
                          "SELECT started_ms || ' ' || command || ' ' || sessions.seed || ' ' ||"
                          " compiler || ' ' || host || ' ' || count(trials.id)"
                          " FROM sessions LEFT JOIN trials ON session_id = sessions.id"
                          " GROUP BY sessions.id");
    std::vector<std::string> rows;
    while (row.executeStep()) rows.push_back(row.getColumn(0).getString());
    return rows;
  };
  {
    auto store = *OpenSqliteStore(path_, OpenMode::kReadWrite, session);
    EXPECT_THAT(sessions(), SizeIs(0));
    for (std::uint64_t i = 0; i < 3; ++i) {
      ASSERT_TRUE(
          store->Append(task_, kHot, std::vector{OkTrial(task_, i, 10, std::to_string(i))}).ok());
    }
  }
  EXPECT_THAT(sessions(), ElementsAre("1700000000000 kiln tune --seed 7 18446744073709551615 "
                                      "clang 19 box 3"));
}

TEST_F(SqliteStoreTest, AReaderSeesWhatAWriterAddsMeanwhile) {
  auto writer = Open(path_);
  auto reader = Open(path_, OpenMode::kReadOnly);
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_THAT(*reader->Records({}), SizeIs(i));
    ASSERT_TRUE(
        writer->Append(task_, kHot, std::vector{OkTrial(task_, i, 10, std::to_string(i))}).ok());
  }
  EXPECT_THAT(*reader->Bests({}), SizeIs(1));
  writer.reset();
  EXPECT_THAT(*reader->Records({}), SizeIs(3));
}

TEST_F(SqliteStoreTest, AReaderNeverChangesTheFile) {
  Stored(5);
  const std::string before = Bytes(path_);
  {
    auto reader = Open(path_, OpenMode::kReadOnly);
    EXPECT_THAT(*reader->History(task_, kHot), SizeIs(5));
    const Status status = reader->Append(task_, kHot, std::vector{OkTrial(task_, 9, 1, "new")});
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(Message(status), AllOf(HasSubstr(path_), HasSubstr("for reading only")));
  }
  EXPECT_EQ(Bytes(path_), before);
}

TEST_F(SqliteStoreTest, ADirectoryThatCannotBeWrittenCanBeRead) {
  const std::string path = Stored(5, "a b?c#d%41.db");
  fs::permissions(dir_.path(), fs::perms(0555));
  const WithoutRoot unprivileged;
  auto reader = Open(path, OpenMode::kReadOnly);
  EXPECT_THAT(*reader->History(task_, kHot), SizeIs(5));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 1) << "no other file appears";
}

// A database whose log still holds trials must not be read without them.
TEST_F(SqliteStoreTest, AnUnreadableLogIsAnErrorNotLostTrials) {
  const TempDir copy;
  auto writer = Open(path_);
  ASSERT_TRUE(writer->Append(task_, kHot, std::vector{OkTrial(task_, 0, 10, "a")}).ok());
  fs::copy(path_, copy.File("tuning.db"));
  fs::copy(path_ + "-wal", copy.File("tuning.db-wal"));
  fs::permissions(copy.path(), fs::perms(0555));
  const WithoutRoot unprivileged;
  const Status status = OpenError(copy.File("tuning.db"), OpenMode::kReadOnly);
  EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
  EXPECT_THAT(Message(status), HasSubstr(copy.File("tuning.db")));
}

TEST_F(SqliteStoreTest, ADatabaseThatCannotBeWrittenIsRefusedWhenOpened) {
  Stored(1);
  fs::permissions(path_, fs::perms(0444));
  fs::permissions(dir_.path(), fs::perms(0555));
  const WithoutRoot unprivileged;
  for (const std::string& path : {path_, dir_.File("new.db"), dir_.File("sub/new.db")}) {
    const Status status = OpenError(path);
    EXPECT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
    EXPECT_THAT(Message(status), HasSubstr(dir_.path().string()));
  }
}

TEST_F(SqliteStoreTest, NothingToReadIsSaidClearly) {
  const Status missing = OpenError(path_, OpenMode::kReadOnly);
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(missing), HasSubstr("no database at " + path_ + ": `kiln tune` makes one"));
  EXPECT_FALSE(fs::exists(path_));

  std::ofstream(path_).flush();
  const Status empty = OpenError(path_, OpenMode::kReadOnly);
  EXPECT_EQ(empty.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(empty), HasSubstr(path_ + " is empty"));
  EXPECT_EQ(OpenError("").code(), StatusCode::kInvalidArgument);
}

TEST_F(SqliteStoreTest, AnEmptyFileBecomesADatabase) {
  std::ofstream(path_).flush();
  Stored(1);
  EXPECT_THAT(*Open(path_)->Records({}), SizeIs(1));
}

TEST_F(SqliteStoreTest, OtherFilesAreRefusedAndLeftAlone) {
  std::ofstream(path_) << "task,best\n" << std::string(5000, 'x');
  const std::string foreign = dir_.File("foreign.db");
  SQLite::Database(foreign, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE photos (name TEXT)");
  for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly}) {
    const Status text = OpenError(path_, mode);
    EXPECT_EQ(text.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(Message(text), StartsWith(path_ + " is not a database"));
    const std::string before = Bytes(foreign);
    const Status other = OpenError(foreign, mode);
    EXPECT_EQ(other.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(Message(other), StartsWith(foreign + " is a database of another program"));
    EXPECT_EQ(Bytes(foreign), before);
    const Status directory = OpenError(dir_.path().string(), mode);
    EXPECT_EQ(directory.code(), StatusCode::kFailedPrecondition);
    EXPECT_EQ(Message(directory), dir_.path().string() + " is a directory, not a database");
  }
  EXPECT_THAT(Bytes(path_), StartsWith("task,best"));
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefusedAndLeftAlone) {
  Stored(1);
  SQLite::Database(path_, SQLite::OPEN_READWRITE)
      .exec("PRAGMA user_version = " + std::to_string(SchemaVersion() + 1));
  const std::string before = Bytes(path_);
  for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly}) {
    const Status status = OpenError(path_, mode);
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(Message(status), HasSubstr("was written by a newer Kiln (schema " +
                                           std::to_string(SchemaVersion() + 1) +
                                           ", this one knows " + std::to_string(SchemaVersion())));
  }
  EXPECT_EQ(Bytes(path_), before);
}

TEST_F(SqliteStoreTest, DamageIsReported) {
  Stored(400);
  std::string bytes = Bytes(path_);
  ASSERT_GT(bytes.size(), 16u * 4096);
  std::fill(bytes.begin() + 5 * 4096, bytes.end(), '\xA5');
  std::ofstream(path_, std::ios::binary) << bytes;
  for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly}) {
    auto store = OpenSqliteStore(path_, mode);
    const Status status = store.ok() ? (*store)->Records({}).status() : store.status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << status;
    EXPECT_THAT(Message(status), AllOf(StartsWith(path_ + " is damaged"), HasSubstr("backup")));
  }
  std::ofstream(path_, std::ios::binary) << bytes.substr(0, 3 * 4096 + 100);
  auto store = OpenSqliteStore(path_, OpenMode::kReadWrite);
  const Status cut = store.ok() ? (*store)->Bests({}).status() : store.status();
  EXPECT_EQ(cut.code(), StatusCode::kDataLoss) << cut;
}

TEST_F(SqliteStoreTest, ARowThatNoKilnWroteIsReported) {
  for (const char* damage :
       {"UPDATE trials SET labels = '{\"tile\"'", "UPDATE trials SET code_digest = 'xyz'",
        "UPDATE measurements SET samples = '[1, \"a\"]'",
        "UPDATE measurements SET status = 'melted', stage = 'run', min_ns = NULL"}) {
    fs::remove(path_);
    Stored(1);
    SQLite::Database(path_, SQLite::OPEN_READWRITE).exec(damage);
    const Status status = Open(path_)->Records({}).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << damage;
    EXPECT_THAT(Message(status), StartsWith(path_ + " holds a damaged record")) << damage;
  }
}

// Whoever comes while another one creates the tables sees all of them or none.
TEST_F(SqliteStoreTest, ManyCreateADatabaseAtOnce) {
  constexpr int kOpeners = 4;
  for (int round = 0; round < 25; ++round) {
    const std::string path = dir_.File(std::to_string(round) + ".db");
    std::barrier start(kOpeners);
    std::vector<Status> opened(kOpeners);
    {
      std::vector<std::jthread> threads;
      for (Status& status : opened) {
        threads.emplace_back([&] {
          start.arrive_and_wait();
          status = OpenError(path);
        });
      }
    }
    EXPECT_THAT(opened, testing::Each(absl::OkStatus())) << "round " << round;
  }
}

TEST_F(SqliteStoreTest, TwoProcessesAndTwoThreadsShareADatabase) {
  Child first({KILN_STORE_WRITER, path_, "x", "0", "120"});
  Child second({KILN_STORE_WRITER, path_, "y", "60", "120"});
  std::size_t seen = 0;
  while (!first.ReadLine().empty()) {
    const auto reader = Open(path_, OpenMode::kReadOnly);
    ASSERT_TRUE(reader);
    const auto records = reader->Records({});
    ASSERT_TRUE(records.ok()) << records.status();
    EXPECT_GE(records->size(), seen);
    seen = records->size();
  }
  while (!second.ReadLine().empty()) continue;
  EXPECT_EQ(first.Wait(), 0);
  EXPECT_EQ(second.Wait(), 0);

  std::set<std::string> configs;
  std::int64_t seq = 0;
  const std::vector<TrialRecord> records = *Open(path_)->Records({});
  for (const TrialRecord& record : records) {
    EXPECT_EQ(record.seq, ++seq);
    configs.insert(record.config_id);
  }
  EXPECT_EQ(seq, 180) << "60 configs were offered by both";
  EXPECT_EQ(configs.size(), 180u);
  std::size_t measurements = records.size();
  for (const TrialRecord& record : records) measurements += record.again.size();
  EXPECT_EQ(measurements, 240u) << "both measurements of a config are kept";
}

TEST_F(SqliteStoreTest, AKilledWriterLosesNothingThatItWasToldIsStored) {
  std::uint64_t from = 0;
  for (int round = 0; round < 5; ++round) {
    Child writer({KILN_STORE_WRITER, path_, "x", std::to_string(from), "1000"});
    std::uint64_t acknowledged = from;
    for (int i = 0; i < 10 + 7 * round; ++i) {
      const std::string line = writer.ReadLine();
      ASSERT_FALSE(line.empty());
      acknowledged = std::stoull(line) + 1;
    }
    writer.Kill();
    writer.Wait();

    auto store = Open(path_);
    const std::vector<Trial> history = *store->History(task_, kHot);
    EXPECT_GE(history.size(), acknowledged);
    for (std::size_t i = 0; i < history.size(); ++i) {
      EXPECT_THAT(history[i], SameTrial(OkTrial(task_, i, 100, "x" + std::to_string(i))));
    }
    SQLite::Database database(path_);
    EXPECT_EQ(database.execAndGet("PRAGMA integrity_check").getString(), "ok");
    EXPECT_EQ(database.execAndGet("SELECT count(*) FROM trials").getInt(),
              database.execAndGet("SELECT count(*) FROM measurements").getInt());
    from = history.size();
  }
}

TEST_F(SqliteStoreTest, AFullDiskIsAnErrorAndLeavesNothingHalfWritten) {
  Child probe({KILN_FULL_DISK_PROBE, dir_.path().string()});
  std::istringstream line(probe.ReadLine());
  const int exit = probe.Wait();
  if (exit == 77)
    GTEST_SKIP() << "this system allows no mount namespace: the full disk is not tested";
  ASSERT_EQ(exit, 0);
  int code = 0;
  std::size_t acknowledged = 0, stored = 0;
  std::string integrity, message;
  line >> code >> acknowledged >> stored >> integrity;
  std::getline(line, message);
  EXPECT_EQ(code, static_cast<int>(StatusCode::kResourceExhausted)) << message;
  EXPECT_THAT(message, AllOf(HasSubstr("the disk is full"), HasSubstr(path_)));
  EXPECT_GT(acknowledged, 0u);
  EXPECT_EQ(stored, acknowledged);
  EXPECT_EQ(integrity, "ok");
}

}  // namespace
}  // namespace kiln
