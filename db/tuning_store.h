#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "kernels_templates/task.h"
#include "measure/measurement.h"

namespace kiln {

// A trial as it is stored: knob names and labels instead of indices, so that it outlives changes of
// its space.
struct TrialRecord {
  std::string workload, target, kernel_template;
  std::int32_t threads = 1;
  CacheState cache = CacheState::kHot;
  std::int64_t seq = 0;  // order of insertion within the task, from 1
  std::string config_id;
  std::vector<std::pair<std::string, std::string>> labels;
  Trial trial;  // its `config` is meaningful only in a space that has all the labels
};

// The best config of a workload: what builds ask for.
struct Best {
  TrialRecord record;
  std::int64_t trials = 0;        // stored for the task
  std::string origin = "tuned";   // how it was chosen: tuned | transferred | fallback
  std::string kind = "measured";  // measured | emulated | estimated
  bool confirmed = false;         // re-measured against other finalists
};

struct BestQuery {
  std::optional<std::string> workload, target;  // all, if unset
  std::optional<std::int32_t> threads;
  std::optional<CacheState> cache;
};

// This keeps every trial ever made, failures included; append-only. Thread-safe. Errors name the
// file.
class TuningStore {
 public:
  virtual ~TuningStore() = default;

  // All or nothing. A trial whose uuid, or whose (task, config, code digest), is there already is
  // skipped.
  virtual Status Append(const Task& task, CacheState cache, std::span<const Trial> trials) = 0;

  // A further measurement of a stored config, interleaved with other finalists (docs/search.md).
  // The best config is the fastest confirmed one, else the fastest.
  virtual Status AppendConfirmation(const Task& task, CacheState cache, const Trial& trial) = 0;

  // Stored trials of the task that its present space and code still mean, in order of seq.
  virtual StatusOr<std::vector<Trial>> History(const Task& task, CacheState cache) const = 0;

  // Everything stored for a workload, stale records included, in order of seq.
  virtual StatusOr<std::vector<TrialRecord>> Records(const BestQuery& query) const = 0;

  // The best of each (workload, target, threads, cache). Empty: nothing fits.
  virtual StatusOr<std::vector<Best>> Bests(const BestQuery& query) const = 0;
};

std::unique_ptr<TuningStore> NewMemoryStore();

enum class OpenMode : std::uint8_t { kReadWrite, kReadOnly };

// SQLite in WAL mode; created or migrated if it must (docs/store.md). kReadOnly never changes the
// file.
StatusOr<std::unique_ptr<TuningStore>> OpenSqliteStore(const std::string& path, OpenMode mode);

}  // namespace kiln
