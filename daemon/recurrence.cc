#include "daemon/recurrence.h"

#include <algorithm>

#include "daemon/agenda.h"

namespace kiln {
std::vector<NewJob> DueOccurrences(std::span<const JobSeries> series,
                                   std::span<const Job> unfinished, const DaemonConfig& config,
                                   WallTime now) {
  std::vector<NewJob> due;
  for (const JobSeries& each : series) {
    const TimeWindow* window = WindowNamed(config, each.job.window);
    const auto date = window != nullptr ? window->DateOf(now) : std::nullopt;
    const bool goes_on = std::ranges::any_of(
        unfinished, [&](const Job& job) { return job.job.series == each.name; });
    if (!date || goes_on) continue;
    NewJob job = each.job;
    job.series = each.name;
    job.occurrence = *date;
    job.uuid = each.name + "@" + *date;
    // Of this night, even where it is submitted late in it.
    if (!each.deadline.empty()) {
      const auto deadline = NextTimeOfDay(config.zone, each.deadline, *window->StartOf(now));
      if (deadline.ok()) job.deadline_ms = ToUnixMs(*deadline);
    }
    due.push_back(std::move(job));
  }
  return due;
}

}  // namespace kiln
