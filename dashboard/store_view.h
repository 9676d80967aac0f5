#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/trial_statistics.h"
#include "db/tuning_store.h"

namespace kiln {

// The file that a database is.
struct StoreFile {
  std::string path;
  std::int64_t bytes = 0, log_bytes = 0;       // of the file; of the write-ahead log beside it
  bool is_of_daemon = false;                   // which looks after it, and would know of backups
  std::optional<std::int64_t> last_backup_ms;  // that is known of
};

// Question 8: is the database well, and who writes?
struct StoreView {
  StoreFile file;
  std::int64_t tasks = 0, trials = 0, failed = 0, since = 0;
  std::int64_t last_ms = 0;  // of the last trial
  struct Writer {
    std::int64_t started_ms = 0, trials = 0;
    std::string command, host;
  };
  std::vector<Writer> writers;           // the newest
  std::int64_t sessions = 0;             // of all
  std::vector<UnknownWorkload> unknown;  // that this version cannot read
};
StoreView MakeStoreView(const StoreFile& file, const std::vector<TaskActivity>& tasks,
                        const TrialStatistics::Sessions& sessions,
                        std::vector<UnknownWorkload> unknown);

}  // namespace kiln
