#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "db/job_tables.h"
#include "db/ruled_job_store.h"
#include "db/sqlite_connection.h"

namespace kiln {
namespace {

Status NoJob(std::int64_t id) { return Error(StatusCode::kNotFound, "there is no job ", id); }

// This puts the tables behind one lock, each change into one transaction that holds the write lock
// from its beginning, and turns exceptions into errors.
class SqliteJobStore final : public RuledJobStore {
 public:
  SqliteJobStore(std::string path, OpenMode mode, std::chrono::milliseconds patience,
                 std::unique_ptr<SQLite::Database> database)
      : path_(std::move(path)), mode_(mode), patience_(patience), database_(std::move(database)) {
    database_->setBusyTimeout(static_cast<int>(patience.count()));
  }

  ~SqliteJobStore() override {
    if (mode_ == OpenMode::kReadWrite) database_->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  StatusOr<Job> Submit(const NewJob& job, std::int64_t now_ms) override {
    RETURN_IF_ERROR(CheckSubmitted(job));
    return Write([&](JobTables& tables) -> StatusOr<Job> {
      if (const std::optional<Job> known = tables.FindSame(job)) {
        RETURN_IF_ERROR(CheckSame(*known, job));
        return *known;
      }
      for (const std::int64_t id : job.after) {
        if (!tables.FindJob(id)) return NoJob(id);
      }
      const JobEntry entry = Submitted(job, tables.AddJob(job, now_ms), now_ms);
      tables.Keep(entry);
      return entry.job;
    });
  }

  StatusOr<std::vector<Job>> ExplainAll(std::span<const Explanation> explanations,
                                        std::int64_t now_ms) override {
    return Write([&](JobTables& tables) -> StatusOr<std::vector<Job>> {
      std::vector<Job> moved;
      for (const auto& [seen, to] : explanations) {
        std::optional<Job> job = tables.FindJob(seen.id);
        if (!job) continue;
        JobEntry entry = tables.Load(*std::move(job));
        const Status status = ApplyExplain(entry, seen, to, now_ms);
        if (status.code() == StatusCode::kAborted) continue;
        RETURN_IF_ERROR(status);
        tables.Keep(entry);
        if (to.state != seen.standing.state) moved.push_back(entry.job);
      }
      return moved;
    });
  }

  StatusOr<std::vector<Job>> Recover(const std::string& dead, std::int64_t now_ms) override {
    // Mostly there is nothing to be done: the write lock is others'.
    ASSIGN_OR_RETURN(const std::vector<Job> held, Jobs(Held()));
    const auto lost = [&](const Job& job) { return IsLost(job, dead, now_ms); };
    if (std::ranges::none_of(held, lost)) return std::vector<Job>();
    return Write([&](JobTables& tables) -> StatusOr<std::vector<Job>> {
      std::vector<Job> recovered;
      for (const Job& job : tables.FindJobs(Held())) {
        if (!lost(job)) continue;
        JobEntry entry = tables.Load(job);
        ApplyRecovery(entry, now_ms);
        tables.Keep(entry);
        recovered.push_back(entry.job);
      }
      return recovered;
    });
  }

  StatusOr<std::vector<Job>> Jobs(const JobQuery& query) const override {
    return Read([&](JobTables& tables) { return tables.FindJobs(query); });
  }

  StatusOr<Job> JobOf(std::int64_t id) const override {
    ASSIGN_OR_RETURN(const std::optional<Job> job,
                     Read([&](JobTables& tables) { return tables.FindJob(id); }));
    if (!job) return NoJob(id);
    return *job;
  }

  StatusOr<std::map<JobState, std::int64_t>> Counts() const override {
    return Read([](JobTables& tables) { return tables.Counts(); });
  }

  StatusOr<std::vector<JobTransition>> Transitions(std::int64_t id) const override {
    RETURN_IF_ERROR(JobOf(id).status());
    return Read([&](JobTables& tables) { return tables.Steps(id); });
  }

  StatusOr<std::vector<JobRun>> RunsSince(std::int64_t ms) const override {
    return Read([&](JobTables& tables) { return tables.RunsSince(ms); });
  }

  Status PutSeries(const JobSeries& series) override {
    RETURN_IF_ERROR(CheckSeries(series));
    return Write([&](JobTables& tables) {
      tables.PutSeries(series);
      return Status();
    });
  }
  StatusOr<std::vector<JobSeries>> Series() const override {
    return Read([](JobTables& tables) { return tables.Series(); });
  }
  Status EndSeries(const std::string& name) override {
    return Write([&](JobTables& tables) {
      if (tables.EndSeries(name)) return Status();
      return Error(StatusCode::kNotFound, "no series is called ", name);
    });
  }

  StatusOr<std::int64_t> ForgetBefore(std::int64_t ms) override {
    return Write(
        [&](JobTables& tables) -> StatusOr<std::int64_t> { return tables.ForgetBefore(ms); });
  }

 private:
  static JobQuery Held() {
    return {.states = {JobState::kRunning, JobState::kFinishing}, .limit = 1'000'000};
  }

  Status Change(std::int64_t id, const Rule& rule) override {
    return Write([&](JobTables& tables) -> Status {
      std::optional<Job> job = tables.FindJob(id);
      if (!job) return NoJob(id);
      const Job before = *job;
      JobEntry entry = tables.Load(*std::move(job));
      RETURN_IF_ERROR(rule(entry));
      if (entry.job != before || !entry.steps.empty()) tables.Keep(entry);
      return {};
    });
  }

  template <typename Work>
  auto Write(Work work) -> decltype(work(std::declval<JobTables&>())) {
    if (mode_ == OpenMode::kReadOnly) {
      return Error(StatusCode::kFailedPrecondition, path_, " was opened for reading only");
    }
    absl::MutexLock lock(&mutex_);
    try {
      SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
      JobTables tables(*database_);
      auto result = work(tables);
      if (result.ok()) transaction.commit();
      return result;
    } catch (const std::exception& error) {
      return kiln::Explain(error, path_, patience_);
    }
  }

  template <typename Work>
  auto Read(Work work) const -> StatusOr<decltype(work(std::declval<JobTables&>()))> {
    absl::MutexLock lock(&mutex_);
    try {
      const SQLite::Transaction snapshot(*database_);
      JobTables tables(*database_);
      return work(tables);
    } catch (const std::exception& error) {
      return kiln::Explain(error, path_, patience_);
    }
  }

  const std::string path_;
  const OpenMode mode_;
  const std::chrono::milliseconds patience_;  // with locks of others
  mutable absl::Mutex mutex_;  // for the connection: SQLiteCpp's are for one thread at a time
  const std::unique_ptr<SQLite::Database> database_ ABSL_PT_GUARDED_BY(mutex_);
};

}  // namespace

StatusOr<std::unique_ptr<JobStore>> OpenSqliteJobStore(const std::string& path, OpenMode mode,
                                                       std::chrono::milliseconds patience) {
  ASSIGN_OR_RETURN(std::unique_ptr<SQLite::Database> database, OpenConnection(path, mode));
  return std::make_unique<SqliteJobStore>(path, mode, patience, std::move(database));
}

}  // namespace kiln
