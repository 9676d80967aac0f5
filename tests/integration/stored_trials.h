#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace kiln {

// A row of the stable view kiln_trials.
struct StoredTrial {
  std::int64_t task_id = 0;
  std::int64_t seq = 0;
  std::string config_id;
  std::string status;
  auto operator<=>(const StoredTrial&) const = default;
};

// What a script would read, with nothing but SQLite: by task, then seq. Empty as long as there is
// no database.
std::vector<StoredTrial> ReadTrials(const std::string& database);

// This holds the write lock of a database, as another program that is long about it.
class WriteLock {
 public:
  explicit WriteLock(const std::string& database);
  ~WriteLock();
  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  struct Held;
  std::unique_ptr<Held> held_;
};

// SQLite's own check, and that of references between tables: "ok", or what is wrong.
std::string Integrity(const std::string& database);

// Whether each task has every config at most once, and numbers its trials from 1 without gaps.
bool AreDistinctAndInOrder(const std::vector<StoredTrial>& trials);

}  // namespace kiln
