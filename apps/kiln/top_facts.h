#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "db/trial_statistics.h"
#include "rpc_client/rpc_client.h"

// What `kiln top` knows at a moment.

namespace kiln {

// What one place answered. A place that falls silent is shown as it was, and that it is silent.
template <typename T>
struct Heard {
  std::optional<T> last;   // unset: nothing yet
  std::int64_t at_ms = 0;  // when it was asked that; Unix time
  Status trouble;          // why there is nothing newer

  void Hear(StatusOr<T> answer, std::int64_t now_ms) {
    trouble = answer.status();
    if (!answer.ok()) return;
    last = *std::move(answer);
    at_ms = now_ms;
  }
};

struct QueueFacts {
  struct Job {
    std::int64_t id = 0, trials = 0;
    std::string state, name, user, target, why;
    std::string progress;                 // "120/400" trials
    std::optional<std::int64_t> left_ms;  // until it is done; unset: there is no telling
  };
  struct EndedJob {
    std::string text;  // "done: nightly (ann): mobilenet_v1 12.345 -> 8.100 ms, 1.52x"
    bool failed = false;
  };
  std::vector<Job> jobs;              // that have not ended, those that run first
  std::vector<EndedJob> ended;        // done or failed in the last day, the latest first
  std::vector<std::string> windows;   // "night: open until Fri 06:00 CET (05:00 UTC, in 3h12)"
  std::vector<std::string> troubles;  // of the daemon
  std::int64_t left_off = 0;          // jobs that wait and are not listed
};

struct StoreFacts {
  struct Task {
    std::string layer, setting;
    std::int64_t trials = 0, failed = 0, recent = 0;  // recent: of the last hour
    std::int64_t last_ms = 0;
    std::int64_t flat = 0;       // trials since the last gain
    double best_ns = 0;          // 0: none yet
    std::optional<double> gain;  // of the last hour; unset: there is no time
    std::vector<double> curve;   // best so far in ns, at equal distances; infinite: none yet
  };
  std::vector<Task> tasks;             // with trials in the last hour, the latest first
  std::int64_t active_tasks = 0;       // also those that `tasks` leaves out
  std::vector<DeviceReading> devices;  // `since` the last hour; with the one without a name
  std::int64_t trials = 0;
  std::int64_t measured = 0, failed = 0;  // measurements of the last hour
  std::string failure;  // where all of the last hour failed: what was said most often
};

struct TopFacts {
  std::int64_t at_ms = 0;  // now; Unix time
  // Unset: nobody named such a place.
  std::optional<Heard<FarmInfo>> farm;
  std::optional<Heard<QueueFacts>> queue;
  std::optional<Heard<StoreFacts>> store;
};

}  // namespace kiln
