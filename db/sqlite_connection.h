#pragma once

#include <exception>
#include <memory>
#include <string>

#include "base/status.h"
#include "db/tuning_store.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
}

namespace kiln {

// A connection to a database of the present schema: WAL, foreign keys on, synchronous NORMAL,
// waiting up to ten seconds for other writers, checkpoints under the write lock only
// (db/checkpoint_lock.h). Creates and migrates as OpenSqliteStore says.
StatusOr<std::unique_ptr<SQLite::Database>> OpenConnection(const std::string& path, OpenMode mode);

// What a caught exception of SQLite or of the JSON parser means for the database at `path`, and
// what to do about it: TuningStore lists the codes.
Status Explain(const std::exception& error, const std::string& path);

}  // namespace kiln
