#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "daemon/job_tuner.h"
#include "daemon/verdict.h"
#include "db/job_store.h"

namespace kiln {

// This is a job that this daemon holds: what its tuner has said so far, and how it is being ended.
struct RunningJob {
  Job job;  // as it was claimed; `standing` is kept up
  JobClaim claim;
  JobSpec spec;
  std::unique_ptr<JobTuner> tuner;  // null: it has ended, or never began
  SteadyTime begun;
  TimeLimit limit = TimeLimit::kNone;

  std::optional<TunerBegun> facts;
  std::string waiting;  // for a device, in words
  bool confirming = false;
  std::int64_t made = 0, improved = 0;
  std::optional<TunerEnded> word;

  std::optional<SteadyTime> kill_at;  // it has been asked to stop
  bool killed = false;
  JobWish wish = JobWish::kNone;
  bool shutting_down = false;
  std::optional<RunVerdict> verdict;  // that is still to be written
  std::optional<SteadyTime> ended_at;

  // Takes in what the tuner says; whether the standing is another one now.
  bool Observe(const TunerEvent& event);
  JobProgress Progress(SteadyTime now) const;
  RunEnd End(const ProgramEnd& program) const;

 private:
  JobStanding StandingNow() const;
};

// The order for a job's tuner, without what the daemon's configuration says. kInvalidArgument: the job's spec
// cannot be read by this version.
StatusOr<TunerOrder> OrderFor(const Job& job);

}  // namespace kiln
