#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernels_templates/task.h"
#include "measure/measurement.h"

namespace kiln {

// A measurement of a trial that is there already.
struct Remeasurement {
  // Interleaved with other finalists (docs/search.md). Else it is what tuning measured once more:
  // on another device, or for another program at the same time.
  bool confirms = false;
  Trial trial;
};

// A trial as it is stored: knob names and labels instead of indices, so that it outlives changes of
// its space.
struct TrialRecord {
  std::string workload, target, kernel_template;
  std::int32_t threads = 1;
  CacheState cache = CacheState::kHot;
  std::int64_t seq = 0;  // order of insertion within the task, from 1
  // Grows with each trial that the store takes, of whatever task; means nothing elsewhere.
  std::int64_t insertion = 0;
  std::string config_id;
  ConfigLabels labels;
  Trial trial;  // as it was tuned; its `config` is empty: ConfigSpace::FromLabels gives it
  std::vector<Remeasurement> again;  // in order of insertion
};

// The best config of a workload: what builds ask for. Whether it is stale (its code differs today)
// takes the task to say: BestFor() has no stale ones, TuningStore::Bests may.
struct Best {
  TrialRecord record;
  Trial judged;                  // the measurement of it that decided: its time, device and kind
  std::int64_t trials = 0;       // of its kind, stored for (workload, target, threads, cache)
  std::string origin = "tuned";  // how it was chosen: so far always so
  bool confirmed = false;        // re-measured against other finalists
};

// A workload that is stored under a key that this version cannot read: of an operator, type or
// class that it does not have.
struct UnknownWorkload {
  std::string workload;
  std::int64_t trials = 0;
  std::string why;
};

struct BestQuery {
  std::optional<std::string> workload = {}, target = {};  // all, if unset
  std::optional<std::int32_t> threads = {};
  std::optional<CacheState> cache = {};
  // Which trials of these tasks. For Records() alone: the best of some is not asked for.
  std::optional<std::string> config_id = {};
  std::optional<std::int64_t> inserted_after = {};  // a TrialRecord::insertion
};

// What a target reached when it did nothing but multiply-accumulate in registers
// (kernels_templates/peak_probe.h): the yardstick of its kernels.
struct Peak {
  std::string target;
  std::int32_t threads = 1;
  double gops = 0;  // a multiply-accumulate counts as two operations
  std::string device;
  std::int64_t measured_at_ms = 0;  // Unix time
};

// This keeps every trial ever made, failures included; append-only. Thread-safe; several programs
// may share one database. Errors name the file and what to do:
//   kNotFound            no such file (reading)
//   kPermissionDenied    it, or its directory, cannot be read or written
//   kFailedPrecondition  not a database of Kiln, of a newer Kiln, or opened for reading only
//   kDataLoss            damaged
//   kResourceExhausted   disk full: nothing of the batch was stored
//   kUnavailable         locked by another program for longer than ten seconds
class TuningStore {
 public:
  virtual ~TuningStore() = default;

  // All or nothing. A trial whose uuid is there already is skipped; one whose (task, config, code
  // digest, kind) is there becomes another measurement of that trial. kInvalidArgument: a trial
  // without uuid, without samples, of a config that is not in the task's space, or with a lost
  // device, which says nothing of the config.
  virtual Status Append(const Task& task, CacheState cache, std::span<const Trial> trials) = 0;

  // A further measurement, with a uuid of its own, of a stored (config, code digest, kind),
  // interleaved with other finalists (docs/search.md). From then on the trial is judged by it
  // among those of its device. A known uuid is skipped. kNotFound: no such trial.
  virtual Status AppendConfirmation(const Task& task, CacheState cache, const Trial& trial) = 0;

  // Stored trials of the task that its present space and code still mean, in order of seq: their
  // labels make a legal config and lowering it gives the same code digest. Every config is lowered
  // for that, some tens of microseconds each. Each trial once, as it was tuned first, on whatever
  // device that was: for the search, the devices of a target are alike.
  virtual StatusOr<std::vector<Trial>> History(const Task& task, CacheState cache) const = 0;

  // What imported lines of other logs say of the task: legal configs of its present space, whatever
  // code they were of, in the order of the lines. Hints for where a search may begin, and nothing
  // else: nobody knows how they were measured.
  virtual StatusOr<std::vector<Trial>> Hints(const Task& task, CacheState cache) const = 0;

  // Everything stored that fits the query, stale records included, by task and then seq.
  virtual StatusOr<std::vector<TrialRecord>> Records(const BestQuery& query) const = 0;

  // The best of each (workload, target, threads, cache), by the rule of db/best_choice.h. Empty:
  // nothing fits.
  virtual StatusOr<std::vector<Best>> Bests(const BestQuery& query) const = 0;

  // What is stored under keys that this version cannot read, by key. Keys that only were spelt
  // otherwise are not among them: their trials are found under the present spelling.
  virtual StatusOr<std::vector<UnknownWorkload>> UnknownWorkloads() const = 0;

  // kInvalidArgument: not a positive rate.
  virtual Status AppendPeak(const Peak& peak) = 0;

  // The highest GOP/s among the target's peaks, since disturbances only ever slow a probe down;
  // nullopt: none stored.
  virtual StatusOr<std::optional<double>> PeakOf(const std::string& target,
                                                 std::int32_t threads) const = 0;
};

// The best of a task, chosen by the same rule among the trials that its History has: never a stale
// one, of its template alone, and of one kind of times where one is named. Costs as much as
// History. nullopt: none.
StatusOr<std::optional<Best>> BestFor(const TuningStore& store, const Task& task, CacheState cache,
                                      std::optional<TimeKind> kind = std::nullopt);

// How another config is judged beside a best one, from its records in order of seq: by a measurement
// of the same kind and on the same device, the latest confirmation before how it was tuned, of the
// latest of its codes. nullopt: it was not measured there, or failed.
std::optional<Trial> JudgedBeside(std::span<const TrialRecord> records, const Best& best);

// That of the task's untuned default: what a gain is over.
StatusOr<std::optional<Trial>> DefaultBeside(const TuningStore& store, const Task& task,
                                             const Best& best);

// The configs of the task's space that once took hosts down (FailureKind::kHostKilled), with the
// code that they still stand for, whatever number of threads and state of the caches it was with:
// nobody is to try them again. Costs as much as TuningStore::Records of a workload.
StatusOr<std::set<Config>> HostKillers(const TuningStore& store, const Task& task);

std::unique_ptr<TuningStore> NewMemoryStore();

enum class OpenMode : std::uint8_t { kReadWrite, kReadOnly };

// Who adds trials, kept beside them.
struct Session {
  std::int64_t started_ms = 0;  // Unix time
  std::string command;          // as it was typed
  std::uint64_t seed = 0;
  std::string compiler;  // its version and flags
  std::string host;
};

// SQLite in WAL mode (docs/store.md). kReadWrite creates the file and its directory (0700) where
// they are missing and migrates an older schema; kReadOnly never changes the file. The session is
// stored with the first trial. Errors as TuningStore.
StatusOr<std::unique_ptr<TuningStore>> OpenSqliteStore(const std::string& path, OpenMode mode,
                                                       Session session = {});

// Where the database is unless a user says otherwise: $KILN_DB, else $XDG_DATA_HOME/kiln/tuning.db,
// else ~/.local/share/kiln/tuning.db. kFailedPrecondition: none of the variables is set.
StatusOr<std::string> DefaultDatabasePath();

}  // namespace kiln
