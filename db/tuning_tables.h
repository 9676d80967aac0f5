#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "db/best_choice.h"
#include "db/tuning_store.h"

namespace SQLite {  // NOLINT(readability-identifier-naming): the library's
class Database;
class Statement;
}  // namespace SQLite

namespace kiln {

// This reads and writes the rows of the tables in db/schema.cc. It knows SQL and nothing of
// transactions, threads or errors: everything throws SQLite::Exception, or std::exception for rows
// that no Kiln wrote. Borrows the connection.
class TuningTables {
 public:
  explicit TuningTables(SQLite::Database& database) : database_(database) {}

  // Insert a row and return its id; a task that is there is found.
  std::int64_t AddSession(const Session& session);
  std::int64_t AddTask(const TrialRecord& record);
  // With the next seq of the task, and its tuning measurement.
  void AddTrial(std::int64_t task, std::int64_t session, const TrialRecord& record);
  // Another measurement of a trial that is there.
  void AddAgain(std::int64_t trial, const Remeasurement& more);

  void AddPeak(const Peak& peak);
  std::optional<double> HighestPeak(const std::string& target, std::int32_t threads);

  // By target, threads, rate, device and time.
  std::vector<Peak> ReadPeaks();
  // Unless there is the same one.
  bool AddPeakIfNew(const Peak& peak);

  // Lines of AutoTVM logs with their newlines, in the order in which they were imported.
  void AddLine(const std::string& raw);
  std::vector<std::string> ReadLines();
  std::vector<std::string> ReadLinesWith(const std::string& text);  // somewhere in them

  Session ReadSession(std::int64_t session);
  // A session that says the same, or a new one.
  std::int64_t FindOrAddSession(const Session& session);

  // When and by which measurement a trial was tuned.
  struct Tuned {
    std::int64_t measured_at_ms = 0;
    std::string uuid;
    auto operator<=>(const Tuned&) const = default;  // NOLINT(modernize-use-nullptr)
  };
  Tuned TunedBy(std::int64_t trial);

  // Makes another measurement of the trial, which is there, the one that it was tuned by; and takes
  // from the record what belongs to it.
  void MakeTuned(std::int64_t trial, std::int64_t session, const TrialRecord& record);

  bool HasMeasurement(const std::string& uuid);
  // The trial of a task with this record's config, code digest and kind.
  std::optional<std::int64_t> FindTrial(std::int64_t task, const TrialRecord& record);

  // By task, then seq. `kernel_template`: all, if unset.
  std::vector<TrialRecord> ReadRecords(const BestQuery& query,
                                       const std::optional<std::string>& kernel_template = {});
  TrialRecord ReadRecord(std::int64_t trial);

  // The candidates of one (workload, target, threads, cache), and the ids of the trials that they
  // number.
  struct Contest {
    std::vector<BestCandidate> candidates;
    std::vector<std::int64_t> trials;
  };
  // `before_ms`: of the measurements before that time alone, and of trials that were tuned by then.
  std::vector<Contest> ReadContests(const BestQuery& query,
                                    std::optional<std::int64_t> before_ms = {});

 private:
  void AddMeasurement(std::int64_t trial, const char* purpose, const Trial& measurement);

  SQLite::Database& database_;
};

}  // namespace kiln
