#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "daemon/job_spec.h"
#include "proto/security.h"

// What the daemon and the tuner of a job (`kiln run-job`) say to each other: frames (base/frame.h),
// each a JSON object. The daemon sends one TunerOrder; from then on the tuner speaks. SIGTERM asks it to stop
// at the end of the trials that run.

namespace kiln {

struct TunerOrder {
  std::int64_t job = 0;
  JobSpec spec;
  std::string database;
  std::string tracker;  // empty: this machine
  TlsFiles tls;         // for the tracker and its devices
  std::string client;   // the name that it leases under
  std::int32_t priority = 0;
  std::optional<double> seconds;  // the time that it has, confirming included; unset: no limit
  std::string command;            // of its session in the database
};

// It knows what there is to do.
struct TunerBegun {
  std::int64_t tasks = 0;
  std::int64_t stored = 0;               // trials of former runs that count
  std::optional<std::int64_t> expected;  // trials in all, if its budget says
  std::optional<double> peak_gops;
  std::string kind;  // of its times: "measured"
};

// A trial is stored.
struct TunerTrial {
  std::string kind, status, task, device;
  bool improved = false;  // the best of its task so far
  std::int64_t made = 0;  // in this run, with it
};

struct TunerPhase {
  bool confirming = false;  // else tuning
};

// It waits for a device, in words; empty: no longer.
struct TunerWaiting {
  std::string text;
};

// How long parts of trials took, some at a time.
struct TunerTimings {
  std::string stage;  // "compile", "compile_queue", "run", "lease_wait", "append"
  std::vector<double> seconds;
};

// Of the object cache, since the last of these.
struct TunerCache {
  std::int64_t hits = 0, misses = 0;
};

// The time of a network's layers that are tuned, each as often as the network runs it.
struct NetworkTimes {
  std::string name;
  std::int64_t tasks = 0;
  std::optional<double> before_ns, after_ns;  // untuned default, best
  bool operator==(const NetworkTimes&) const = default;
};

//   kComplete  its budget is used up, or there is nothing more to try
//   kTime      the order's seconds were, first
//   kStopped   it was asked to
//   kError     nothing can be done any more
enum class TunerOutcome : std::uint8_t { kComplete, kTime, kStopped, kError };
//   kModel     a file is missing, cannot be read, or has changed since the job was submitted
//   kTarget    nobody knows the target
//   kStore     the database takes no more
//   kDevice    no device can be had, now
enum class TunerTrouble : std::uint8_t { kNone, kModel, kTarget, kStore, kDevice, kError };

// The last word.
struct TunerEnded {
  TunerOutcome outcome = TunerOutcome::kComplete;
  TunerTrouble trouble = TunerTrouble::kNone;  // of kError
  std::string text;                            // one line, with what to do
  std::vector<NetworkTimes> networks;
  std::int64_t made = 0;
  std::int64_t tasks_short = 0;  // with fewer trials than were asked for
};

using TunerEvent = std::variant<TunerBegun, TunerTrial, TunerPhase, TunerWaiting, TunerTimings,
                                TunerCache, TunerEnded>;

std::string ToJson(const TunerOrder& order);
StatusOr<TunerOrder> ParseTunerOrder(std::string_view json);
std::string ToJson(const TunerEvent& event);
// kInvalidArgument: not such an event.
StatusOr<TunerEvent> ParseTunerEvent(std::string_view json);

}  // namespace kiln
