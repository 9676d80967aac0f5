#include "db/tuning_tables.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <array>
#include <stdexcept>
#include <utility>
#include <variant>

#include "db/row_text.h"

namespace kiln {
namespace {

using SQLite::Statement;

// The condition of a BestQuery on the tasks `k`. It names only what is asked for: with "is NULL or
// equals", SQLite uses no index and reads every measurement there is.
std::string Fits(const BestQuery& query) {
  std::string condition = " 1";
  if (query.workload) condition += " AND k.workload = :workload";
  if (query.target) condition += " AND k.target = :target";
  if (query.threads) condition += " AND k.threads = :threads";
  if (query.cache) condition += " AND k.cache = :cache";
  return condition;
}

// Hot before cold, as the enumeration.
constexpr const char* kTaskOrder = " k.workload, k.target, k.threads, k.cache DESC, k.template";

// As they were inserted, behind the one that made the trial.
constexpr const char* kMeasurementOrder = "m.purpose <> 'tune', m.id";

void BindQuery(Statement& statement, const BestQuery& query) {
  if (query.workload) statement.bind(":workload", *query.workload);
  if (query.target) statement.bind(":target", *query.target);
  if (query.threads) statement.bind(":threads", *query.threads);
  if (query.cache) statement.bind(":cache", Name(*query.cache));
}

Outcome ReadOutcome(Statement& row) {
  const std::string status = row.getColumn("status").getString();
  Timings timings;
  if (!row.isColumnNull("samples")) {
    timings.samples_ns = ParseSamples(row.getColumn("samples").getString());
    timings.calls_per_sample = row.getColumn("calls").getInt();
  }
  if (status == "ok") return timings;
  if (status == "censored") return Censored{timings, row.getColumn("bound_ns").getDouble()};
  return Failure{ParseStage(row.getColumn("stage").getString()), ParseFailureKind(status),
                 row.getColumn("message").getString()};
}

// 0 for NULL.
double ReadReal(Statement& row, const char* column) { return row.getColumn(column).getDouble(); }

Trial ReadMeasurement(Statement& row) {
  Trial trial;
  trial.uuid = row.getColumn("uuid").getString();
  trial.code_digest = ParseDigest(row.getColumn("code_digest").getString());
  trial.outcome = ReadOutcome(row);
  trial.device = row.getColumn("device").getString();
  trial.kind = ParseTimeKind(row.getColumn("kind").getString());
  trial.measured_at_ms = row.getColumn("measured_ms").getInt64();
  trial.before = {ReadReal(row, "frequency_before_mhz"), ReadReal(row, "temperature_before_c"),
                  ReadReal(row, "load_before")};
  trial.after = {ReadReal(row, "frequency_after_mhz"), ReadReal(row, "temperature_after_c"),
                 ReadReal(row, "load_after")};
  trial.log = row.getColumn("log").getString();
  return trial;
}

TrialRecord ReadTrial(Statement& row) {
  TrialRecord record;
  record.workload = row.getColumn("workload").getString();
  record.target = row.getColumn("target").getString();
  record.kernel_template = row.getColumn("template").getString();
  record.threads = row.getColumn("threads").getInt();
  record.cache = ParseCacheState(row.getColumn("cache").getString());
  record.seq = row.getColumn("seq").getInt64();
  record.insertion = row.getColumn("trial").getInt64();
  record.config_id = row.getColumn("config_id").getString();
  record.labels = ParseLabels(row.getColumn("labels").getString());
  record.trial = ReadMeasurement(row);
  if (!row.isColumnNull("predicted")) {
    record.trial.predicted = row.getColumn("predicted").getDouble();
  }
  record.trial.batch = row.getColumn("batch").getInt64();
  return record;
}

// All trials with their measurements that meet `condition`, on tasks `k` and trials `t`.
std::string SelectRecords(const std::string& condition) {
  return "SELECT k.workload, k.target, k.threads, k.cache, k.template, t.id AS trial, t.seq,"
         " t.config_id, t.labels, t.code_digest, t.predicted, t.batch, m.uuid, m.kind, m.device,"
         " m.measured_ms, m.status, m.stage, m.message, m.samples, m.calls, m.bound_ns, m.purpose,"
         " m.frequency_before_mhz, m.frequency_after_mhz, m.temperature_before_c,"
         " m.temperature_after_c, m.load_before, m.load_after, m.log"
         " FROM tasks k JOIN trials t ON t.task_id = k.id JOIN measurements m ON m.trial_id = t.id"
         " WHERE " +
         condition + " ORDER BY" + kTaskOrder + ", t.seq, " + kMeasurementOrder;
}

std::vector<TrialRecord> FetchRecords(Statement& row) {
  std::vector<TrialRecord> records;
  std::int64_t previous = 0;
  while (row.executeStep()) {
    const std::int64_t trial = row.getColumn("trial").getInt64();
    if (trial != previous) {
      records.push_back(ReadTrial(row));
    } else {
      const bool confirms = row.getColumn("purpose").getString() == "confirm";
      records.back().again.push_back({confirms, ReadMeasurement(row)});
    }
    previous = trial;
  }
  return records;
}

// What of each measurement of a task's trials decides. With `is_of_then` of those before a moment,
// of trials that were tuned by then.
std::string SelectJudgements(bool is_of_then) {
  std::string select =
      "SELECT t.id, t.config_id, t.seq, t.kind, m.purpose = 'confirm', m.status, m.min_ns,"
      " m.device, m.measured_ms, m.purpose = 'tune'"
      " FROM trials t JOIN measurements m ON m.trial_id = t.id";
  if (is_of_then) {
    select +=
        " AND m.measured_ms < :before JOIN measurements f ON f.trial_id = t.id"
        " AND f.purpose = 'tune' AND f.measured_ms < :before";
  }
  return select + " WHERE t.task_id = :task ORDER BY t.seq, m.id";  // as the indexes have them
}

Judgement ReadJudgement(Statement& row) {
  Judgement judgement;
  judgement.confirms = row.getColumn(4).getInt() != 0;
  const std::string status = row.getColumn(5).getString();
  judgement.wrong = status == "wrong_result" || status == "host_killed";
  if (status == "ok") judgement.rank_ns = row.getColumn(6).getDouble();
  judgement.device = row.getColumn(7).getString();
  judgement.measured_at_ms = row.getColumn(8).getInt64();
  return judgement;
}

void FetchCandidates(Statement& row, std::int64_t task, const std::string& kernel_template,
                     TuningTables::Contest& contest) {
  row.reset();
  row.bind(":task", task);
  BestCandidate like{.kernel_template = kernel_template};
  std::vector<Judgement> measurements;  // of the trial `like`
  const auto add = [&] { AddCandidates(like, measurements, contest.candidates); };
  while (row.executeStep()) {
    const std::int64_t id = row.getColumn(0).getInt64();
    if (measurements.empty() || contest.trials.back() != id) {
      add();
      measurements.clear();
      like.trial = contest.trials.size();
      like.config_id = row.getColumn(1).getString();
      like.seq = row.getColumn(2).getInt64();
      like.kind = ParseTimeKind(row.getColumn(3).getString());
      contest.trials.push_back(id);
    }
    const bool is_first = row.getColumn(9).getInt() != 0;  // kMeasurementOrder
    measurements.insert(is_first ? measurements.begin() : measurements.end(), ReadJudgement(row));
  }
  add();
}

void BindTimings(Statement& insert, const Timings& timings) {
  insert.bind(":samples", SamplesText(timings.samples_ns));
  insert.bind(":calls", timings.calls_per_sample);
  insert.bind(":min", timings.min_ns());
  insert.bind(":median", timings.median_ns());
}

void BindOutcome(Statement& insert, const Outcome& outcome) {
  insert.bind(":status", StatusWord(outcome));
  if (const auto* failure = std::get_if<Failure>(&outcome)) {
    insert.bind(":stage", Name(failure->stage));
    insert.bind(":message", failure->message);
  } else if (const auto* censored = std::get_if<Censored>(&outcome)) {
    BindTimings(insert, censored->partial);
    insert.bind(":bound", censored->bound_ns);
  } else {
    BindTimings(insert, std::get<Timings>(outcome));
  }
}

void BindIfSaid(Statement& insert, const char* parameter, double value) {
  if (value > 0) insert.bind(parameter, value);
}

}  // namespace

std::int64_t TuningTables::AddSession(const Session& session) {
  Statement insert(database_,
                   "INSERT INTO sessions (started_ms, command, seed, compiler, host)"
                   " VALUES (?, ?, ?, ?, ?)");
  SQLite::bind(insert, session.started_ms, session.command, std::to_string(session.seed),
               session.compiler, session.host);
  insert.exec();
  return database_.getLastInsertRowid();
}

std::int64_t TuningTables::AddTask(const TrialRecord& record) {
  Statement insert(database_,
                   "INSERT OR IGNORE INTO tasks (workload, target, threads, cache, template)"
                   " VALUES (?, ?, ?, ?, ?)");
  Statement find(database_,
                 "SELECT id FROM tasks WHERE workload = ? AND target = ? AND threads = ?"
                 " AND cache = ? AND template = ?");
  for (Statement* statement : {&insert, &find}) {
    SQLite::bind(*statement, record.workload, record.target, record.threads, Name(record.cache),
                 record.kernel_template);
  }
  insert.exec();
  find.executeStep();
  return find.getColumn(0).getInt64();
}

void TuningTables::AddTrial(std::int64_t task, std::int64_t session, const TrialRecord& record) {
  Statement insert(database_,
                   "INSERT INTO trials (task_id, seq, config_id, labels, code_digest, kind,"
                   " predicted, batch, session_id) VALUES (:task,"
                   " (SELECT coalesce(max(seq), 0) + 1 FROM trials WHERE task_id = :task),"
                   " :config, :labels, :digest, :kind, :predicted, :batch, :session)");
  insert.bind(":task", task);
  insert.bind(":config", record.config_id);
  insert.bind(":labels", LabelsText(record.labels));
  insert.bind(":digest", DigestText(record.trial.code_digest));
  insert.bind(":kind", Name(record.trial.kind));
  if (record.trial.predicted) insert.bind(":predicted", *record.trial.predicted);
  insert.bind(":batch", record.trial.batch);
  insert.bind(":session", session);
  insert.exec();
  AddMeasurement(database_.getLastInsertRowid(), "tune", record.trial);
}

void TuningTables::AddAgain(std::int64_t trial, const Remeasurement& more) {
  AddMeasurement(trial, more.confirms ? "confirm" : "repeat", more.trial);
}

void TuningTables::AddMeasurement(std::int64_t trial, const char* purpose,
                                  const Trial& measurement) {
  Statement insert(database_,
                   "INSERT INTO measurements (uuid, trial_id, purpose, kind, device, measured_ms,"
                   " status, stage, message, samples, calls, min_ns, median_ns, bound_ns,"
                   " frequency_before_mhz, frequency_after_mhz, temperature_before_c,"
                   " temperature_after_c, load_before, load_after, log) VALUES"
                   " (:uuid, :trial, :purpose, :kind, :device, :measured, :status, :stage,"
                   " :message, :samples, :calls, :min, :median, :bound, :mhz_before, :mhz_after,"
                   " :c_before, :c_after, :load_before, :load_after, :log)");
  insert.bind(":uuid", measurement.uuid);
  insert.bind(":trial", trial);
  insert.bind(":purpose", purpose);
  insert.bind(":kind", Name(measurement.kind));
  if (!measurement.device.empty()) insert.bind(":device", measurement.device);
  insert.bind(":measured", measurement.measured_at_ms);
  BindOutcome(insert, measurement.outcome);
  const DeviceState &before = measurement.before, &after = measurement.after;
  BindIfSaid(insert, ":mhz_before", before.frequency_mhz);
  BindIfSaid(insert, ":mhz_after", after.frequency_mhz);
  BindIfSaid(insert, ":c_before", before.temperature_c);
  BindIfSaid(insert, ":c_after", after.temperature_c);
  BindIfSaid(insert, ":load_before", before.load_1min);
  BindIfSaid(insert, ":load_after", after.load_1min);
  if (!measurement.log.empty()) insert.bind(":log", measurement.log);
  insert.exec();
}

void TuningTables::AddPeak(const Peak& peak) {
  Statement insert(database_,
                   "INSERT INTO peaks (target, threads, gops, device, measured_ms)"
                   " VALUES (?, ?, ?, ?, ?)");
  SQLite::bind(insert, peak.target, peak.threads, peak.gops, peak.device, peak.measured_at_ms);
  insert.exec();
}

std::optional<double> TuningTables::HighestPeak(const std::string& target, std::int32_t threads) {
  Statement row(database_, "SELECT max(gops) FROM peaks WHERE target = ? AND threads = ?");
  SQLite::bind(row, target, threads);
  row.executeStep();
  if (row.isColumnNull(0)) return std::nullopt;
  return row.getColumn(0).getDouble();
}

std::vector<Peak> TuningTables::ReadPeaks() {
  Statement row(
      database_,
      "SELECT target, threads, gops, device, measured_ms FROM peaks ORDER BY 1, 2, 3, 4, 5");
  std::vector<Peak> peaks;
  while (row.executeStep()) {
    peaks.push_back({row.getColumn(0).getString(), row.getColumn(1).getInt(),
                     row.getColumn(2).getDouble(), row.getColumn(3).getString(),
                     row.getColumn(4).getInt64()});
  }
  return peaks;
}

bool TuningTables::AddPeakIfNew(const Peak& peak) {
  Statement find(database_,
                 "SELECT 1 FROM peaks WHERE target = ? AND threads = ? AND gops = ? AND device = ?"
                 " AND measured_ms = ?");
  SQLite::bind(find, peak.target, peak.threads, peak.gops, peak.device, peak.measured_at_ms);
  if (find.executeStep()) return false;
  AddPeak(peak);
  return true;
}

void TuningTables::AddLine(const std::string& raw) {
  Statement insert(database_, "INSERT INTO imported_lines (format, raw) VALUES ('autotvm', ?)");
  insert.bind(1, raw.data(), static_cast<int>(raw.size()));
  insert.exec();
}

std::vector<std::string> TuningTables::ReadLines() {
  Statement row(database_, "SELECT raw FROM imported_lines ORDER BY id");
  std::vector<std::string> lines;
  while (row.executeStep()) lines.push_back(row.getColumn(0).getString());
  return lines;
}

std::vector<std::string> TuningTables::ReadLinesWith(const std::string& text) {
  Statement row(database_, "SELECT raw FROM imported_lines WHERE instr(raw, ?) > 0 ORDER BY id");
  row.bind(1, text.data(), static_cast<int>(text.size()));  // a blob, as the lines are
  std::vector<std::string> lines;
  while (row.executeStep()) lines.push_back(row.getColumn(0).getString());
  return lines;
}

Session TuningTables::ReadSession(std::int64_t session) {
  Statement row(database_,
                "SELECT started_ms, command, seed, compiler, host FROM sessions WHERE id = ?");
  row.bind(1, session);
  if (!row.executeStep()) {
    throw std::runtime_error("session " + std::to_string(session) + " is missing");
  }
  return {row.getColumn(0).getInt64(), row.getColumn(1).getString(),
          std::stoull(row.getColumn(2).getString()), row.getColumn(3).getString(),
          row.getColumn(4).getString()};
}

std::int64_t TuningTables::FindOrAddSession(const Session& session) {
  Statement find(database_,
                 "SELECT id FROM sessions WHERE started_ms = ? AND command = ? AND seed = ?"
                 " AND compiler = ? AND host = ?");
  SQLite::bind(find, session.started_ms, session.command, std::to_string(session.seed),
               session.compiler, session.host);
  return find.executeStep() ? find.getColumn(0).getInt64() : AddSession(session);
}

TuningTables::Tuned TuningTables::TunedBy(std::int64_t trial) {
  Statement row(
      database_,
      "SELECT measured_ms, uuid FROM measurements WHERE trial_id = ? AND purpose = 'tune'");
  row.bind(1, trial);
  if (!row.executeStep()) {
    throw std::runtime_error("trial " + std::to_string(trial) + " has no measurement of tuning");
  }
  return {row.getColumn(0).getInt64(), row.getColumn(1).getString()};
}

void TuningTables::MakeTuned(std::int64_t trial, std::int64_t session, const TrialRecord& record) {
  Statement demote(
      database_,
      "UPDATE measurements SET purpose = 'repeat' WHERE trial_id = ? AND purpose = 'tune'");
  demote.bind(1, trial);
  demote.exec();
  Statement promote(database_, "UPDATE measurements SET purpose = 'tune' WHERE uuid = ?");
  promote.bind(1, record.trial.uuid);
  promote.exec();
  Statement update(database_,
                   "UPDATE trials SET labels = :labels, predicted = :predicted, batch = :batch,"
                   " session_id = :session WHERE id = :trial");
  update.bind(":labels", LabelsText(record.labels));
  if (record.trial.predicted) update.bind(":predicted", *record.trial.predicted);
  update.bind(":batch", record.trial.batch);
  update.bind(":session", session);
  update.bind(":trial", trial);
  update.exec();
}

bool TuningTables::HasMeasurement(const std::string& uuid) {
  Statement find(database_, "SELECT 1 FROM measurements WHERE uuid = ?");
  find.bind(1, uuid);
  return find.executeStep();
}

std::optional<std::int64_t> TuningTables::FindTrial(std::int64_t task, const TrialRecord& record) {
  Statement find(database_,
                 "SELECT id FROM trials WHERE task_id = ? AND config_id = ? AND code_digest = ?"
                 " AND kind = ?");
  SQLite::bind(find, task, record.config_id, DigestText(record.trial.code_digest),
               Name(record.trial.kind));
  if (!find.executeStep()) return std::nullopt;
  return find.getColumn(0).getInt64();
}

std::vector<TrialRecord> TuningTables::ReadRecords(
    const BestQuery& query, const std::optional<std::string>& kernel_template) {
  std::string condition = Fits(query);
  if (query.config_id) condition += " AND t.config_id = :config";
  if (query.inserted_after) condition += " AND t.id > :after";
  if (kernel_template) condition += " AND k.template = :template";
  Statement row(database_, SelectRecords(condition));
  BindQuery(row, query);
  if (query.config_id) row.bind(":config", *query.config_id);
  if (query.inserted_after) row.bind(":after", *query.inserted_after);
  if (kernel_template) row.bind(":template", *kernel_template);
  return FetchRecords(row);
}

TrialRecord TuningTables::ReadRecord(std::int64_t trial) {
  Statement row(database_, SelectRecords("t.id = :trial"));
  row.bind(":trial", trial);
  std::vector<TrialRecord> records = FetchRecords(row);
  if (records.empty()) throw std::runtime_error("trial " + std::to_string(trial) + " is missing");
  return std::move(records.front());
}

std::vector<TuningTables::Contest> TuningTables::ReadContests(
    const BestQuery& query, std::optional<std::int64_t> before_ms) {
  Statement task(database_, std::string("SELECT workload, target, threads, cache, id, template"
                                        " FROM tasks k WHERE") +
                                Fits(query) + " ORDER BY" + kTaskOrder);
  BindQuery(task, query);
  Statement trial(database_, SelectJudgements(before_ms.has_value()));
  if (before_ms) trial.bind(":before", *before_ms);
  std::vector<Contest> contests;
  std::array<std::string, 4> previous;
  while (task.executeStep()) {
    std::array<std::string, 4> setting;
    for (int column = 0; column < 4; ++column) setting[column] = task.getColumn(column).getString();
    if (setting != previous) contests.emplace_back();
    previous = std::move(setting);
    FetchCandidates(trial, task.getColumn(4).getInt64(), task.getColumn(5).getString(),
                    contests.back());
  }
  return contests;
}

}  // namespace kiln
