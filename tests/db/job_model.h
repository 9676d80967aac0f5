#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "db/job_store.h"
#include "tests/db/job_queue.h"

namespace kiln {

// What the jobs of a queue should be like, written from what db/job_store.h says and not from the rules:
// each call is one of JobStore's, and returns what that should return.
class JobModel {
 public:
  using S = JobState;
  using R = JobReason;

  std::map<std::int64_t, Job> jobs;
  std::map<std::pair<std::int64_t, std::int64_t>, JobRun> runs;  // by job and epoch
  std::optional<std::int64_t> touched;  // its words may be others, which nobody predicts
  std::int64_t now = 1'000'000;

  static bool Ended(S state) { return state >= S::kDone; }
  static bool Waits(S state) { return state == S::kQueued || state == S::kPaused; }

  StatusCode Submit(const NewJob& job) {
    for (const auto& [id, known] : jobs) {
      if (known.job.uuid == job.uuid)
        return known.job == job ? StatusCode::kOk : StatusCode::kAlreadyExists;
    }
    for (const std::int64_t id : job.after) {
      if (!jobs.contains(id)) return StatusCode::kNotFound;
    }
    Job& added = jobs[++last_id_];
    added.id = last_id_;
    added.job = job;
    added.submitted_ms = added.since_ms = now;
    touched = last_id_;
    return StatusCode::kOk;
  }

  StatusCode Claim(std::int64_t id, const std::string& holder, std::int64_t lease_ms) {
    Job& job = jobs.at(id);
    if (!Waits(job.standing.state) || job.standing.reason == R::kHeld)
      return StatusCode::kFailedPrecondition;
    job.epoch += 1;
    job.holder = holder;
    job.lease_until_ms = now + lease_ms;
    job.lease_ms = lease_ms;
    runs[{id, job.epoch}] = {id,           job.epoch, now, {}, job.job.user, job.job.target, holder,
                             /*trials=*/0, 0};
    Become(job, S::kRunning, R::kStarting);
    return StatusCode::kOk;
  }

  // The job of a claim that is good, or nullptr.
  Job* Holding(const JobClaim& claim) {
    const auto job = jobs.find(claim.id);
    const bool is_good =
        job != jobs.end() && !job->second.holder.empty() && job->second.epoch == claim.epoch;
    return is_good ? &job->second : nullptr;
  }

  void Tell(Job& job, const JobProgress& progress) {
    JobRun& run = runs.at({job.id, job.epoch});
    if (progress.trials > run.trials) {
      run.trials = progress.trials;
      job.crashes = 0;
    }
    if (progress.ran_ms > run.ran_ms) run.ran_ms = progress.ran_ms;
    job.trials = job.ran_ms = 0;
    for (const auto& [key, each] : runs) {
      if (key.first != job.id) continue;
      job.trials += each.trials;
      job.ran_ms += each.ran_ms;
    }
    if (progress.text != "") job.progress = progress.text;
  }

  void Move(Job& job, S state, R reason, bool crashed) {
    if (state == S::kRunning || state == S::kFinishing) return Become(job, state, reason);
    job.crashes = crashed ? job.crashes + 1 : 0;
    if (Ended(state)) return Release(job, state, reason);
    LetWait(job, state, reason);
  }

  bool IsLost(const Job& job, const std::string& dead) const {
    if (job.holder.empty()) return false;
    const std::string daemon = job.holder.substr(0, job.holder.find('/'));
    const std::int64_t left = job.lease_until_ms - now;
    return daemon == dead || left <= 0 || left > 2 * job.lease_ms;
  }

  void Lose(Job& job) {
    job.crashes += 1;
    LetWait(job, S::kQueued, R::kRecovered);
  }

  StatusCode Wish(Job& job, JobWish wish) {
    constexpr StatusCode kNo = StatusCode::kFailedPrecondition;
    if (Ended(job.standing.state)) return kNo;
    const bool resumes = wish == JobWish::kNone;
    if (!job.holder.empty()) {
      if (resumes && job.wish != JobWish::kPause) return kNo;
      if (resumes || static_cast<int>(wish) > static_cast<int>(job.wish)) job.wish = wish;
      return StatusCode::kOk;
    }
    if (resumes && job.standing.reason != R::kHeld) return kNo;
    if (resumes) Become(job, S::kQueued, R::kTurn);
    if (wish == JobWish::kPause) Become(job, S::kPaused, R::kHeld);
    if (wish >= JobWish::kCancel) Become(job, S::kCancelled, R::kUser);
    return StatusCode::kOk;
  }

  StatusCode Explain(const Job& seen, const JobStanding& to) {
    const auto found = jobs.find(seen.id);
    if (found == jobs.end()) return StatusCode::kNotFound;
    Job& job = found->second;
    const bool is_as_seen =
        Waits(job.standing.state) && seen.epoch == job.epoch && seen.standing == job.standing;
    if (!is_as_seen) return StatusCode::kAborted;
    if (!Waits(to.state) && !Ended(to.state)) return StatusCode::kInvalidArgument;
    Become(job, to.state, to.reason);
    return StatusCode::kOk;
  }

  std::int64_t ForgetBefore(std::int64_t ms) {
    std::vector<std::int64_t> old;
    for (const auto& [id, job] : jobs) {
      bool is_needed = false;
      for (const auto& [other, later] : jobs) {
        for (const std::int64_t before : later.job.after)
          is_needed |= before == id && !Ended(later.standing.state);
      }
      if (Ended(job.standing.state) && job.since_ms < ms && !is_needed) old.push_back(id);
    }
    for (const std::int64_t id : old) {
      jobs.erase(id);
      std::erase_if(runs, [id](const auto& run) { return run.first.first == id; });
    }
    return static_cast<std::int64_t>(old.size());
  }

 private:
  void Become(Job& job, S state, R reason) {
    touched = job.id;
    if (job.standing.state != state || job.standing.reason != reason) job.since_ms = now;
    job.standing.state = state;
    job.standing.reason = reason;
  }
  void LetWait(Job& job, S state, R reason) {
    if (job.wish >= JobWish::kCancel) return Release(job, S::kCancelled, R::kUser);
    if (job.crashes >= kCrashesToPoison) return Release(job, S::kFailed, R::kPoison);
    if (job.wish == JobWish::kPause) return Release(job, S::kPaused, R::kHeld);
    if (reason == R::kHeld) return Release(job, S::kQueued, R::kTurn);  // resumed meanwhile
    Release(job, state, reason);
  }
  void Release(Job& job, S state, R reason) {
    runs.at({job.id, job.epoch}).ended_ms = now;
    job.holder = "";
    job.lease_until_ms = 0;
    job.wish = JobWish::kNone;
    Become(job, state, reason);
  }

  static constexpr int kCrashesToPoison = 3;
  std::int64_t last_id_ = 0;
};

}  // namespace kiln
