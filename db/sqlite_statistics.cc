#include <SQLiteCpp/SQLiteCpp.h>

#include <utility>

#include "absl/synchronization/mutex.h"
#include "db/sqlite_connection.h"
#include "db/statistics_rules.h"
#include "db/statistics_tables.h"
#include "db/stored_keys.h"
#include "db/trial_statistics.h"
#include "db/tuning_tables.h"

namespace kiln {
namespace {

// This puts the SQL behind one lock and turns exceptions into errors.
class SqliteStatistics final : public TrialStatistics {
 public:
  SqliteStatistics(std::string path, std::unique_ptr<SQLite::Database> database)
      : path_(std::move(path)), database_(std::move(database)) {}

  StatusOr<std::vector<TaskActivity>> Tasks(std::int64_t since_ms) const override {
    return Read([&](SQLite::Database& d) { return StatisticsTables(d).Tasks(since_ms); });
  }
  StatusOr<FailureSummary> Failures(std::int64_t since_ms, std::size_t limit) const override {
    return Read([&](SQLite::Database& d) { return StatisticsTables(d).Failures(since_ms, limit); });
  }
  StatusOr<std::vector<DeviceActivity>> Devices(std::int64_t since_ms) const override {
    return Read([&](SQLite::Database& d) { return StatisticsTables(d).Devices(since_ms); });
  }
  StatusOr<std::vector<DeviceReading>> Readings(std::int64_t since_ms) const override {
    return Read([&](SQLite::Database& d) { return StatisticsTables(d).Readings(since_ms); });
  }
  StatusOr<std::vector<Repetition>> Repetitions() const override {
    return Read([](SQLite::Database& d) { return StatisticsTables(d).Repetitions(); });
  }
  StatusOr<std::vector<std::vector<BestSoFarCurve>>> Curves(
      std::span<const TaskNames> tasks) const override {
    return Read([&](SQLite::Database& d) { return StatisticsTables(d).Curves(tasks); });
  }
  StatusOr<Sessions> NewestSessions(std::size_t limit) const override {
    return Read([&](SQLite::Database& d) { return StatisticsTables(d).NewestSessions(limit); });
  }

  StatusOr<std::vector<std::vector<TrialRecord>>> RecordsOf(
      std::span<const ConfigNames> configs) const override {
    return Read([&](SQLite::Database& d) {
      TuningTables tables(d);
      std::vector<std::vector<TrialRecord>> records;
      for (const auto& [task, config_id] : configs) {
        const BestQuery query{.workload = task.workload,
                              .target = task.target,
                              .threads = task.threads,
                              .cache = task.cache,
                              .config_id = config_id};
        records.push_back(tables.ReadRecords(query, task.kernel_template));
      }
      return records;
    });
  }

  StatusOr<std::vector<Best>> BestsBefore(std::int64_t ms) const override {
    return Read([&](SQLite::Database& d) {
      TuningTables tables(d);
      std::vector<Best> bests;
      for (const TuningTables::Contest& contest : tables.ReadContests({}, ms)) {
        const std::optional<std::size_t> best = ChooseBest(contest.candidates);
        if (!best) continue;
        const BestCandidate& chosen = contest.candidates[*best];
        std::optional<TrialRecord> then = AsOf(tables.ReadRecord(contest.trials[chosen.trial]), ms);
        if (!then) continue;
        bests.push_back(BestOf(*std::move(then), chosen, TrialsLike(chosen, contest.candidates)));
      }
      return bests;
    });
  }

 private:
  // Runs `work` on one state of the database, whatever others write meanwhile.
  template <typename Work>
  auto Read(Work work) const -> StatusOr<decltype(work(std::declval<SQLite::Database&>()))> {
    absl::MutexLock lock(&mutex_);
    try {
      const SQLite::Transaction snapshot(*database_);
      respelt_.Show(*database_);
      return work(*database_);
    } catch (const std::exception& error) {
      return Explain(error, path_);
    }
  }

  const std::string path_;
  mutable absl::Mutex mutex_;  // for the connection: SQLiteCpp's are for one thread at a time
  const std::unique_ptr<SQLite::Database> database_ ABSL_PT_GUARDED_BY(mutex_);
  mutable RespeltKeys respelt_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

StatusOr<std::unique_ptr<TrialStatistics>> OpenSqliteStatistics(const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<SQLite::Database> database,
                   OpenConnection(path, OpenMode::kReadOnly));
  return std::make_unique<SqliteStatistics>(path, std::move(database));
}

}  // namespace kiln
