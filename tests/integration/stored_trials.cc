#include "tests/integration/stored_trials.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <map>
#include <set>

namespace kiln {
namespace {

constexpr int kBusyMs = 10'000;

}  // namespace

struct WriteLock::Held {
  explicit Held(const std::string& path) : database(path, SQLite::OPEN_READWRITE, kBusyMs) {}
  SQLite::Database database;
  SQLite::Transaction transaction{database, SQLite::TransactionBehavior::IMMEDIATE};
};
WriteLock::WriteLock(const std::string& path) : held_(std::make_unique<Held>(path)) {}
WriteLock::~WriteLock() = default;

std::vector<StoredTrial> ReadTrials(const std::string& path) {
  std::vector<StoredTrial> trials;
  if (!std::filesystem::exists(path)) return trials;
  SQLite::Database database(path, SQLite::OPEN_READONLY, kBusyMs);
  // The tuner makes the file before the tables.
  if (database.execAndGet("SELECT count(*) FROM sqlite_master WHERE name = 'kiln_trials'")
          .getInt() == 0) {
    return trials;
  }
  SQLite::Statement rows(
      database, "SELECT task_id, seq, config_id, status FROM kiln_trials ORDER BY task_id, seq");
  while (rows.executeStep()) {
    trials.push_back({rows.getColumn(0).getInt64(), rows.getColumn(1).getInt64(),
                      rows.getColumn(2).getString(), rows.getColumn(3).getString()});
  }
  return trials;
}

std::string Integrity(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READONLY, kBusyMs);
  SQLite::Statement references(database, "PRAGMA foreign_key_check");
  if (references.executeStep()) return "rows that refer to nothing";
  return database.execAndGet("PRAGMA integrity_check").getString();
}

bool AreDistinctAndInOrder(const std::vector<StoredTrial>& trials) {
  std::map<std::int64_t, std::set<std::string>> configs;
  for (const StoredTrial& trial : trials) {
    std::set<std::string>& seen = configs[trial.task_id];
    if (!seen.insert(trial.config_id).second) return false;
    if (trial.seq != static_cast<std::int64_t>(seen.size())) return false;
  }
  return true;
}

}  // namespace kiln
