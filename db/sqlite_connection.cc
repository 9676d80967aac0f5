#include "db/sqlite_connection.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "db/checkpoint_lock.h"
#include "db/schema.h"
#include "db/stored_keys.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;

// Makes the directories that are missing, for their owner alone (XDG Base Directory Specification).
Status MakeDirectory(const fs::path& directory) {
  std::error_code ignored;
  if (directory.empty() || fs::is_directory(directory, ignored)) return {};
  RETURN_IF_ERROR(MakeDirectory(directory.parent_path()));
  if (mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return Error(StatusCode::kPermissionDenied, "cannot make the directory ", directory.string(),
               " for the database: ", std::strerror(errno));
}

// Every byte that a URI might take for syntax as %XX.
std::string ImmutableUri(const std::string& path) {
  constexpr char kHexDigits[] = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z');
    if (plain || std::strchr("/._-", c) != nullptr) {
      uri += c;
    } else {
      uri += {'%', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
    }
  }
  return uri + "?immutable=1";
}

// Whether the file, new or of some version, is one that this program may use. Looks at one state of
// it: an empty file that another program is just making a database of must not look like a mixture.
Status CheckOwner(SQLite::Database& database, const std::string& path, OpenMode mode) {
  const SQLite::Transaction snapshot(database);
  const int version = UserVersion(database);
  const int id = database.execAndGet("PRAGMA application_id").getInt();
  const bool empty = database.execAndGet("SELECT count(*) FROM sqlite_schema").getInt() == 0;
  if (id != kApplicationId && !(id == 0 && version == 0 && empty)) {
    return Error(StatusCode::kFailedPrecondition, path,
                 " is a database of another program, not of Kiln: name another file");
  }
  if (version > SchemaVersion()) {
    return Error(StatusCode::kFailedPrecondition, path, " was written by a newer Kiln (schema ",
                 version, ", this one knows ", SchemaVersion(), "): update Kiln");
  }
  if (mode == OpenMode::kReadOnly && version == 0) {
    return Error(StatusCode::kFailedPrecondition, path,
                 " is empty: `kiln tune` makes a database of it");
  }
  return {};
}

// SQLite does not always wait for a lock when the journal mode changes, so that two programs which
// create one database at once need this.
void UseWriteAheadLog(SQLite::Database& database) {
  const auto deadline = std::chrono::steady_clock::now() + kBusyTimeout;
  for (;;) {
    try {
      database.execAndGet("PRAGMA journal_mode = WAL");
      return;
    } catch (const SQLite::Exception& error) {
      if (error.getErrorCode() != SQLITE_BUSY || std::chrono::steady_clock::now() > deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

using Connection = std::unique_ptr<SQLite::Database>;

// `vfs`: the default one, if empty.
StatusOr<Connection> Connect(const std::string& name, int flags, const std::string& path,
                             OpenMode mode, const std::string& vfs = {}) {
  auto database =
      std::make_unique<SQLite::Database>(name, flags, static_cast<int>(kBusyTimeout.count()), vfs);
  RETURN_IF_ERROR(CheckOwner(*database, path, mode));
  database->exec("PRAGMA temp_store = MEMORY");  // also where no other file can be written
  return database;
}

StatusOr<Connection> ConnectToWrite(const std::string& file, const std::string& path) {
  RETURN_IF_ERROR(MakeDirectory(fs::path(file).parent_path()));
  ASSIGN_OR_RETURN(Connection database, Connect(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                                                path, OpenMode::kReadWrite, CheckpointLockVfs()));
  UseWriteAheadLog(*database);
  database->exec("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON");
  Migrate(*database, SchemaMigrations());
  RespellKeys(*database);
  return database;
}

// Whether there is a write-ahead log with something in it.
bool HasLog(const std::string& file) {
  std::error_code error;
  const auto size = fs::file_size(file + "-wal", error);
  return !error && size > 0;
}

// Reading never changes the file, so a database of an older Kiln is brought up to date in memory.
// What an older Kiln writes to it from now on is not seen.
Connection UpToDate(Connection database) {
  if (UserVersion(*database) == SchemaVersion()) return database;
  auto copy =
      std::make_unique<SQLite::Database>(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  if (SQLite::Backup(*copy, *database).executeStep() != SQLITE_DONE) {
    throw SQLite::Exception("it cannot be copied now", SQLITE_BUSY);
  }
  copy->exec("PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = ON");
  Migrate(*copy, SchemaMigrations());
  return copy;
}

// A database in WAL mode needs shared memory beside the file, which a directory that cannot be
// written does not give; without a log, nobody is writing and the file can be read as it stands.
StatusOr<Connection> ConnectToRead(const std::string& file, const std::string& path) {
  std::error_code error;
  if (!fs::exists(file, error)) {
    return Error(StatusCode::kNotFound, "no database at ", path, ": `kiln tune` makes one");
  }
  try {
    ASSIGN_OR_RETURN(Connection database,
                     Connect(file, SQLite::OPEN_READONLY, path, OpenMode::kReadOnly));
    return UpToDate(std::move(database));
  } catch (const SQLite::Exception& failure) {
    const int code = failure.getErrorCode();
    if ((code != SQLITE_CANTOPEN && code != SQLITE_READONLY) || HasLog(file)) throw;
  }
  ASSIGN_OR_RETURN(Connection database,
                   Connect(ImmutableUri(file), SQLite::OPEN_READONLY | SQLite::OPEN_URI, path,
                           OpenMode::kReadOnly));
  return UpToDate(std::move(database));
}

// "10 s", "250 ms"
std::string Words(std::chrono::milliseconds time) {
  const auto ms = time.count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

Status ExplainSqlite(int code, const std::string& what, const std::string& path,
                     std::chrono::milliseconds patience) {
  switch (code) {
    case SQLITE_NOTADB:
      return Error(StatusCode::kFailedPrecondition, path,
                   " is not a database: name another file with --db");
    case SQLITE_CORRUPT:
      return Error(StatusCode::kDataLoss, path, " is damaged (", what,
                   "): restore a backup, or move it away to start afresh");
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return Error(StatusCode::kPermissionDenied, "cannot write ", path, " (", what,
                   "): make it and its directory writable, or name another file with --db");
    case SQLITE_CANTOPEN:
      return Error(StatusCode::kPermissionDenied, "cannot open ", path, " (", what,
                   "): it must be a file that you may read, in a directory that you may write");
    case SQLITE_FULL:
      return Error(StatusCode::kResourceExhausted, "the disk is full: nothing of this batch is in ",
                   path, "; free some space, then it can go on");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Error(StatusCode::kUnavailable, path, " has been locked by another program for ",
                   Words(patience), ": is one hanging?");
    default:
      return Error(StatusCode::kInternal, path, ": ", what);
  }
}

}  // namespace

Status Explain(const std::exception& error, const std::string& path,
               std::chrono::milliseconds patience) {
  if (const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&error)) {
    return ExplainSqlite(sqlite->getErrorCode() & 0xFF, sqlite->what(), path, patience);
  }
  return Error(StatusCode::kDataLoss, path, " holds a damaged record (", error.what(),
               "): restore a backup, or move it away to start afresh");
}

StatusOr<std::unique_ptr<SQLite::Database>> OpenConnection(const std::string& path, OpenMode mode) {
  std::error_code error;
  const std::string file = fs::absolute(path, error).string();
  if (path.empty() || error) {
    return Error(StatusCode::kInvalidArgument, "'", path, "' is not the name of a file");
  }
  if (fs::is_directory(file, error)) {
    return Error(StatusCode::kFailedPrecondition, path, " is a directory, not a database");
  }
  try {
    return mode == OpenMode::kReadWrite ? ConnectToWrite(file, path) : ConnectToRead(file, path);
  } catch (const std::exception& failure) {
    return Explain(failure, path);
  }
}

}  // namespace kiln
