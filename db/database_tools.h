#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

// What can be done with whole databases (docs/store.md, "Between databases"). Errors are those of
// TuningStore, and none leaves anything half done.

namespace kiln {

// What was new, and what was there already.
struct MergeCount {
  std::int64_t trials = 0, measurements = 0, peaks = 0, lines = 0;
  std::int64_t known_measurements = 0;
};

// Adds all that the databases `from` have to the one at `into`, which is made if it is missing, in
// one transaction. Equal sets of databases give equal contents, in whatever order, and merging
// again changes nothing. kInvalidArgument: one of `from` is `into`.
StatusOr<MergeCount> MergeDatabases(const std::string& into, std::span<const std::string> from);

// All that a database has as text, one JSON object a line (docs/store.md): ImportJsonl of it gives
// an equal database. All of it is in memory, about 1 KB a trial.
StatusOr<std::string> ExportJsonl(const std::string& database);

// Merges such a text into a database, in one transaction. kInvalidArgument: not such a text; the
// message names `name`, the line and what is wrong with it.
StatusOr<MergeCount> ImportJsonl(const std::string& database, std::string_view text,
                                 const std::string& name);

// What became of the lines of an AutoTVM log.
struct AutotvmCount {
  std::int64_t lines = 0;
  std::int64_t comments = 0;                // and blank ones
  std::map<std::string, std::int64_t> own;  // by status ("ok", "timeout"), of Kiln's templates
  // Of tasks that no template of Kiln computes: task, then status.
  std::map<std::string, std::map<std::string, std::int64_t>> foreign;
  struct Damage {
    std::int64_t line = 0;  // from 1
    std::string why;
  };
  std::vector<Damage> damaged;  // kept all the same
  std::int64_t known = 0;       // of all: they were here already and are not kept twice
};

// Keeps the lines of an AutoTVM v0.2 log, byte for byte. They are never trials, so never a best.
// kInvalidArgument: not one of the lines is a record.
StatusOr<AutotvmCount> ImportAutotvm(const std::string& database, std::string_view text,
                                     const std::string& name);

// The text of an AutoTVM v0.2 log: the imported lines as they came, then a line for every measurement
// of Kiln's own that such a log can express and that was not imported from one.
struct AutotvmExport {
  std::string text;
  std::int64_t imported = 0, own = 0;  // lines
  std::int64_t inexpressible = 0;      // measurements: censored, emulated, estimated
};
StatusOr<AutotvmExport> ExportAutotvm(const std::string& database);

// What is wrong in a database, a line each; empty: nothing. Reads all of it.
StatusOr<std::vector<std::string>> CheckDatabase(const std::string& database);

// Puts a copy of the database, of one moment while others write, at `copy`. kAlreadyExists: there is
// a file, and not `replace`.
Status BackUpDatabase(const std::string& database, const std::string& copy, bool replace);

// What a database holds, by the names that people know.
struct DatabaseCounts {
  std::int64_t bytes = 0;  // of the file and its log
  std::int64_t schema = 0;
  std::int64_t tasks = 0, trials = 0, measurements = 0, sessions = 0, peaks = 0;
  AutotvmCount imported;  // `known` has no meaning here; lines are numbered over all logs
  std::map<std::string, std::int64_t> targets, devices;  // trials and measurements of each
  std::map<std::string, std::int64_t> statuses;          // measurements of each
  std::map<std::string, std::int64_t> jobs;              // of the daemon's queue, by state
};
StatusOr<DatabaseCounts> CountDatabase(const std::string& database);

// What nothing refers to.
struct Garbage {
  std::int64_t tasks = 0;     // without trials
  std::int64_t sessions = 0;  // without trials, 30 days older than the newest: no tuner still runs
  std::int64_t free_bytes = 0;  // of the file
};
StatusOr<Garbage> FindGarbage(const std::string& database);
// Removes it, and says what it was. No trial, measurement, peak or imported line ever goes.
StatusOr<Garbage> RemoveGarbage(const std::string& database);

}  // namespace kiln
