#pragma once

#include <optional>
#include <vector>

#include "db/tuning_store.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
}

// Workload keys outlive the version of Kiln that wrote them. A later one may spell the key of a
// computation otherwise, or not know the computation at all (ops/workload_key.h). Nothing is lost
// by that: what is only spelt otherwise gets its present key, the rest is told.
//
// Each function looks at every distinct key once, some microseconds each, and throws
// SQLite::Exception.

namespace kiln {

// Gives the tasks whose keys are spelt otherwise today their present ones, in one transaction.
// Where there is a task of that key already, the two become one: its trials are those of both, in
// the order in which they were measured, numbered anew; of a trial that both have, all measurements
// are kept. Leaves the write lock alone if there is nothing to do.
void RespellKeys(SQLite::Database& database);

// This is the same for who may not write, on one connection.
class RespeltKeys {
 public:
  // Until the end of the present transaction, the names of the tables mean respelt copies of them.
  // Costs as much as copying all, where there is something to respell; where there was nothing, and
  // nobody has written since, next to nothing.
  void Show(SQLite::Database& database);

 private:
  std::optional<int> nothing_at_;  // SQLite's data_version
};

// The stored workloads whose keys cannot be read.
std::vector<UnknownWorkload> FindUnknownWorkloads(SQLite::Database& database);

}  // namespace kiln
