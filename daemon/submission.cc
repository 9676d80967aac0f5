#include "daemon/submission.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "absl/time/time.h"
#include "base/digest.h"
#include "base/read_file.h"
#include "daemon/agenda.h"
#include "daemon/job_network.h"
#include "ops/target.h"
#include "proto/transport.h"

namespace kiln {
namespace {

constexpr char kAnyTime[] = "any";
constexpr std::int32_t kMostUrgent = 100;

Status Invalid(const std::string& what) { return Error(StatusCode::kInvalidArgument, what); }

Status CheckWords(const Submission& submission) {
  if (submission.uuid.empty() || !IsName(submission.uuid)) {
    return Invalid("a job needs a uuid of its own: up to 128 printable characters without spaces");
  }
  if (submission.user.empty() || !IsName(submission.user)) {
    return Invalid("`" + submission.user + "` cannot be a user: printable, without spaces");
  }
  if (submission.name.empty() || !IsText(submission.name)) {
    return Invalid("a job's name is 1 to 256 printable characters");
  }
  if (submission.priority < -kMostUrgent || submission.priority > kMostUrgent) {
    return Invalid(
        fmt::format("a priority is -{0} to {0}: {1} is none", kMostUrgent, submission.priority));
  }
  return {};
}

// Jobs and series are cancelled by the same command.
Status CheckSeriesName(const std::string& name) {
  if (!IsName(name))
    return Invalid("`" + name + "` cannot name a series: printable, without spaces");
  if (name.find_first_not_of("0123456789") == std::string::npos) {
    return Invalid("`" + name + "` cannot name a series: it is a job's number");
  }
  return {};
}

StatusOr<std::string> WindowFor(const std::string& asked, const DaemonConfig& config) {
  if (asked.empty()) return config.default_window;
  if (asked == kAnyTime) return std::string();
  if (WindowNamed(config, asked) != nullptr) return asked;
  std::string known;
  for (const TimeWindow& window : config.windows) known += window.rule().name + ", ";
  return Invalid(fmt::format("the daemon has no window `{}`: it has {}{} (at any time)", asked,
                             known, kAnyTime));
}

// The file as it is here, which must be what the caller has, if it said so.
Status CheckFile(const std::string& path, bool keep_digest, std::string& digest) {
  if (path.empty()) return {};
  if (path.front() != '/') return Invalid("`" + path + "` is not an absolute path");
  ASSIGN_OR_RETURN(const std::string here, FileDigest(path));
  if (!digest.empty() && digest != here) {
    return Error(StatusCode::kFailedPrecondition, path,
                 " is another file on the daemon's machine: put the same one there");
  }
  digest = keep_digest ? here : "";
  return {};
}

StatusOr<JobSpec> SpecFor(const Submission& submission) {
  ASSIGN_OR_RETURN(JobSpec spec, ParseJobSpec(submission.spec));
  // What comes again takes its files as they are then.
  const bool keep = submission.series.empty();
  for (JobNetwork& network : spec.networks) {
    RETURN_IF_ERROR(CheckFile(network.model, keep, network.digest));
    RETURN_IF_ERROR(CheckFile(network.layers, keep, network.digest));
    RETURN_IF_ERROR(NetworkOf(network).status());  // not when the window opens
  }
  // Any other name stays as it is: it may become known. Who waits for it says so.
  if (spec.target == "native") {
    ASSIGN_OR_RETURN(const Target target, FindTarget(spec.target));
    spec.target = target.name;
  }
  return spec;
}

// What two specs have in common that are of one submission: files may have changed since, and
// `native` has become a target.
JobSpec AsSubmitted(JobSpec spec, const JobSpec& submitted) {
  if (submitted.target == "native") spec.target = submitted.target;
  for (JobNetwork& network : spec.networks) network.digest.clear();
  return spec;
}

// "HH:MM", and nothing that RFC 3339 begins with.
bool IsTimeOfDay(const std::string& text) { return text.size() == 5 && text[2] == ':'; }

}  // namespace

StatusOr<NewJob> CheckSubmission(const Submission& submission, const DaemonConfig& config,
                                 WallTime now) {
  RETURN_IF_ERROR(CheckWords(submission));
  ASSIGN_OR_RETURN(const JobSpec spec, SpecFor(submission));
  NewJob job;
  job.user = submission.user;
  job.name = submission.name;
  job.target = spec.target;
  job.priority = submission.priority;
  job.after = submission.after;
  job.spec = ToJson(spec);
  ASSIGN_OR_RETURN(job.window, WindowFor(submission.window, config));
  if (!submission.series.empty()) {
    RETURN_IF_ERROR(CheckSeriesName(submission.series));
    if (job.window.empty()) return Invalid("a job that comes again needs a window: --window NAME");
    if (!submission.deadline.empty() && !IsTimeOfDay(submission.deadline)) {
      return Invalid("the deadline of a job that comes again is a time of day: 06:00");
    }
    if (!job.after.empty()) return Invalid("a job that comes again comes after no other");
  }
  if (!submission.deadline.empty()) {
    ASSIGN_OR_RETURN(const WallTime deadline, ParseDeadline(config.zone, submission.deadline, now));
    if (submission.series.empty()) job.deadline_ms = ToUnixMs(deadline);
  }
  if (submission.series.empty()) job.uuid = submission.uuid;
  return job;
}

Status CheckSubmittedAgain(const Submission& submission, const Job& known) {
  const NewJob& job = known.job;
  ASSIGN_OR_RETURN(const JobSpec spec, ParseJobSpec(submission.spec));
  ASSIGN_OR_RETURN(const JobSpec before, ParseJobSpec(job.spec));
  const std::string window = submission.window == kAnyTime ? "" : submission.window;
  const bool is_same = submission.user == job.user && submission.name == job.name &&
                       submission.priority == job.priority && submission.after == job.after &&
                       (submission.window.empty() || window == job.window) &&
                       submission.deadline.empty() == !job.deadline_ms &&
                       AsSubmitted(before, spec) == AsSubmitted(spec, spec);
  if (is_same) return {};
  return Error(StatusCode::kAlreadyExists, "job ", known.id, " was submitted with the uuid ",
               job.uuid, ", and is another one");
}

StatusOr<WallTime> ParseDeadline(const TimeZone& zone, const std::string& text, WallTime now) {
  if (IsTimeOfDay(text)) return NextTimeOfDay(zone, text, now);
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return Invalid("`" + text + "` is no deadline: write 06:00, or 2026-11-28T06:00:00Z");
  }
  const WallTime deadline = absl::ToChronoTime(time);
  if (deadline <= now) return Invalid("the deadline " + text + " is over already");
  return deadline;
}

StatusOr<std::string> FileDigest(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path));
  return Hex(Digest(bytes.data(), bytes.size()));
}

}  // namespace kiln
