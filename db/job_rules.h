#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "db/job_store.h"

// What may become of a job, whatever it is kept in: the promises of JobStore as functions on a job,
// its last run and the transitions that the call adds. A store loads an entry, applies a rule, and
// keeps all of it or, after an error, nothing.

namespace kiln {

struct JobEntry {
  Job job;
  JobRun run;                        // of job.epoch; means nothing while that is 0
  std::vector<JobTransition> steps;  // that were taken, to be added
};

// kInvalidArgument: something that a job must have is missing.
Status CheckSubmitted(const NewJob& job);
// kInvalidArgument: it has no window, or what only its jobs have.
Status CheckSeries(const JobSeries& series);
// Of a job that is new.
JobEntry Submitted(const NewJob& job, std::int64_t id, std::int64_t now_ms);
// Whether a job that is there is the one that is submitted (again): kAlreadyExists if not.
Status CheckSame(const Job& known, const NewJob& job);

StatusOr<JobClaim> ApplyClaim(JobEntry& entry, const std::string& holder, std::int64_t now_ms,
                              std::chrono::milliseconds ttl);
StatusOr<JobWish> ApplyBeat(JobEntry& entry, const JobClaim& claim, const JobProgress& progress,
                            std::int64_t now_ms, std::chrono::milliseconds ttl);
struct JobMove {
  JobStanding to;
  JobProgress progress;
  bool crashed = false;
};
Status ApplyMove(JobEntry& entry, const JobClaim& claim, const JobMove& move, std::int64_t now_ms);
Status ApplyExplain(JobEntry& entry, const Job& seen, const JobStanding& to, std::int64_t now_ms);
Status ApplyWish(JobEntry& entry, JobWish wish, const std::string& who, std::int64_t now_ms);

// Whether its holder is lost: by name, or because its lease is over or cannot be right.
bool IsLost(const Job& job, const std::string& dead, std::int64_t now_ms);
void ApplyRecovery(JobEntry& entry, std::int64_t now_ms);

}  // namespace kiln
