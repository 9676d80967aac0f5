#include "apps/kiln/top_store.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <tuple>
#include <utility>

#include "dashboard/words.h"
#include "measure/figures.h"

namespace kiln {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::size_t kMostTasks = 60;     // whose curves are read
constexpr std::size_t kMostFailures = 40;  // kinds of them
constexpr std::int64_t kCurvePoints = 24;

// Of the kind of times that counts most, and of the device that made the most of it.
const BestSoFarCurve* CurveToShow(const std::vector<BestSoFarCurve>& curves) {
  const auto rank = [](const BestSoFarCurve& curve) {
    return std::tuple(curve.kind != TimeKind::kMeasured,
                      -static_cast<std::int64_t>(curve.gains.size()));
  };
  const auto best = std::ranges::min_element(curves, {}, rank);
  return best == curves.end() || best->gains.empty() ? nullptr : &*best;
}

// The best after so many trials of the task; infinite: none yet.
double BestAt(const BestSoFarCurve& curve, std::int64_t seq) {
  double best = std::numeric_limits<double>::infinity();
  for (const BestSoFarCurve::Point& point : curve.gains) {
    if (point.seq <= seq) best = point.ns;
  }
  return best;
}

void AddCurve(const BestSoFarCurve& curve, StoreFacts::Task& task) {
  const std::int64_t points = std::min(kCurvePoints, curve.last_seq);
  for (std::int64_t i = 1; i <= points; ++i) {
    task.curve.push_back(BestAt(curve, curve.last_seq * i / points));
  }
  task.best_ns = curve.gains.back().ns;
  task.flat = curve.last_seq - curve.gains.back().seq;
  // A task of which nothing was timed an hour ago has gained since its first time.
  const double before =
      std::min(BestAt(curve, curve.last_seq - task.recent), curve.gains.front().ns);
  task.gain = Gain(before, task.best_ns);
}

StatusOr<std::vector<StoreFacts::Task>> ReadTasks(const TrialStatistics& statistics,
                                                  const std::vector<TaskActivity>& tasks) {
  std::vector<TaskNames> names;
  names.reserve(tasks.size());
  for (const TaskActivity& task : tasks) names.push_back(task.task);
  ASSIGN_OR_RETURN(const auto curves, statistics.Curves(names));
  std::vector<StoreFacts::Task> rows;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    StoreFacts::Task& row = rows.emplace_back();
    row.layer = WorkloadText(tasks[i].task.workload);
    row.setting = SettingText(tasks[i].task);
    row.trials = tasks[i].trials;
    row.failed = tasks[i].failed;
    row.recent = tasks[i].since;
    row.last_ms = tasks[i].last_ms;
    if (const BestSoFarCurve* curve = CurveToShow(curves[i])) AddCurve(*curve, row);
  }
  return rows;
}

// What failed most often of late.
StatusOr<std::string> CommonFailure(const TrialStatistics& statistics, std::int64_t since_ms) {
  ASSIGN_OR_RETURN(const FailureSummary summary, statistics.Failures(since_ms, kMostFailures));
  const auto most = std::ranges::max_element(summary.groups, {}, &FailureGroup::since);
  if (most == summary.groups.end()) return std::string();
  return std::string(Name(most->stage)) + ": " + Name(most->kind) + ": " + most->message;
}

}  // namespace

StatusOr<StoreFacts> ReadStoreFacts(const std::string& database, std::int64_t now_ms) {
  const std::int64_t since_ms = now_ms - kHourMs;
  ASSIGN_OR_RETURN(const std::unique_ptr<TrialStatistics> statistics,
                   OpenSqliteStatistics(database));
  ASSIGN_OR_RETURN(std::vector<TaskActivity> tasks, statistics->Tasks(since_ms));
  StoreFacts facts;
  for (const TaskActivity& task : tasks) facts.trials += task.trials;
  std::erase_if(tasks, [](const TaskActivity& task) { return task.since == 0; });
  facts.active_tasks = std::ssize(tasks);
  std::ranges::stable_sort(tasks, std::greater(), &TaskActivity::last_ms);
  if (tasks.size() > kMostTasks) tasks.resize(kMostTasks);
  ASSIGN_OR_RETURN(facts.tasks, ReadTasks(*statistics, tasks));
  ASSIGN_OR_RETURN(facts.devices, statistics->Readings(since_ms));
  for (const DeviceReading& reading : facts.devices) {
    facts.measured += reading.since;
    facts.failed += reading.failed_since;
  }
  if (facts.measured > 0 && facts.failed == facts.measured) {
    ASSIGN_OR_RETURN(facts.failure, CommonFailure(*statistics, since_ms));
  }
  return facts;
}

}  // namespace kiln
