#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "daemon/daemon_config.h"
#include "daemon/job_spec.h"
#include "db/job_store.h"

namespace kiln {

// What somebody asks for, before this daemon has looked at it.
struct Submission {
  std::string uuid, user, name, window, deadline, spec, series;
  std::int32_t priority = 0;
  std::vector<std::int64_t> after;
};

// The job (of a series: without uuid and deadline) as it is queued here: `native` has become this
// machine's target, files have their digests and can be read, the window is one of the configuration's, the deadline
// a time. kInvalidArgument, kNotFound (a model), kFailedPrecondition (a model is another here than at the caller): one line
// with what to do.
StatusOr<NewJob> CheckSubmission(const Submission& submission, const DaemonConfig& config,
                                 WallTime now);

// Whether a job that is there with the uuid of a submission is what that asks for, so that a client
// that did not hear the answer may ask again: also when a deadline has passed since, or a file has
// changed. kAlreadyExists: it is another one. kInvalidArgument: the spec cannot be read.
Status CheckSubmittedAgain(const Submission& submission, const Job& known);

// The deadline of a submission: "06:00", the next one in the zone, or RFC 3339.
StatusOr<WallTime> ParseDeadline(const TimeZone& zone, const std::string& text, WallTime now);

// The XXH64 of a file, 16 hex digits. kNotFound; kInvalidArgument: it cannot be read.
StatusOr<std::string> FileDigest(const std::string& path);

}  // namespace kiln
