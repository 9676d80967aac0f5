#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "db/trial_statistics.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
class Statement;
}  // namespace SQLite

namespace kiln {

// This is the SQL of TrialStatistics, within a transaction of the caller's. Throws as SQLite does,
// and std::runtime_error for rows that no Kiln wrote. Borrows the connection.
class StatisticsTables {
 public:
  explicit StatisticsTables(SQLite::Database& database) : database_(database) {}

  std::vector<TaskActivity> Tasks(std::int64_t since_ms);
  FailureSummary Failures(std::int64_t since_ms, std::size_t limit);
  std::vector<DeviceActivity> Devices(std::int64_t since_ms);
  std::vector<DeviceReading> Readings(std::int64_t since_ms);
  std::vector<Repetition> Repetitions();
  std::vector<std::vector<BestSoFarCurve>> Curves(std::span<const TaskNames> tasks);
  TrialStatistics::Sessions NewestSessions(std::size_t limit);

 private:
  SQLite::Database& database_;
};

}  // namespace kiln
