#include "dashboard/store_view.h"

#include <algorithm>
#include <utility>

#include "dashboard/words.h"

namespace kiln {
namespace {

constexpr std::size_t kCommandBytes = 160;

}  // namespace

StoreView MakeStoreView(const StoreFile& file, const std::vector<TaskActivity>& tasks,
                        const TrialStatistics::Sessions& sessions,
                        std::vector<UnknownWorkload> unknown) {
  StoreView view{.file = file, .unknown = std::move(unknown)};
  view.tasks = std::ssize(tasks);
  for (const TaskActivity& task : tasks) {
    view.trials += task.trials;
    view.failed += task.failed;
    view.since += task.since;
    view.last_ms = std::max(view.last_ms, task.last_ms);
  }
  for (const auto& [session, trials] : sessions.newest) {
    view.writers.push_back({.started_ms = session.started_ms,
                            .trials = trials,
                            .command = Shortened(session.command, kCommandBytes),
                            .host = session.host});
  }
  view.sessions = sessions.all;
  return view;
}

}  // namespace kiln
