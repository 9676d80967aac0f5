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
                        row.getColumn(2).getInt(),
                        ParseCacheState(row.getColumn(3).getString())});
  }
  return settings;
}

bool IsEarlier(const Trial& a, const Trial& b) {
  return std::tie(a.measured_at_ms, a.uuid) < std::tie(b.measured_at_ms, b.uuid);
}

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
    "  FROM trials t LEFT JOIN measurements m ON m.trial_id = t.id AND m.purpose = 'tune') AS placed"
    " WHERE trials.id = placed.id AND trials.seq <> placed.seq",
    "UPDATE trials SET seq = -seq WHERE seq < 0",
};

}  // namespace

void ReadContent(SQLite::Database& database, ContentSink& sink) {
  TuningTables tables(database);
  for (const BestQuery& setting : Settings(database)) {
    for (TrialRecord& record : tables.ReadRecords(setting)) {
      SharedTrial trial{std::move(record), {}};
      trial.session = tables.SessionOf(trial.record.trial.uuid);
      sink.Take(trial);
    }
  }
  for (const Peak& peak : tables.ReadPeaks()) sink.Take(peak);
  for (const std::string& line : tables.ReadLines()) sink.TakeLine(line);
}

struct ContentMerger::Lines {
  std::unordered_map<std::string, std::int64_t> stored, seen;  // `seen`: of this source
};

ContentMerger::ContentMerger(SQLite::Database& database)
    : database_(database), lines_(std::make_unique<Lines>()) {
  for (std::string& line : TuningTables(database_).ReadLines()) ++lines_->stored[std::move(line)];
}

ContentMerger::~ContentMerger() = default;

void ContentMerger::BeginSource() { lines_->seen.clear(); }

void ContentMerger::Take(const SharedTrial& trial) {
  TuningTables tables(database_);
  const TrialRecord& record = trial.record;
  const std::int64_t task = tables.AddTask(record);
  std::optional<std::int64_t> id = tables.FindTrial(task, record);
  const auto is_known = [&](const std::string& uuid) {
    const bool known = tables.HasMeasurement(uuid);
    ++(known ? count_.known_measurements : count_.measurements);
    return known;
  };
  const bool tuned_is_known = is_known(record.trial.uuid);
  if (!id && tuned_is_known) return;  // under another task: a uuid names one measurement
  if (!id) {
    tables.AddTrial(task, tables.FindOrAddSession(trial.session), record);
    id = tables.FindTrial(task, record);
    ++count_.trials;
  } else if (!tuned_is_known) {
    tables.AddAgain(*id, {false, record.trial});
  }
  for (const Remeasurement& more : record.again) {
    if (!is_known(more.trial.uuid)) tables.AddAgain(*id, more);
  }
  if (IsEarlier(record.trial, tables.ReadRecord(*id).trial)) {
    tables.MakeTuned(*id, tables.FindOrAddSession(trial.session), record);
  }
}

void ContentMerger::Take(const Peak& peak) {
  if (TuningTables(database_).AddPeakIfNew(peak)) ++count_.peaks;
}

void ContentMerger::TakeLine(const std::string& raw) {
  std::int64_t& stored = lines_->stored[raw];
  if (++lines_->seen[raw] <= stored) return;
  TuningTables(database_).AddLine(raw);
  ++stored;
  ++count_.lines;
}

void ContentMerger::Finish() {
  for (const char* step : kOrderMeasurements) database_.exec(step);
}

}  // namespace kiln
