#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "daemon/daemon_config.h"
#include "db/job_store.h"

namespace kiln {

// So far back runs count for fair shares.
inline constexpr std::chrono::hours kFairnessMemory{7 * 24};

struct AgendaInput {
  const DaemonConfig& config;
  WallTime now;
  std::span<const Job> jobs;     // all that have not ended, whoever holds them
  std::span<const JobRun> runs;  // of the last kFairnessMemory
  // How the jobs that others come after ended; those of `jobs` need not be here, and what is in
  // neither has been forgotten.
  std::map<std::int64_t, JobState> ended = {};
  // Why no device of a target can be had now.
  std::map<std::string, std::string> trouble = {};
  // Jobs that are not to begin before a time, and why.
  struct Rest {
    WallTime until;
    JobStanding standing;
  };
  std::map<std::int64_t, Rest> rests = {};
  // Whether a target's name is known.
  std::function<Status(const std::string& target)> check_target = nullptr;
};

struct Agenda {
  std::vector<Job> start;  // in this order
  // What waits, and why; what ends, because its deadline is over or its target unknown. A job whose
  // standing is that already is here too.
  std::vector<JobStore::Explanation> explain;
  // When this may be otherwise, if nothing else happens: a window, a deadline, a rest.
  WallTime until;
};

// Which waiting jobs begin now, and why each other one waits. Pure. Over a tracker a target takes
// `jobs_per_target` jobs at a time; this machine takes one job, of whatever target. First comes what
// has the higher priority, then the earlier deadline, then whose user has fewer jobs running and has
// used less of the last week, then what came first.
Agenda MakeAgenda(const AgendaInput& input);

// When the job has to stop: the end of its window or its deadline, whichever is first; nullopt:
// never.
struct JobEnd {
  WallTime at;
  bool is_deadline = false;
};
std::optional<JobEnd> EndOf(const DaemonConfig& config, const Job& job, WallTime now);

// Null: the configuration has none of this name.
const TimeWindow* WindowNamed(const DaemonConfig& config, const std::string& name);

}  // namespace kiln
