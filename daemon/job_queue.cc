#include "daemon/job_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/agenda.h"
#include "daemon/job_view.h"

namespace kiln {
namespace {

constexpr std::int64_t kMostJobs = 100'000;

bool IsAsWished(const Job& job, JobWish wish) {
  const JobStanding& standing = job.standing;
  switch (wish) {
    case JobWish::kNone:
      return !IsFinal(standing.state) && standing.reason != JobReason::kHeld &&
             job.wish != JobWish::kPause;
    case JobWish::kPause:
      return standing.reason == JobReason::kHeld;
    default:
      return standing.state == JobState::kCancelled;
  }
}

std::vector<std::string> WishesOf(const Job& job) {
  if (IsFinal(job.standing.state)) return {};
  return {IsAsWished(job, JobWish::kNone) ? "pause" : "resume", "cancel"};
}

std::string ForecastText(const JobForecast& forecast, const TimeZone& zone) {
  if (!forecast.done) return forecast.why;
  return fmt::format("{} ({})", zone.Local(*forecast.done), forecast.why);
}

}  // namespace

const std::vector<JobState>& UnfinishedStates() {
  static const std::vector<JobState> states{JobState::kQueued, JobState::kRunning,
                                            JobState::kPaused, JobState::kFinishing};
  return states;
}

const std::vector<JobState>& FinalStates() {
  static const std::vector<JobState> states{JobState::kDone, JobState::kFailed,
                                            JobState::kCancelled, JobState::kExpired};
  return states;
}

Status JobQueue::Wish(const Job& job, JobWish wish, const std::string& user) {
  if (IsAsWished(job, wish)) return {};
  ASSIGN_OR_RETURN(const Job now,
                   with_.store.Wish(job.id, wish, user, ToUnixMs(with_.clock.Today())));
  if (now.standing.state != job.standing.state && with_.observer != nullptr) {
    with_.observer->OnTransition(now);
  }
  with_.night.Evaluate();
  return {};
}

QueueView::Row JobQueue::RowOf(Job job) const {
  job = with_.night.Present(std::move(job));
  return {.id = job.id,
          .name = job.job.name,
          .user = job.job.user,
          .target = job.job.target,
          .state = std::string(Name(job.standing.state)),
          .why = job.standing.text,
          .trials = job.trials,
          .since_ms = job.since_ms,
          .wishes = WishesOf(job)};
}

StatusOr<QueueView> JobQueue::Look(const Limits& limits) const {
  const WallTime now = with_.clock.Today();
  const DaemonConfig& config = with_.night.config();
  QueueView view{.daemon = config.name, .local = config.zone.Local(now)};
  ASSIGN_OR_RETURN(std::vector<Job> jobs,
                   with_.store.Jobs({.states = UnfinishedStates(), .limit = kMostJobs}));
  ASSIGN_OR_RETURN(const std::vector<JobRun> runs,
                   with_.store.RunsSince(ToUnixMs(now - kFairnessMemory)));
  SortForPeople(jobs);
  for (const Job& job : jobs) {
    if (view.waiting.size() == limits.waiting) break;
    view.waiting.push_back(RowOf(job));
    view.waiting.back().done = ForecastText(ForecastOf(job, jobs, runs, config, now), config.zone);
  }
  view.left_out = jobs.size() - view.waiting.size();
  ASSIGN_OR_RETURN(const std::vector<Job> ended,
                   with_.store.Jobs({.states = FinalStates(),
                                     .limit = static_cast<std::int64_t>(limits.ended)}));
  for (const Job& job : ended) view.ended.push_back(RowOf(job));
  for (const TimeWindow& window : config.windows) {
    view.windows.push_back({window.rule().name, window.Describe(now), window.IsOpen(now)});
  }
  if (!with_.night.store_trouble().empty()) view.troubles.push_back(with_.night.store_trouble());
  return view;
}

}  // namespace kiln
