#include "db/job_tables.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <SQLiteCpp/VariadicBind.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

namespace kiln {
namespace {

using SQLite::Statement;

constexpr const char* kSelectJobs =
    "SELECT id, uuid, user, name, target, time_window, priority, deadline_ms, after, spec, series,"
    " occurrence, submitted_ms, state, reason, text, since_ms, wish, holder, epoch, lease_until_ms,"
    " crashes, trials, ran_ms, progress, lease_ms, teller FROM jobs ";

// What the tables cannot hold, so that it was damaged, or a newer Kiln wrote it.
template <typename Value>
Value Known(StatusOr<Value> value) {
  if (!value.ok()) throw std::runtime_error(Message(value.status()));
  return *value;
}

JobStanding ReadStanding(Statement& row) {
  return {Known(JobStateNamed(row.getColumn("state").getString())),
          Known(JobReasonNamed(row.getColumn("reason").getString())),
          row.getColumn("text").getString()};
}

Job ReadJob(Statement& row) {
  Job job;
  job.id = row.getColumn("id");
  job.job.uuid = row.getColumn("uuid").getString();
  job.job.user = row.getColumn("user").getString();
  job.job.name = row.getColumn("name").getString();
  job.job.target = row.getColumn("target").getString();
  job.job.window = row.getColumn("time_window").getString();
  job.job.priority = row.getColumn("priority").getInt();
  if (!row.isColumnNull("deadline_ms"))
    job.job.deadline_ms = row.getColumn("deadline_ms").getInt64();
  nlohmann::json::parse(row.getColumn("after").getString()).get_to(job.job.after);
  job.job.spec = row.getColumn("spec").getString();
  job.job.series = row.getColumn("series").getString();
  job.job.occurrence = row.getColumn("occurrence").getString();
  job.submitted_ms = row.getColumn("submitted_ms");
  job.standing = ReadStanding(row);
  job.since_ms = row.getColumn("since_ms");
  job.wish = Known(JobWishNamed(row.getColumn("wish").getString()));
  job.holder = row.getColumn("holder").getString();
  job.epoch = row.getColumn("epoch");
  job.lease_until_ms = row.getColumn("lease_until_ms");
  job.crashes = row.getColumn("crashes").getInt();
  job.trials = row.getColumn("trials");
  job.ran_ms = row.getColumn("ran_ms");
  job.progress = row.getColumn("progress").getString();
  job.lease_ms = row.getColumn("lease_ms");
  job.teller = row.getColumn("teller").getString();
  return job;
}

JobRun ReadRun(Statement& row) {
  JobRun run;
  run.job = row.getColumn(0);
  run.epoch = row.getColumn(1);
  run.started_ms = row.getColumn(2);
  if (!row.getColumn(3).isNull()) run.ended_ms = row.getColumn(3).getInt64();
  run.user = row.getColumn(4).getString();
  run.target = row.getColumn(5).getString();
  run.holder = row.getColumn(6).getString();
  run.trials = row.getColumn(7);
  run.ran_ms = row.getColumn(8);
  return run;
}

}  // namespace

std::optional<Job> JobTables::FindJob(std::int64_t id) {
  Statement row(database_, std::string(kSelectJobs) + "WHERE id = ?");
  row.bind(1, id);
  return row.executeStep() ? std::optional(ReadJob(row)) : std::nullopt;
}

std::optional<Job> JobTables::FindSame(const NewJob& job) {
  Statement row(database_, std::string(kSelectJobs) +
                               "WHERE uuid = ?1 OR (?2 <> '' AND series = ?2 AND occurrence = ?3)"
                               " ORDER BY uuid <> ?1");
  SQLite::bind(row, job.uuid, job.series, job.occurrence);
  return row.executeStep() ? std::optional(ReadJob(row)) : std::nullopt;
}

std::vector<Job> JobTables::FindJobs(const JobQuery& query) {
  std::string where = "WHERE TRUE";
  if (query.user) where += " AND user = :user";
  if (query.series) where += " AND series = :series";
  if (query.uuid) where += " AND uuid = :uuid";
  if (query.teller) where += " AND teller = :teller";
  if (!query.states.empty()) {
    where += " AND state IN (";
    for (const JobState state : query.states) where += "'" + std::string(Name(state)) + "',";
    where.back() = ')';
  }
  Statement row(database_, kSelectJobs + where + " ORDER BY id DESC LIMIT :limit");
  if (query.user) row.bind(":user", *query.user);
  if (query.series) row.bind(":series", *query.series);
  if (query.uuid) row.bind(":uuid", *query.uuid);
  if (query.teller) row.bind(":teller", *query.teller);
  row.bind(":limit", query.limit);
  std::vector<Job> jobs;
  while (row.executeStep()) jobs.push_back(ReadJob(row));
  return jobs;
}

// The id that the job gets.
std::int64_t JobTables::AddJob(const NewJob& job, std::int64_t now_ms) {
  Statement insert(
      database_,
      "INSERT INTO jobs (uuid, user, name, target, time_window, priority, deadline_ms, after, "
      "spec,"
      " series, occurrence, submitted_ms, state, reason, text, since_ms, wish, holder, epoch,"
      " lease_until_ms, crashes, trials, ran_ms, progress, lease_ms, teller) VALUES (?, ?, ?, ?, ?,"
      " ?, ?, ?, ?, ?, ?, ?12, 'queued', 'turn', '', ?12, 'none', '', 0, 0, 0, 0, 0, '', 0, '')");
  SQLite::bind(insert, job.uuid, job.user, job.name, job.target, job.window, job.priority);
  if (job.deadline_ms) insert.bind(7, *job.deadline_ms);
  insert.bind(8, nlohmann::json(job.after).dump());
  insert.bind(9, job.spec);
  insert.bind(10, job.series);
  insert.bind(11, job.occurrence);
  insert.bind(12, now_ms);
  insert.exec();
  return database_.getLastInsertRowid();
}

JobEntry JobTables::Load(Job job) {
  JobEntry entry;
  Statement row(database_,
                "SELECT r.job_id, r.epoch, r.started_ms, r.ended_ms, j.user, j.target, r.holder,"
                " r.trials, r.ran_ms FROM job_runs r JOIN jobs j ON j.id = r.job_id"
                " WHERE r.job_id = ? AND r.epoch = ?");
  SQLite::bind(row, job.id, job.epoch);
  if (row.executeStep()) entry.run = ReadRun(row);
  entry.job = std::move(job);
  return entry;
}

void JobTables::Keep(const JobEntry& entry) {
  const Job& job = entry.job;
  Statement update(
      database_,
      "UPDATE jobs SET state = ?, reason = ?, text = ?, since_ms = ?, wish = ?,"
      " holder = ?, epoch = ?, lease_until_ms = ?, crashes = ?, trials = ?, ran_ms = ?,"
      " progress = ?, lease_ms = ?, teller = ? WHERE id = ?");
  SQLite::bind(update, std::string(Name(job.standing.state)),
               std::string(Name(job.standing.reason)), job.standing.text, job.since_ms,
               std::string(Name(job.wish)), job.holder, job.epoch, job.lease_until_ms, job.crashes,
               job.trials, job.ran_ms, job.progress, job.lease_ms, job.teller, job.id);
  update.exec();
  if (job.epoch > 0) KeepRun(entry.run);
  for (const JobTransition& step : entry.steps) AddStep(step);
}

std::map<JobState, std::int64_t> JobTables::Counts() {
  std::map<JobState, std::int64_t> counts;
  Statement row(database_, "SELECT state, count(*) FROM jobs GROUP BY state");
  while (row.executeStep()) {
    counts[Known(JobStateNamed(row.getColumn(0).getString()))] = row.getColumn(1).getInt64();
  }
  return counts;
}

std::vector<JobTransition> JobTables::Steps(std::int64_t id) {
  std::vector<JobTransition> steps;
  Statement row(database_,
                "SELECT job_id, at_ms, epoch, state, reason, text, who FROM job_transitions"
                " WHERE job_id = ? ORDER BY id");
  row.bind(1, id);
  while (row.executeStep()) {
    steps.push_back({row.getColumn(0), row.getColumn(1), row.getColumn(2), ReadStanding(row),
                     row.getColumn("who").getString()});
  }
  return steps;
}

std::vector<JobRun> JobTables::RunsSince(std::int64_t ms) {
  std::vector<JobRun> runs;
  Statement row(
      database_,
      "SELECT r.job_id, r.epoch, r.started_ms, r.ended_ms, j.user, j.target, r.holder,"
      " r.trials, r.ran_ms FROM job_runs r JOIN jobs j ON j.id = r.job_id"
      " WHERE r.ended_ms IS NULL OR r.ended_ms >= ? ORDER BY r.started_ms, r.job_id, r.epoch");
  row.bind(1, ms);
  while (row.executeStep()) runs.push_back(ReadRun(row));
  return runs;
}

void JobTables::PutSeries(const JobSeries& series) {
  Statement insert(database_,
                   "INSERT OR REPLACE INTO job_series (name, user, title, target, time_window,"
                   " priority, deadline, spec, created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const NewJob& job = series.job;
  SQLite::bind(insert, series.name, job.user, job.name, job.target, job.window, job.priority,
               series.deadline, job.spec, series.created_ms);
  insert.exec();
}

std::vector<JobSeries> JobTables::Series() {
  std::vector<JobSeries> all;
  Statement row(database_,
                "SELECT name, user, title, target, time_window, priority, deadline, spec,"
                " created_ms FROM job_series ORDER BY name");
  while (row.executeStep()) {
    JobSeries series;
    series.name = row.getColumn(0).getString();
    series.job.user = row.getColumn(1).getString();
    series.job.name = row.getColumn(2).getString();
    series.job.target = row.getColumn(3).getString();
    series.job.window = row.getColumn(4).getString();
    series.job.priority = row.getColumn(5).getInt();
    series.deadline = row.getColumn(6).getString();
    series.job.spec = row.getColumn(7).getString();
    series.created_ms = row.getColumn(8).getInt64();
    all.push_back(std::move(series));
  }
  return all;
}

bool JobTables::EndSeries(const std::string& name) {
  Statement remove(database_, "DELETE FROM job_series WHERE name = ?");
  remove.bind(1, name);
  return remove.exec() > 0;
}

std::int64_t JobTables::ForgetBefore(std::int64_t ms) {
  Statement remove(database_,
                   "DELETE FROM jobs WHERE since_ms < ?"
                   " AND state IN ('done', 'failed', 'cancelled', 'expired')"
                   " AND id NOT IN (SELECT value FROM jobs later, json_each(later.after)"
                   " WHERE later.state NOT IN ('done', 'failed', 'cancelled', 'expired'))");
  remove.bind(1, ms);
  return remove.exec();
}

void JobTables::KeepRun(const JobRun& run) {
  Statement put(
      database_,
      "INSERT OR REPLACE INTO job_runs (job_id, epoch, holder, started_ms, trials, ran_ms,"
      " ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?)");
  SQLite::bind(put, run.job, run.epoch, run.holder, run.started_ms, run.trials, run.ran_ms);
  if (run.ended_ms) put.bind(7, *run.ended_ms);
  put.exec();
}

void JobTables::AddStep(const JobTransition& step) {
  Statement insert(database_,
                   "INSERT INTO job_transitions (job_id, at_ms, epoch, state, reason, text, who)"
                   " VALUES (?, ?, ?, ?, ?, ?, ?)");
  SQLite::bind(insert, step.job, step.at_ms, step.epoch, std::string(Name(step.to.state)),
               std::string(Name(step.to.reason)), step.to.text, step.who);
  insert.exec();
}

}  // namespace kiln
