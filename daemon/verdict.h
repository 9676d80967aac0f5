#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/child_program.h"
#include "base/clock.h"
#include "daemon/daemon_config.h"
#include "daemon/tuner_messages.h"
#include "db/job_store.h"

namespace kiln {

// What bounds the time that a tuner was given.
enum class TimeLimit : std::uint8_t { kNone, kWindow, kDeadline, kBudget };

// How the run of a job came to its end.
struct RunEnd {
  std::optional<TunerEnded> word;  // its tuner's last; unset: it died without one
  ProgramEnd program;
  TimeLimit limit = TimeLimit::kNone;
  JobWish wish = JobWish::kNone;  // that it was stopped for
  bool shutting_down = false;     // the daemon's end stopped it
  bool killed = false;            // by the daemon, because it did not end in time
  std::int64_t trials = 0;        // of all runs of the job
};

// What becomes of its job.
struct RunVerdict {
  JobStanding to;
  bool crashed = false;
  // The job is not to begin again before that time.
  std::optional<WallTime> rest_until = std::nullopt;
  bool is_device_trouble = false;  // no job of its target is, for a while
};

RunVerdict JudgeRun(const RunEnd& end, const Job& job, const DaemonConfig& config, WallTime now);

}  // namespace kiln
