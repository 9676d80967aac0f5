#include "daemon/agenda.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <set>
#include <tuple>

namespace kiln {
namespace {

// Nothing is begun that would have to stop before it has made a trial.
constexpr std::chrono::seconds kWorthStarting{10};
// The agenda is made anew at least so often: nothing then depends on having foreseen every change.
constexpr std::chrono::seconds kLongestUntil{60};

std::string Plural(std::size_t count, const std::string& word) {
  return fmt::format("{} {}{}", count, word, count == 1 ? "" : "s");
}

std::string Called(const Job& job) { return fmt::format("job {} ({})", job.id, job.job.user); }

// This looks at each job in the order in which they may begin.
class Planner {
 public:
  explicit Planner(const AgendaInput& input)
      : in_(input), agenda_{{}, {}, input.now + kLongestUntil} {
    for (const JobRun& run : in_.runs) used_ms_[run.user] += run.ran_ms;
    for (const Job& job : in_.jobs) {
      known_.emplace(job.id, &job);
      if (IsHeld(job.standing.state)) Occupy(job);
    }
  }

  Agenda Make() {
    std::vector<const Job*> ready;
    for (const Job& job : in_.jobs) {
      if (IsHeld(job.standing.state)) continue;
      const bool paused_by_person = job.standing.reason == JobReason::kHeld;
      if (const auto standing = paused_by_person ? Overdue(job) : Obstacle(job)) {
        agenda_.explain.push_back({job, *standing});
      } else if (!paused_by_person) {
        ready.push_back(&job);
      }
    }
    Admit(std::move(ready));
    return std::move(agenda_);
  }

 private:
  // All jobs of a lane use the same devices.
  std::string LaneOf(const Job& job) const {
    return in_.config.tracker.empty() ? "this machine" : job.job.target;
  }
  std::size_t RoomOf() const {
    return in_.config.tracker.empty() ? 1 : static_cast<std::size_t>(in_.config.jobs_per_target);
  }

  void Occupy(const Job& job) {
    occupants_[LaneOf(job)].push_back(&job);
    ++running_of_[job.job.user];
  }

  // Why it could not begin even if it were alone, or how it has ended; nullopt: it could.
  std::optional<JobStanding> Obstacle(const Job& job) {
    if (auto standing = Overdue(job)) return standing;
    if (const Status& known = TargetStatus(job.job.target); IsUnknown(known)) {
      return JobStanding{JobState::kFailed, JobReason::kTarget, Message(known)};
    } else if (!known
                    .ok()) {  // perhaps not for long: no descriptors, files that are being replaced
      return Waits(job, JobReason::kDevice, Message(known));
    }
    if (auto text = Predecessor(job)) return Waits(job, JobReason::kDependency, *text);
    if (const std::string& text = ClosedWindow(job.job.window); !text.empty()) {
      return Waits(job, JobReason::kWindow, text);
    }
    if (const auto rest = in_.rests.find(job.id);
        rest != in_.rests.end() && rest->second.until > in_.now) {
      ExpectChange(rest->second.until);
      return rest->second.standing;
    }
    if (const auto trouble = in_.trouble.find(job.job.target); trouble != in_.trouble.end()) {
      return Waits(job, JobReason::kDevice, trouble->second);
    }
    return std::nullopt;
  }

  // What has run once and not ended is paused; what has not is queued.
  static JobStanding Waits(const Job& job, JobReason reason, std::string text) {
    const bool paused = job.standing.state == JobState::kPaused;
    return {paused ? JobState::kPaused : JobState::kQueued, reason, std::move(text)};
  }

  std::optional<JobStanding> Overdue(const Job& job) {
    if (!job.job.deadline_ms) return std::nullopt;
    const WallTime deadline = FromUnixMs(*job.job.deadline_ms);
    if (deadline > in_.now) {
      ExpectChange(deadline);
      return std::nullopt;
    }
    const std::string when = in_.config.zone.Local(deadline);
    if (job.trials > 0) {
      return JobStanding{JobState::kDone, JobReason::kDeadline,
                         fmt::format("its deadline, {}, ended it after {}", when,
                                     Plural(static_cast<std::size_t>(job.trials), "trial"))};
    }
    return JobStanding{JobState::kExpired, JobReason::kDeadline,
                       fmt::format("its deadline, {}, came before it could begin ({}): submit it "
                                   "again with a later one",
                                   when, job.standing.text)};
  }

  std::optional<std::string> Predecessor(const Job& job) const {
    for (const std::int64_t id : job.job.after) {
      const std::optional<JobState> state = StateOf(id);
      if (state == JobState::kDone) continue;
      if (!state) return fmt::format("comes after job {}, which is forgotten: cancel this one", id);
      if (IsFinal(*state)) {
        return fmt::format(
            "comes after job {}, which ended as {}: cancel this one, or submit it "
            "again without --after",
            id, Name(*state));
      }
      return fmt::format("comes after job {}, which is {}", id, Name(*state));
    }
    return std::nullopt;
  }

  std::optional<JobState> StateOf(std::int64_t id) const {
    if (const auto found = known_.find(id); found != known_.end()) {
      return found->second->standing.state;
    }
    const auto found = in_.ended.find(id);
    return found == in_.ended.end() ? std::nullopt : std::optional(found->second);
  }

  static bool IsUnknown(const Status& target) {
    return target.code() == StatusCode::kNotFound || target.code() == StatusCode::kInvalidArgument;
  }

  // Of many jobs with few targets: finding one reads files.
  const Status& TargetStatus(const std::string& target) {
    const auto [known, is_new] = targets_.try_emplace(target);
    if (is_new && in_.check_target) known->second = in_.check_target(target);
    return known->second;
  }

  // Why jobs of this window cannot begin now; empty: they can.
  const std::string& ClosedWindow(const std::string& name) {
    const auto [known, is_new] = windows_.try_emplace(name);
    if (is_new && !name.empty()) known->second = LookAtWindow(name);
    return known->second;
  }

  std::string LookAtWindow(const std::string& name) {
    const TimeWindow* window = WindowNamed(in_.config, name);
    if (window == nullptr) {
      return fmt::format(
          "its window `{}` is not in the daemon's configuration: add it there, or "
          "submit again with another --window",
          name);
    }
    const std::optional<WallTime> change = window->NextChange(in_.now);
    if (change) ExpectChange(*change);
    if (!window->IsOpen(in_.now)) {
      return "window " + name + " " + window->DescribeChange(in_.now);
    }
    const bool worth_it = !change || *change - in_.now >= kWorthStarting;
    return worth_it ? "" : "window " + name + " closes in a moment";
  }

  // One after the other. Only one that begins changes whose turn is next, and few do.
  void Admit(std::vector<const Job*> ready) {
    const auto sort_from = [&](std::size_t first) {
      std::ranges::sort(ready.begin() + static_cast<std::ptrdiff_t>(first), ready.end(), {},
                        [this](const Job* job) { return RankOf(*job); });
    };
    sort_from(0);
    for (std::size_t i = 0; i < ready.size(); ++i) {
      const Job& job = *ready[i];
      const std::vector<const Job*>& occupants = occupants_[LaneOf(job)];
      if (occupants.size() >= RoomOf()) {
        agenda_.explain.push_back({job, Waits(job, JobReason::kTurn, Turn(job, occupants))});
      } else if (OverQuota(job)) {
        agenda_.explain.push_back(
            {job, Waits(job, JobReason::kQuota,
                        fmt::format("{} has {} running, as many as one may", job.job.user,
                                    Plural(running_of_[job.job.user], "job")))});
      } else {
        agenda_.start.push_back(job);
        Occupy(*known_.at(job.id));
        sort_from(i + 1);
      }
    }
  }

  std::tuple<std::int64_t, std::int64_t, std::size_t, std::int64_t, std::int64_t> RankOf(
      const Job& job) {
    return {-static_cast<std::int64_t>(job.job.priority),
            job.job.deadline_ms.value_or(std::numeric_limits<std::int64_t>::max()),
            running_of_[job.job.user], used_ms_[job.job.user], job.id};
  }

  bool OverQuota(const Job& job) {
    return in_.config.jobs_per_user > 0 &&
           running_of_[job.job.user] >= static_cast<std::size_t>(in_.config.jobs_per_user);
  }

  std::string Turn(const Job& job, const std::vector<const Job*>& occupants) {
    std::size_t& before = waiting_[LaneOf(job)];
    std::string text = fmt::format("{} has {} now", Called(*occupants.front()), LaneOf(job));
    if (before > 0) text += fmt::format("; {} before this one", Plural(before, "job"));
    ++before;
    return text;
  }

  void ExpectChange(WallTime at) {
    if (at > in_.now) agenda_.until = std::min(agenda_.until, at);
  }

  const AgendaInput& in_;
  Agenda agenda_;
  std::map<std::int64_t, const Job*> known_;
  std::map<std::string, std::vector<const Job*>> occupants_;  // by lane
  std::map<std::string, std::size_t> waiting_;                // for their turn, by lane
  std::map<std::string, Status> targets_;
  std::map<std::string, std::string> windows_;     // why they are closed
  std::map<std::string, std::size_t> running_of_;  // user
  std::map<std::string, std::int64_t> used_ms_;    // by user
};

}  // namespace

Agenda MakeAgenda(const AgendaInput& input) { return Planner(input).Make(); }

const TimeWindow* WindowNamed(const DaemonConfig& config, const std::string& name) {
  const auto found = std::ranges::find(config.windows, name,
                                       [](const TimeWindow& window) { return window.rule().name; });
  return found == config.windows.end() ? nullptr : &*found;
}

std::optional<JobEnd> EndOf(const DaemonConfig& config, const Job& job, WallTime now) {
  std::optional<JobEnd> end;
  if (job.job.deadline_ms) end = JobEnd{FromUnixMs(*job.job.deadline_ms), true};
  if (job.job.window.empty()) return end;
  const TimeWindow* window = WindowNamed(config, job.job.window);
  // A window that a new configuration does not have is closed.
  if (window == nullptr || !window->IsOpen(now)) return JobEnd{now, false};
  if (const auto change = window->NextChange(now); change && (!end || *change < end->at)) {
    end = JobEnd{*change, false};
  }
  return end;
}

}  // namespace kiln
