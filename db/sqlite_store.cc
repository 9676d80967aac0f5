#include <SQLiteCpp/SQLiteCpp.h>

#include <cstddef>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "db/autotvm_log.h"
#include "db/best_choice.h"
#include "db/sqlite_connection.h"
#include "db/stored_keys.h"
#include "db/trial_rules.h"
#include "db/tuning_store.h"
#include "db/tuning_tables.h"

namespace kiln {
namespace {

// This puts the tables behind one lock, its writes into transactions, and turns exceptions into
// errors.
class SqliteStore final : public TuningStore {
 public:
  SqliteStore(std::string path, OpenMode mode, Session session,
              std::unique_ptr<SQLite::Database> database)
      : path_(std::move(path)),
        mode_(mode),
        session_(std::move(session)),
        database_(std::move(database)) {}

  // Leaves one file behind. What the checkpoint cannot do now, because another program reads or
  // writes, the next one does: the data are safe in the log, so its error is no one's concern.
  ~SqliteStore() override {
    if (mode_ == OpenMode::kReadWrite) database_->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  Status Append(const Task& task, CacheState cache, std::span<const Trial> trials) override {
    for (const Trial& trial : trials) RETURN_IF_ERROR(CheckStorable(task, trial));
    if (trials.empty()) return {};
    return Write([&](TuningTables& tables) -> Status {
      mutex_.AssertHeld();
      const std::int64_t task_id = tables.AddTask(RecordOf(task, cache, trials.front()));
      for (const Trial& trial : trials) {
        const TrialRecord record = RecordOf(task, cache, trial);
        if (tables.HasMeasurement(trial.uuid)) continue;
        if (const std::optional<std::int64_t> known = tables.FindTrial(task_id, record)) {
          tables.AddAgain(*known, {false, trial});
          continue;
        }
        if (!session_id_) session_id_ = tables.AddSession(session_);
        tables.AddTrial(task_id, *session_id_, record);
      }
      return {};
    });
  }

  Status AppendConfirmation(const Task& task, CacheState cache, const Trial& trial) override {
    RETURN_IF_ERROR(CheckStorable(task, trial));
    const TrialRecord record = RecordOf(task, cache, trial);
    return Write([&](TuningTables& tables) -> Status {
      if (tables.HasMeasurement(trial.uuid)) return {};
      const std::optional<std::int64_t> id = tables.FindTrial(tables.AddTask(record), record);
      if (!id) {
        return Error(StatusCode::kNotFound, "no ", Name(trial.kind), " trial of ", task.Key(),
                     " with config ", record.config_id, " and this code is in ", path_,
                     ", so none can be confirmed");
      }
      tables.AddAgain(*id, {true, trial});
      return {};
    });
  }

  StatusOr<std::vector<Trial>> History(const Task& task, CacheState cache) const override {
    const BestQuery query{Key(task.workload()), task.target().name, task.threads(), cache};
    ASSIGN_OR_RETURN(const std::vector<TrialRecord> records, Read([&](TuningTables& tables) {
                       return tables.ReadRecords(query, std::string(task.kernel_template().name()));
                     }));
    return CurrentTrials(task, records);
  }

  StatusOr<std::vector<Trial>> Hints(const Task& task, CacheState cache) const override {
    const std::string key = Key(task.workload());
    ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                     Read([&](TuningTables& tables) { return tables.ReadLinesWith(key); }));
    std::vector<Trial> hints;
    for (const std::string& line : lines) {
      AutotvmLine parsed = ParseAutotvmLine(line);
      if (parsed.is != AutotvmLine::Is::kOwn) continue;
      if (std::optional<Trial> hint = HintOf(task, cache, std::move(parsed.record))) {
        hints.push_back(*std::move(hint));
      }
    }
    return hints;
  }

  StatusOr<std::vector<TrialRecord>> Records(const BestQuery& query) const override {
    return Read([&](TuningTables& tables) { return tables.ReadRecords(query); });
  }

  StatusOr<std::vector<Best>> Bests(const BestQuery& query) const override {
    return Read([&](TuningTables& tables) {
      std::vector<Best> bests;
      for (const TuningTables::Contest& contest : tables.ReadContests(query)) {
        const std::optional<std::size_t> best = ChooseBest(contest.candidates);
        if (!best) continue;
        const BestCandidate& chosen = contest.candidates[*best];
        bests.push_back(BestOf(tables.ReadRecord(contest.trials[chosen.trial]), chosen,
                               TrialsLike(chosen, contest.candidates)));
      }
      return bests;
    });
  }

  StatusOr<std::vector<UnknownWorkload>> UnknownWorkloads() const override {
    return Read([&](TuningTables&) {
      mutex_.AssertHeld();
      return FindUnknownWorkloads(*database_);
    });
  }

  Status AppendPeak(const Peak& peak) override {
    RETURN_IF_ERROR(CheckStorable(peak));
    return Write([&](TuningTables& tables) -> Status {
      tables.AddPeak(peak);
      return {};
    });
  }

  StatusOr<std::optional<double>> PeakOf(const std::string& target,
                                         std::int32_t threads) const override {
    return Read([&](TuningTables& tables) { return tables.HighestPeak(target, threads); });
  }

 private:
  template <typename Work>
  Status Write(Work work) {
    if (mode_ == OpenMode::kReadOnly) {
      return Error(StatusCode::kFailedPrecondition, path_, " was opened for reading only");
    }
    absl::MutexLock lock(&mutex_);
    const std::optional<std::int64_t> session_before = session_id_;
    Status status = Transact(work);
    if (!status.ok()) session_id_ = session_before;
    return status;
  }

  // Runs `work` in one transaction that holds the write lock from its beginning, so that what it
  // reads is still so when it writes. An error rolls everything back.
  template <typename Work>
  Status Transact(Work work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    try {
      SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
      TuningTables tables(*database_);
      RETURN_IF_ERROR(work(tables));
      transaction.commit();
      return {};
    } catch (const std::exception& error) {
      return Explain(error, path_);
    }
  }

  // Runs `work` on one state of the database, whatever others write meanwhile.
  template <typename Work>
  auto Read(Work work) const -> StatusOr<decltype(work(std::declval<TuningTables&>()))> {
    absl::MutexLock lock(&mutex_);
    try {
      const SQLite::Transaction snapshot(*database_);
      if (mode_ == OpenMode::kReadOnly) respelt_.Show(*database_);
      TuningTables tables(*database_);
      return work(tables);
    } catch (const std::exception& error) {
      return Explain(error, path_);
    }
  }

  const std::string path_;
  const OpenMode mode_;
  const Session session_;
  mutable absl::Mutex mutex_;  // for the connection: SQLiteCpp's are for one thread at a time
  const std::unique_ptr<SQLite::Database> database_ ABSL_PT_GUARDED_BY(mutex_);
  mutable RespeltKeys respelt_ ABSL_GUARDED_BY(mutex_);
  std::optional<std::int64_t> session_id_ ABSL_GUARDED_BY(mutex_);  // unset: not stored yet
};

}  // namespace

StatusOr<std::unique_ptr<TuningStore>> OpenSqliteStore(const std::string& path, OpenMode mode,
                                                       Session session) {
  ASSIGN_OR_RETURN(std::unique_ptr<SQLite::Database> database, OpenConnection(path, mode));
  return std::make_unique<SqliteStore>(path, mode, std::move(session), std::move(database));
}

}  // namespace kiln
