#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <utility>

#include "db/autotvm_log.h"
#include "db/database_tools.h"
#include "db/schema.h"
#include "db/sqlite_connection.h"
#include "db/tuning_tables.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

using Connection = std::unique_ptr<SQLite::Database>;
using SQLite::Statement;

// A new file beside the one that it is to become, which goes again unless it is kept. It is locked as
// long as its maker lives.
class Draft {
 public:
  explicit Draft(const std::string& of)
      : path_(of + kPart + std::to_string(getpid())),
        fd_(open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
    if (fd_ >= 0 && flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    const int error = errno;
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    errno = error;
  }
  ~Draft() {
    if (fd_ < 0) return;
    if (!kept_) unlink(path_.c_str());
    close(fd_);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  bool ok() const { return fd_ >= 0; }
  const std::string& path() const { return path_; }
  void Keep() { kept_ = true; }

  // Removes drafts of makers that were killed.
  static void RemoveDead(const std::string& of) {
    std::error_code ignored;
    const fs::path directory = fs::absolute(of, ignored).parent_path();
    const std::string prefix = fs::path(of).filename().string() + kPart;
    for (const auto& entry : fs::directory_iterator(directory, ignored)) {
      if (!entry.path().filename().string().starts_with(prefix)) continue;
      const int fd = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
      if (fd < 0) continue;
      if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(entry.path().c_str());
      close(fd);
    }
  }

 private:
  static constexpr char kPart[] = ".part-";
  const std::string path_;
  int fd_ = -1;
  bool kept_ = false;
};

Status CannotWrite(const std::string& path) {
  return Error(errno == ENOSPC ? StatusCode::kResourceExhausted : StatusCode::kPermissionDenied,
               "cannot write ", path, ": ", std::strerror(errno));
}

// 0, or errno. EINVAL: a file system that has no need.
bool Sync(const std::string& path, int flags) {
  const int fd = open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = fsync(fd) == 0 || errno == EINVAL;
  const int error = errno;
  close(fd);
  errno = error;
  return synced;
}

// Puts the draft in the place of `path`: where it must be new, not over what somebody put there
// meanwhile.
Status Publish(Draft& draft, const std::string& path, bool replace) {
  if (!Sync(draft.path(), O_RDONLY)) return CannotWrite(path);
  if (replace) {
    if (std::rename(draft.path().c_str(), path.c_str()) != 0) return CannotWrite(path);
    draft.Keep();
  } else if (link(draft.path().c_str(), path.c_str()) != 0) {
    return CannotWrite(path);
  }
  Sync(fs::absolute(path).parent_path().string(), O_RDONLY | O_DIRECTORY);
  return {};
}

std::int64_t CountOf(SQLite::Database& database, const std::string& table) {
  return database.execAndGet("SELECT count(*) FROM " + table).getInt64();
}

std::map<std::string, std::int64_t> CountsOf(SQLite::Database& database, const char* query) {
  Statement row(database, query);
  std::map<std::string, std::int64_t> counts;
  while (row.executeStep()) counts[row.getColumn(0).getString()] = row.getColumn(1).getInt64();
  return counts;
}

std::int64_t SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

constexpr const char* kEmptyTasks = " FROM tasks WHERE id NOT IN (SELECT task_id FROM trials)";
constexpr const char* kIdleSessions =
    " FROM sessions WHERE id NOT IN (SELECT session_id FROM trials)"
    " AND started_ms < (SELECT max(started_ms) FROM sessions) - 30 * 86400000";

Garbage FindGarbageIn(SQLite::Database& database) {
  const auto count = [&](const std::string& what) {
    return database.execAndGet("SELECT count(*)" + what).getInt64();
  };
  return {count(kEmptyTasks), count(kIdleSessions),
          database.execAndGet("PRAGMA freelist_count").getInt64() *
              database.execAndGet("PRAGMA page_size").getInt64()};
}

}  // namespace

Status BackUpDatabase(const std::string& database, const std::string& copy, bool replace) {
  std::error_code error;
  if (fs::equivalent(database, copy, error)) {
    return Error(StatusCode::kInvalidArgument, copy, " is the database itself: name another file");
  }
  if (fs::is_directory(copy, error)) {
    return Error(StatusCode::kInvalidArgument, copy, " is a directory: name a file in it");
  }
  if (!replace && fs::exists(fs::symlink_status(copy, error))) {
    return Error(StatusCode::kAlreadyExists, copy,
                 " is there already: name another file, or --force");
  }
  ASSIGN_OR_RETURN(const Connection connection, OpenConnection(database, OpenMode::kReadOnly));
  Draft::RemoveDead(copy);
  Draft draft(copy);
  if (!draft.ok()) return CannotWrite(copy);
  try {
    Statement vacuum(*connection, "VACUUM INTO ?");
    vacuum.bind(1, draft.path());
    vacuum.exec();
  } catch (const std::exception& failure) {
    return Explain(failure, copy);
  }
  return Publish(draft, copy, replace);
}

StatusOr<DatabaseCounts> CountDatabase(const std::string& database) {
  ASSIGN_OR_RETURN(const Connection connection, OpenConnection(database, OpenMode::kReadOnly));
  DatabaseCounts counts;
  try {
    const SQLite::Transaction snapshot(*connection);
    counts.bytes = SizeOf(database) + SizeOf(database + "-wal");
    counts.schema = UserVersion(*connection);
    counts.tasks = CountOf(*connection, "tasks");
    counts.trials = CountOf(*connection, "trials");
    counts.measurements = CountOf(*connection, "measurements");
    counts.sessions = CountOf(*connection, "sessions");
    counts.peaks = CountOf(*connection, "peaks");
    for (const std::string& line : TuningTables(*connection).ReadLines()) {
      CountLine(line, counts.imported);
    }
    counts.targets =
        CountsOf(*connection,
                 "SELECT target, count(*) FROM trials t JOIN tasks k ON k.id = t.task_id"
                 " GROUP BY target");
    counts.devices = CountsOf(*connection,
                              "SELECT device, count(*) FROM measurements WHERE device IS NOT NULL"
                              " GROUP BY device");
    counts.statuses =
        CountsOf(*connection, "SELECT status, count(*) FROM measurements GROUP BY status");
    counts.jobs = CountsOf(*connection, "SELECT state, count(*) FROM jobs GROUP BY state");
  } catch (const std::exception& error) {
    return Explain(error, database);
  }
  return counts;
}

StatusOr<Garbage> FindGarbage(const std::string& database) {
  ASSIGN_OR_RETURN(const Connection connection, OpenConnection(database, OpenMode::kReadOnly));
  try {
    const SQLite::Transaction snapshot(*connection);
    return FindGarbageIn(*connection);
  } catch (const std::exception& error) {
    return Explain(error, database);
  }
}

StatusOr<Garbage> RemoveGarbage(const std::string& database) {
  std::error_code error;
  if (!fs::exists(database, error)) {
    return Error(StatusCode::kNotFound, "no database at ", database, ": `kiln tune` makes one");
  }
  ASSIGN_OR_RETURN(const Connection connection, OpenConnection(database, OpenMode::kReadWrite));
  try {
    SQLite::Transaction transaction(*connection, SQLite::TransactionBehavior::IMMEDIATE);
    Garbage garbage = FindGarbageIn(*connection);
    connection->exec(std::string("DELETE") + kEmptyTasks);
    connection->exec(std::string("DELETE") + kIdleSessions);
    transaction.commit();
    connection->exec("VACUUM");
    connection->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
    return garbage;
  } catch (const std::exception& failure) {
    return Explain(failure, database);
  }
}

}  // namespace kiln
