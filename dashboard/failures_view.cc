#include "dashboard/failures_view.h"

#include <fmt/format.h>

#include <utility>

#include "base/shell_word.h"
#include "dashboard/words.h"
#include "db/statistics_rules.h"

namespace kiln {
namespace {

constexpr std::size_t kMessageBytes = 200;

// Verifying compiles, loads, runs and compares: whatever fails in a trial fails in it.
std::string CommandFor(const FailureGroup& group, const DashboardScope& scope) {
  const TaskNames& task = group.task;
  return fmt::format("kiln verify --workload {} --target {} --threads {}{} --config {}{}{}",
                     ShellWord(task.workload), ShellWord(task.target), task.threads,
                     task.cache == CacheState::kCold ? " --cache cold" : "",
                     ShellWord(group.config_id), scope.db.empty() ? "" : " ", scope.db);
}

}  // namespace

FailuresView MakeFailuresView(const FailureSummary& failures, const DashboardScope& scope) {
  FailuresView view;
  for (const FailureGroup& group : failures.groups) {
    view.rows.push_back({.stage = group.stage,
                         .kind = group.kind,
                         .message = Shortened(group.message, kMessageBytes),
                         .count = group.count,
                         .since = group.since,
                         .last_ms = group.last_ms,
                         .is_new = IsNew(group),
                         .layer = WorkloadText(group.task.workload),
                         .device = group.device,
                         .command = CommandFor(group, scope)});
  }
  view.groups = failures.all_groups;
  view.new_groups = failures.new_groups;
  view.count = failures.count;
  view.since = failures.since;
  view.left_out = failures.all_groups - std::ssize(failures.groups);
  return view;
}

}  // namespace kiln
