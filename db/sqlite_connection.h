#pragma once

#include <chrono>
#include <exception>
#include <memory>
#include <string>

#include "base/status.h"
#include "db/tuning_store.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
}

namespace kiln {

// How long a connection waits for other writers.
inline constexpr std::chrono::milliseconds kBusyTimeout{10'000};

// A connection to a database of the present schema: WAL, foreign keys on, synchronous NORMAL,
// waiting up to kBusyTimeout for other writers, checkpoints under the write lock only
// (db/checkpoint_lock.h). Creates and migrates as OpenSqliteStore says.
StatusOr<std::unique_ptr<SQLite::Database>> OpenConnection(const std::string& path, OpenMode mode);

// What a caught exception of SQLite or of the JSON parser means for the database at `path`, and
// what to do about it: TuningStore lists the codes. `patience`: how long its connection waits.
Status Explain(const std::exception& error, const std::string& path,
               std::chrono::milliseconds patience = kBusyTimeout);

}  // namespace kiln
