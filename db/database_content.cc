// Merging. The idea: what a database has is a set of measurements, each with a uuid, and all else
// follows from the set: which of a trial's measurements is the one that it was tuned by (the
// earliest that some database has as such), their order and that of trials (by time, then uuid).
// Then merging is a union of sets, and neither its order nor its repetition matters.

#include "db/database_content.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "db/row_text.h"
#include "db/tuning_tables.h"

namespace kiln {
namespace {

using SQLite::Statement;

std::vector<BestQuery> Settings(SQLite::Database& database) {
  Statement row(database,
                "SELECT DISTINCT workload, target, threads, cache FROM tasks"
                " ORDER BY workload, target, threads, cache DESC");
  std::vector<BestQuery> settings;
  while (row.executeStep()) {
    settings.push_back({row.getColumn(0).getString(), row.getColumn(1).getString(),
                        row.getColumn(2).getInt(), ParseCacheState(row.getColumn(3).getString())});
  }
  return settings;
}

// This finds the sessions that added trials, each read once.
class SessionReader {
 public:
  explicit SessionReader(SQLite::Database& database)
      : tables_(database),
        find_(database,
              "SELECT t.session_id FROM measurements m JOIN trials t ON t.id = m.trial_id"
              " WHERE m.uuid = ?") {}
  const Session& Of(const Trial& measurement) {
    find_.reset();
    find_.bind(1, measurement.uuid);
    find_.executeStep();
    const std::int64_t id = find_.getColumn(0).getInt64();
    const auto found = sessions_.find(id);
    return found != sessions_.end() ? found->second
                                    : sessions_.emplace(id, tables_.ReadSession(id)).first->second;
  }

 private:
  TuningTables tables_;
  Statement find_;
  std::unordered_map<std::int64_t, Session> sessions_;
};

constexpr const char* kOrderMeasurements[] = {
    // Numbers that are still free, for those trials alone whose measurements are out of order.
    "UPDATE measurements SET id = placed.id + placed.place FROM"
    " (SELECT m.id AS old, row_number() OVER (ORDER BY m.trial_id, m.measured_ms, m.uuid) AS place,"
    "         (SELECT max(id) FROM measurements) AS id"
    "  FROM measurements m WHERE m.trial_id IN"
    "   (SELECT trial_id FROM"
    "     (SELECT trial_id,"
    "             row_number() OVER (PARTITION BY trial_id ORDER BY id) AS stored,"
    "             row_number() OVER (PARTITION BY trial_id ORDER BY measured_ms, uuid) AS timed"
    "      FROM measurements)"
    "    WHERE stored <> timed)) AS placed"
    " WHERE measurements.id = placed.old",
    // Negative, since the numbers to come may still be taken.
    "UPDATE trials SET seq = -placed.seq FROM"
    " (SELECT t.id, row_number() OVER"
    "   (PARTITION BY t.task_id ORDER BY m.measured_ms, t.batch, m.uuid) AS seq"
    "  FROM trials t LEFT JOIN measurements m ON m.trial_id = t.id AND m.purpose = 'tune') AS "
    "placed"
    " WHERE trials.id = placed.id AND trials.seq <> placed.seq",
    "UPDATE trials SET seq = -seq WHERE seq < 0",
};

}  // namespace

void ReadContent(SQLite::Database& database, ContentSink& sink) {
  TuningTables tables(database);
  SessionReader sessions(database);
  for (const BestQuery& setting : Settings(database)) {
    for (TrialRecord& record : tables.ReadRecords(setting)) {
      const Session& session = sessions.Of(record.trial);
      sink.Take(SharedTrial{std::move(record), session});
    }
  }
  for (const Peak& peak : tables.ReadPeaks()) sink.Take(peak);
  for (const std::string& line : tables.ReadLines()) sink.TakeLine(line);
}

// What is looked up again and again. Neighbours mostly are of the same task and session.
struct ContentMerger::Known {
  explicit Known(SQLite::Database& database)
      : tables(database), measurement(database, "SELECT 1 FROM measurements WHERE uuid = ?") {}
  TuningTables tables;
  Statement measurement;
  std::optional<std::pair<TrialRecord, std::int64_t>> task;  // the record without its trial
  std::optional<std::pair<Session, std::int64_t>> session;
  std::unordered_map<std::string, std::int64_t> stored_lines, seen_lines;  // seen: of this source
};

ContentMerger::ContentMerger(SQLite::Database& database)
    : database_(database), known_(std::make_unique<Known>(database)) {
  for (std::string& line : known_->tables.ReadLines()) ++known_->stored_lines[std::move(line)];
}

ContentMerger::~ContentMerger() = default;

void ContentMerger::BeginSource() { known_->seen_lines.clear(); }

std::int64_t ContentMerger::TaskOf(const TrialRecord& record) {
  const auto fields = [](const TrialRecord& r) {
    return std::tie(r.workload, r.target, r.threads, r.cache, r.kernel_template);
  };
  if (!known_->task || fields(known_->task->first) != fields(record)) {
    TrialRecord task;
    std::tie(task.workload, task.target, task.threads, task.cache, task.kernel_template) =
        fields(record);
    known_->task.emplace(std::move(task), known_->tables.AddTask(record));
  }
  return known_->task->second;
}

std::int64_t ContentMerger::SessionOf(const Session& session) {
  const auto fields = [](const Session& s) {
    return std::tie(s.started_ms, s.command, s.seed, s.compiler, s.host);
  };
  if (!known_->session || fields(known_->session->first) != fields(session)) {
    known_->session.emplace(session, known_->tables.FindOrAddSession(session));
  }
  return known_->session->second;
}

bool ContentMerger::IsKnown(const Trial& measurement) {
  known_->measurement.reset();
  known_->measurement.bind(1, measurement.uuid);
  const bool known = known_->measurement.executeStep();
  known_->measurement.reset();
  ++(known ? count_.known_measurements : count_.measurements);
  return known;
}

void ContentMerger::Take(const SharedTrial& trial) {
  TuningTables& tables = known_->tables;
  const TrialRecord& record = trial.record;
  const std::int64_t task = TaskOf(record);
  std::optional<std::int64_t> id = tables.FindTrial(task, record);
  const bool is_new = !id;
  const bool tuned_is_known = IsKnown(record.trial);
  if (is_new && tuned_is_known) return;  // under another task: a uuid names one measurement
  if (is_new) {
    tables.AddTrial(task, SessionOf(trial.session), record);
    id = tables.FindTrial(task, record);
    ++count_.trials;
  } else if (!tuned_is_known) {
    tables.AddAgain(*id, {false, record.trial});
  }
  for (const Remeasurement& more : record.again) {
    if (!IsKnown(more.trial)) tables.AddAgain(*id, more);
  }
  const TuningTables::Tuned tuned{record.trial.measured_at_ms, record.trial.uuid};
  if (!is_new && tuned < tables.TunedBy(*id)) {
    tables.MakeTuned(*id, SessionOf(trial.session), record);
  }
}

void ContentMerger::Take(const Peak& peak) {
  if (known_->tables.AddPeakIfNew(peak)) ++count_.peaks;
}

void ContentMerger::TakeLine(const std::string& raw) {
  std::int64_t& stored = known_->stored_lines[raw];
  if (++known_->seen_lines[raw] <= stored) return;
  known_->tables.AddLine(raw);
  ++stored;
  ++count_.lines;
}

void ContentMerger::Finish() {
  for (const char* step : kOrderMeasurements) database_.exec(step);
}

}  // namespace kiln
