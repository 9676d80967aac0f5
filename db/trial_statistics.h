#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "db/tuning_store.h"

namespace kiln {

// The names of a task, as they are stored.
struct TaskNames {
  std::string workload, target;
  std::int32_t threads = 1;
  CacheState cache = CacheState::kHot;
  std::string kernel_template;
  auto operator<=>(const TaskNames&) const = default;  // NOLINT(modernize-use-nullptr)
};

TaskNames NamesOf(const TrialRecord& record);

// How many trials of a task there are, each as it was tuned first.
struct TaskActivity {
  TaskNames task;
  std::int64_t trials = 0, failed = 0;  // those cut off have not failed
  std::int64_t since = 0;               // trials of that time
  std::int64_t last_ms = 0;             // Unix time
  bool operator==(const TaskActivity&) const = default;
};

// Failures alike, of all measurements; and the latest of them, which can be made again.
struct FailureGroup {
  Stage stage = Stage::kRun;
  FailureKind kind = FailureKind::kRuntimeError;
  std::string message;
  std::int64_t count = 0;
  std::int64_t since = 0;  // of that time; all of them: it is new
  std::int64_t last_ms = 0;
  TaskNames task;
  std::string config_id, device;
  bool operator==(const FailureGroup&) const = default;
};

struct FailureSummary {
  std::vector<FailureGroup> groups;  // by count, the largest first; then stage, kind, message
  // Over all groups, also those that a limit left out.
  std::int64_t all_groups = 0, new_groups = 0, count = 0, since = 0;
};

// What the measurements say of a device. Those that reached none, as what does not compile, are
// those of a device without a name.
struct DeviceActivity {
  std::string device;
  std::int64_t measurements = 0, failed = 0, since = 0, failed_since = 0;
  // In which kernels were timed: samples times calls times the median. Compiling, verifying and
  // waiting are not in it.
  double timed_ns = 0, timed_since_ns = 0;
  std::int64_t last_ms = 0;
  double hottest_since_c = 0;  // 0: it did not say
};

// How a device was doing at its latest measurement, and what it did of late.
struct DeviceReading {
  std::string device;                        // empty: measurements that reached none
  std::int64_t since = 0, failed_since = 0;  // measurements
  std::int64_t last_ms = 0;
  double temperature_c = 0, load = 0;  // after it (DeviceState); 0: it did not say
};

// A config that one device measured again: how it did first, and later.
struct Repetition {
  std::string device;
  std::int64_t measured_at_ms = 0;  // again
  double first_ns = 0, again_ns = 0;
  auto operator<=>(const Repetition&) const = default;  // NOLINT(modernize-use-nullptr)
};

// Where the search of a task was, for one kind of times and one device: they do not compare.
struct BestSoFarCurve {
  TimeKind kind = TimeKind::kMeasured;
  std::string device;
  struct Point {
    std::int64_t seq = 0;
    double ns = 0;
    bool operator==(const Point&) const = default;
  };
  std::vector<Point> gains;   // those trials that were faster than all before
  std::int64_t last_seq = 0;  // of the task, whatever became of it
  bool operator==(const BestSoFarCurve&) const = default;
};

// A config of a task.
struct ConfigNames {
  TaskNames task;
  std::string config_id;
};

// A program that added trials, and how many.
struct SessionActivity {
  Session session;
  std::int64_t trials = 0;
};

// This answers for many trials at once what people ask in the morning, without handing out the
// trials. `since_ms` is Unix time, that moment included. Thread-safe; errors as TuningStore.
class TrialStatistics {
 public:
  virtual ~TrialStatistics() = default;

  virtual StatusOr<std::vector<TaskActivity>> Tasks(std::int64_t since_ms) const = 0;  // by task
  virtual StatusOr<FailureSummary> Failures(std::int64_t since_ms, std::size_t limit) const = 0;
  virtual StatusOr<std::vector<DeviceActivity>> Devices(std::int64_t since_ms) const = 0;
  virtual StatusOr<std::vector<DeviceReading>> Readings(std::int64_t since_ms) const = 0;
  virtual StatusOr<std::vector<Repetition>> Repetitions() const = 0;  // sorted

  // For each task its curves, by kind and device; none: nothing of it was ever timed.
  virtual StatusOr<std::vector<std::vector<BestSoFarCurve>>> Curves(
      std::span<const TaskNames> tasks) const = 0;

  // All records of each config, by seq: one for each code that it had and kind of times.
  virtual StatusOr<std::vector<std::vector<TrialRecord>>> RecordsOf(
      std::span<const ConfigNames> configs) const = 0;

  // TuningStore::Bests, as it was before that time: of what was measured by then.
  virtual StatusOr<std::vector<Best>> BestsBefore(std::int64_t ms) const = 0;

  // The newest, and how many there are.
  struct Sessions {
    std::vector<SessionActivity> newest;
    std::int64_t all = 0;
  };
  virtual StatusOr<Sessions> NewestSessions(std::size_t limit) const = 0;
};

// From what the store's Records are, each time anew: for stores in memory, and what all others are
// held to. It knows no sessions. Borrows the store.
std::unique_ptr<TrialStatistics> NewTrialStatistics(const TuningStore& store);

// In SQL, on a database that is opened for reading.
StatusOr<std::unique_ptr<TrialStatistics>> OpenSqliteStatistics(const std::string& path);

}  // namespace kiln
