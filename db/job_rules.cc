#include "db/job_rules.h"

#include <algorithm>
#include <utility>

namespace kiln {
namespace {

Status NoSuchClaim(const Job& job, const JobClaim& claim) {
  return Error(StatusCode::kAborted, "claim ", claim.epoch, " of job ", claim.id,
               " is over: the job is ", Name(job.standing.state),
               job.holder.empty() ? "" : ", held by " + job.holder);
}

Status CheckClaim(const JobEntry& entry, const JobClaim& claim) {
  const bool holds = IsHeld(entry.job.standing.state) && entry.job.epoch == claim.epoch;
  return holds ? Status() : NoSuchClaim(entry.job, claim);
}

void Go(JobEntry& entry, const JobStanding& to, const std::string& who, std::int64_t now_ms) {
  Job& job = entry.job;
  const bool is_step = to.state != job.standing.state || to.reason != job.standing.reason;
  job.standing = to;
  if (!is_step) return;  // other words for the same are no history
  job.since_ms = now_ms;
  entry.steps.push_back({job.id, now_ms, job.epoch, to, who});
}

// A run never has less than it had: what arrives late is older.
void Account(JobEntry& entry, const JobProgress& progress) {
  JobRun& run = entry.run;
  const std::int64_t trials = std::max(run.trials, progress.trials);
  const std::int64_t ran_ms = std::max(run.ran_ms, progress.ran_ms);
  // A job that gets on comes to its end, however often the power fails.
  if (trials > run.trials) entry.job.crashes = 0;
  entry.job.trials += trials - run.trials;
  entry.job.ran_ms += ran_ms - run.ran_ms;
  run.trials = trials;
  run.ran_ms = ran_ms;
  if (!progress.text.empty()) entry.job.progress = progress.text;
}

void GiveBack(JobEntry& entry, std::int64_t now_ms) {
  entry.run.ended_ms = now_ms;
  entry.job.holder.clear();
  entry.job.lease_until_ms = 0;
  entry.job.wish = JobWish::kNone;
}

JobStanding Poison(const std::string& text) {
  return {JobState::kFailed, JobReason::kPoison,
          text + "; that was the third time in a row: look into it, then submit the job again"};
}

JobStanding Paused(std::int64_t id) {
  return {JobState::kPaused, JobReason::kHeld,
          "paused by hand: `kiln resume " + std::to_string(id) + "` lets it go on"};
}

JobStanding Cancelled(const Job& job) {
  return {JobState::kCancelled, JobReason::kUser,
          "cancelled; its " + std::to_string(job.trials) + " trials are kept"};
}

JobStanding Resumed() {
  return {JobState::kQueued, JobReason::kTurn, "it goes on when its turn comes"};
}

// What becomes of a job that its holder lets wait: the holder may not have heard yet of what is
// wished, or that a wish to pause was taken back.
JobStanding AsWished(const Job& job, const JobStanding& to) {
  const bool is_held = to.reason == JobReason::kHeld;
  if (job.wish == JobWish::kNone) return is_held ? Resumed() : to;
  if (job.wish != JobWish::kPause) return Cancelled(job);
  return is_held ? to : Paused(job.id);
}

// What becomes of a job that waits from now on, after what it has been through.
JobStanding AsItIs(const Job& job, const JobStanding& to) {
  const bool is_unwanted = job.wish == JobWish::kCancel || job.wish == JobWish::kCancelNow;
  if (job.crashes >= kMostCrashes && !is_unwanted) return Poison(to.text);
  return AsWished(job, to);
}

Status HasEnded(const Job& job) {
  return Error(StatusCode::kFailedPrecondition, "job ", job.id, " has ended: it is ",
               Name(job.standing.state));
}

Status Resume(JobEntry& entry, const std::string& who, std::int64_t now_ms) {
  Job& job = entry.job;
  if (job.wish == JobWish::kPause) {
    job.wish = JobWish::kNone;
    return {};
  }
  if (job.standing.reason != JobReason::kHeld) {
    return Error(StatusCode::kFailedPrecondition, "job ", job.id, " is not paused by hand: it is ",
                 Name(job.standing.state));
  }
  Go(entry, Resumed(), who, now_ms);
  return {};
}

}  // namespace

Status CheckSubmitted(const NewJob& job) {
  const char* missing = job.uuid.empty()     ? "uuid"
                        : job.user.empty()   ? "user"
                        : job.target.empty() ? "target"
                        : job.spec.empty()   ? "spec"
                                             : nullptr;
  if (missing != nullptr) {
    return Error(StatusCode::kInvalidArgument, "a job without ", missing, " cannot be queued");
  }
  if (job.series.empty() != job.occurrence.empty()) {
    return Error(StatusCode::kInvalidArgument, "a job of a series has a date, and no other has");
  }
  return {};
}

Status CheckSeries(const JobSeries& series) {
  const NewJob& job = series.job;
  if (series.name.empty() || job.window.empty()) {
    return Error(StatusCode::kInvalidArgument, "what comes again has a name and a window");
  }
  const bool is_one = !job.after.empty() || job.deadline_ms || !job.uuid.empty() ||
                      !job.series.empty() || !job.occurrence.empty();
  if (!is_one) return {};
  return Error(StatusCode::kInvalidArgument, "the jobs of ", series.name,
               " have what only a single job can have: a uuid, a date or others before it");
}

JobEntry Submitted(const NewJob& job, std::int64_t id, std::int64_t now_ms) {
  JobEntry entry;
  entry.job.id = id;
  entry.job.job = job;
  entry.job.submitted_ms = entry.job.since_ms = now_ms;
  entry.job.standing = {JobState::kQueued, JobReason::kTurn, "no daemon has looked at it yet"};
  entry.steps.push_back({id, now_ms, 0, entry.job.standing, job.user});
  return entry;
}

Status CheckSame(const Job& known, const NewJob& job) {
  if (known.job == job) return {};
  if (known.job.uuid == job.uuid) {
    return Error(StatusCode::kAlreadyExists, "job ", known.id, " was submitted with the uuid ",
                 job.uuid, ", and is another one");
  }
  return Error(StatusCode::kAlreadyExists, "job ", known.id, " is ", job.series, " of ",
               job.occurrence, " already");
}

StatusOr<JobClaim> ApplyClaim(JobEntry& entry, const std::string& holder, std::int64_t now_ms,
                              std::chrono::milliseconds ttl) {
  Job& job = entry.job;
  if (holder.empty()) {
    return Error(StatusCode::kInvalidArgument, "whoever claims job ", job.id, " must have a name");
  }
  const bool waits = !IsHeld(job.standing.state) && !IsFinal(job.standing.state);
  if (!waits || job.standing.reason == JobReason::kHeld) {
    return Error(StatusCode::kFailedPrecondition, "job ", job.id,
                 " does not wait for a holder: ", "it is ", Name(job.standing.state),
                 job.holder.empty() ? "" : ", held by " + job.holder);
  }
  ++job.epoch;
  job.holder = holder;
  job.lease_ms = ttl.count();
  job.lease_until_ms = now_ms + ttl.count();
  entry.run = {.job = job.id,
               .epoch = job.epoch,
               .started_ms = now_ms,
               .user = job.job.user,
               .target = job.job.target,
               .holder = holder};
  Go(entry, {JobState::kRunning, JobReason::kStarting, "its tuner is starting"}, holder, now_ms);
  return JobClaim{job.id, job.epoch};
}

StatusOr<JobWish> ApplyBeat(JobEntry& entry, const JobClaim& claim, const JobProgress& progress,
                            std::int64_t now_ms, std::chrono::milliseconds ttl) {
  RETURN_IF_ERROR(CheckClaim(entry, claim));
  Account(entry, progress);
  entry.job.lease_ms = ttl.count();
  entry.job.lease_until_ms = now_ms + ttl.count();
  return entry.job.wish;
}

Status ApplyMove(JobEntry& entry, const JobClaim& claim, const JobMove& move, std::int64_t now_ms) {
  RETURN_IF_ERROR(CheckClaim(entry, claim));
  const std::string holder = entry.job.holder;
  Account(entry, move.progress);
  JobStanding to = move.to;
  if (!IsHeld(to.state)) {
    entry.job.crashes = move.crashed ? entry.job.crashes + 1 : 0;
    if (!IsFinal(to.state)) to = AsItIs(entry.job, to);
    GiveBack(entry, now_ms);
  }
  Go(entry, to, holder, now_ms);
  return {};
}

Status ApplyExplain(JobEntry& entry, const Job& seen, const JobStanding& to, std::int64_t now_ms) {
  const Job& job = entry.job;
  const bool changed = IsHeld(job.standing.state) || IsFinal(job.standing.state) ||
                       job.epoch != seen.epoch || job.standing != seen.standing;
  if (changed) {
    return Error(StatusCode::kAborted, "job ", job.id, " is ", Name(job.standing.state),
                 " by now, not as it was seen");
  }
  if (IsHeld(to.state)) {
    return Error(StatusCode::kInvalidArgument, "job ", job.id, " cannot become ", Name(to.state),
                 " without a claim");
  }
  Go(entry, to, "", now_ms);
  return {};
}

Status ApplyWish(JobEntry& entry, JobWish wish, const std::string& who, std::int64_t now_ms) {
  Job& job = entry.job;
  if (IsFinal(job.standing.state)) return HasEnded(job);
  if (wish == JobWish::kNone) return Resume(entry, who, now_ms);
  if (IsHeld(job.standing.state)) {
    job.wish = std::max(job.wish, wish);  // in order of strength
    return {};
  }
  Go(entry, wish == JobWish::kPause ? Paused(job.id) : Cancelled(job), who, now_ms);
  return {};
}

bool IsLost(const Job& job, const std::string& dead, std::int64_t now_ms) {
  if (!IsHeld(job.standing.state)) return false;
  const bool by_name = !dead.empty() && (job.holder == dead || job.holder.starts_with(dead + "/"));
  // A clock that was set back by less than the lease has only made it longer.
  const std::int64_t left = job.lease_until_ms - now_ms;
  return by_name || left <= 0 || left > 2 * job.lease_ms;
}

void ApplyRecovery(JobEntry& entry, std::int64_t now_ms) {
  Job& job = entry.job;
  const std::string holder = job.holder;
  ++job.crashes;
  const JobStanding to =
      AsItIs(job, {JobState::kQueued, JobReason::kRecovered, holder + " was lost while it ran"});
  GiveBack(entry, now_ms);
  Go(entry, to, "", now_ms);
}

}  // namespace kiln
