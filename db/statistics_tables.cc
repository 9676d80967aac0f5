// Each query is one pass over a table, or one over the trials of a task: no answer takes more than
// 100 ms of 100,000 trials (benchmarks/report.cc).

#include "db/statistics_tables.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>
#include <utility>

#include "db/row_text.h"
#include "db/statistics_rules.h"

namespace kiln {
namespace {

using SQLite::Statement;

// From its five columns, from the first one on.
TaskNames ReadNames(Statement& row, int first) {
  return {row.getColumn(first).getString(), row.getColumn(first + 1).getString(),
          row.getColumn(first + 2).getInt(), ParseCacheState(row.getColumn(first + 3).getString()),
          row.getColumn(first + 4).getString()};
}

// Of the failure with this uuid: where it can be made again.
void ReadExample(Statement& row, const std::string& uuid, FailureGroup& group) {
  row.reset();
  row.bind(1, uuid);
  if (!row.executeStep()) return;
  group.task = ReadNames(row, 0);
  group.config_id = row.getColumn(5).getString();
  group.device = row.getColumn(6).getString();
}

// `latest` is 20 digits of time and a uuid.
constexpr const char* kFailureGroups =
    "WITH grouped AS (SELECT stage, status, coalesce(message, '') AS message, count(*) AS n,"
    " sum(measured_ms >= :since) AS recent, max(measured_ms) AS last_ms,"
    " max(printf('%020d', measured_ms) || uuid) AS latest"
    " FROM measurements WHERE stage IS NOT NULL GROUP BY 1, 2, 3)"
    " SELECT stage, status, message, n, recent, last_ms, substr(latest, 21), count(*) OVER (),"
    " sum(n = recent) OVER (), sum(n) OVER (), sum(recent) OVER ()"
    " FROM grouped ORDER BY n DESC, stage, status, message LIMIT :limit";

constexpr const char* kDevices =
    "SELECT coalesce(device, ''), count(*), sum(stage IS NOT NULL), sum(measured_ms >= :since),"
    " sum(stage IS NOT NULL AND measured_ms >= :since), total(timed),"
    " total(CASE WHEN measured_ms >= :since THEN timed END), max(measured_ms),"
    " max(CASE WHEN measured_ms >= :since THEN coalesce(temperature_after_c, 0) ELSE 0 END)"
    " FROM (SELECT device, stage, measured_ms, temperature_after_c,"
    "  median_ns * calls * json_array_length(samples) AS timed FROM measurements)"
    " GROUP BY 1 ORDER BY 1";

}  // namespace

// Trials are grouped before their tasks have names: what is sorted is smaller by half.
std::vector<TaskActivity> StatisticsTables::Tasks(std::int64_t since_ms) {
  Statement row(
      database_,
      "SELECT k.workload, k.target, k.threads, k.cache, k.template, n, failed, recent,"
      " last_ms FROM (SELECT t.task_id, count(*) AS n, sum(m.stage IS NOT NULL) AS failed,"
      "  sum(m.measured_ms >= ?) AS recent, max(m.measured_ms) AS last_ms"
      "  FROM measurements m JOIN trials t ON t.id = m.trial_id"
      "  WHERE m.purpose = 'tune' GROUP BY t.task_id) JOIN tasks k ON k.id = task_id"
      " ORDER BY k.workload, k.target, k.threads, k.cache DESC, k.template");
  row.bind(1, since_ms);
  std::vector<TaskActivity> tasks;
  while (row.executeStep()) {
    tasks.push_back({ReadNames(row, 0), row.getColumn(5).getInt64(), row.getColumn(6).getInt64(),
                     row.getColumn(7).getInt64(), row.getColumn(8).getInt64()});
  }
  return tasks;
}

FailureSummary StatisticsTables::Failures(std::int64_t since_ms, std::size_t limit) {
  Statement row(database_, kFailureGroups);
  row.bind(":since", since_ms);
  row.bind(":limit", static_cast<std::int64_t>(limit));
  Statement example(database_,
                    "SELECT k.workload, k.target, k.threads, k.cache, k.template, t.config_id,"
                    " coalesce(m.device, '') FROM measurements m JOIN trials t ON t.id = m.trial_id"
                    " JOIN tasks k ON k.id = t.task_id WHERE m.uuid = ?");
  FailureSummary summary;
  while (row.executeStep()) {
    FailureGroup group;
    group.stage = ParseStage(row.getColumn(0).getString());
    group.kind = ParseFailureKind(row.getColumn(1).getString());
    group.message = row.getColumn(2).getString();
    group.count = row.getColumn(3).getInt64();
    group.since = row.getColumn(4).getInt64();
    group.last_ms = row.getColumn(5).getInt64();
    ReadExample(example, row.getColumn(6).getString(), group);
    summary.groups.push_back(std::move(group));
    summary.all_groups = row.getColumn(7).getInt64();
    summary.new_groups = row.getColumn(8).getInt64();
    summary.count = row.getColumn(9).getInt64();
    summary.since = row.getColumn(10).getInt64();
  }
  return summary;
}

std::vector<DeviceActivity> StatisticsTables::Devices(std::int64_t since_ms) {
  Statement row(database_, kDevices);
  row.bind(":since", since_ms);
  std::vector<DeviceActivity> devices;
  while (row.executeStep()) {
    devices.push_back(
        {row.getColumn(0).getString(), row.getColumn(1).getInt64(), row.getColumn(2).getInt64(),
         row.getColumn(3).getInt64(), row.getColumn(4).getInt64(), row.getColumn(5).getDouble(),
         row.getColumn(6).getDouble(), row.getColumn(7).getInt64(), row.getColumn(8).getDouble()});
  }
  return devices;
}

// Columns beside a max() that stands alone are those of its row.
std::vector<DeviceReading> StatisticsTables::Readings(std::int64_t since_ms) {
  Statement row(database_,
                "SELECT coalesce(device, ''), sum(measured_ms >= :since),"
                " sum(stage IS NOT NULL AND measured_ms >= :since), max(measured_ms),"
                " coalesce(temperature_after_c, 0), coalesce(load_after, 0)"
                " FROM measurements GROUP BY 1 ORDER BY 1");
  row.bind(":since", since_ms);
  std::vector<DeviceReading> readings;
  while (row.executeStep()) {
    readings.push_back({row.getColumn(0).getString(), row.getColumn(1).getInt64(),
                        row.getColumn(2).getInt64(), row.getColumn(3).getInt64(),
                        row.getColumn(4).getDouble(), row.getColumn(5).getDouble()});
  }
  return readings;
}

std::vector<Repetition> StatisticsTables::Repetitions() {
  Statement row(database_,
                "SELECT again.device, again.measured_ms, first.min_ns, again.min_ns"
                " FROM measurements again JOIN measurements first"
                " ON first.trial_id = again.trial_id AND first.purpose = 'tune'"
                " WHERE again.purpose <> 'tune' AND again.status = 'ok' AND first.status = 'ok'"
                " AND again.device = first.device ORDER BY 1, 2, 3, 4");
  std::vector<Repetition> repetitions;
  while (row.executeStep()) {
    repetitions.push_back({row.getColumn(0).getString(), row.getColumn(1).getInt64(),
                           row.getColumn(2).getDouble(), row.getColumn(3).getDouble()});
  }
  return repetitions;
}

std::vector<std::vector<BestSoFarCurve>> StatisticsTables::Curves(
    std::span<const TaskNames> tasks) {
  Statement row(database_,
                "SELECT t.seq, t.kind, coalesce(m.device, ''), m.status = 'ok', m.min_ns"
                " FROM trials t JOIN measurements m ON m.trial_id = t.id AND m.purpose = 'tune'"
                " WHERE t.task_id = (SELECT id FROM tasks WHERE workload = ? AND target = ?"
                "  AND threads = ? AND cache = ? AND template = ?) ORDER BY t.seq");
  std::vector<std::vector<BestSoFarCurve>> curves;
  for (const TaskNames& task : tasks) {
    row.reset();
    row.bind(1, task.workload);
    row.bind(2, task.target);
    row.bind(3, task.threads);
    row.bind(4, Name(task.cache));
    row.bind(5, task.kernel_template);
    CurveFold fold;
    while (row.executeStep()) {
      std::optional<double> ns;
      if (row.getColumn(3).getInt() != 0) ns = row.getColumn(4).getDouble();
      fold.Add(row.getColumn(0).getInt64(), ParseTimeKind(row.getColumn(1).getString()),
               row.getColumn(2).getString(), ns);
    }
    curves.push_back(fold.Take());
  }
  return curves;
}

TrialStatistics::Sessions StatisticsTables::NewestSessions(std::size_t limit) {
  Statement row(database_,
                "SELECT s.started_ms, s.command, s.seed, s.compiler, s.host, coalesce(n, 0),"
                " count(*) OVER () FROM sessions s LEFT JOIN"
                " (SELECT session_id, count(*) AS n FROM trials GROUP BY session_id) made"
                " ON made.session_id = s.id ORDER BY s.started_ms DESC, s.id DESC LIMIT ?");
  row.bind(1, static_cast<std::int64_t>(limit));
  TrialStatistics::Sessions sessions;
  while (row.executeStep()) {
    sessions.newest.push_back({{row.getColumn(0).getInt64(), row.getColumn(1).getString(),
                                std::stoull(row.getColumn(2).getString()),
                                row.getColumn(3).getString(), row.getColumn(4).getString()},
                               row.getColumn(5).getInt64()});
    sessions.all = row.getColumn(6).getInt64();
  }
  return sessions;
}

}  // namespace kiln
