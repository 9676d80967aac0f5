#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "db/best_choice.h"
#include "db/trial_rules.h"
#include "db/tuning_store.h"

namespace kiln {
namespace {

// (workload, target, threads, cache): what a best config is asked for by.
using Setting = std::tuple<std::string, std::string, std::int32_t, CacheState>;

Setting SettingOf(const TrialRecord& r) { return {r.workload, r.target, r.threads, r.cache}; }

template <typename T>
bool Fits(const std::optional<T>& wish, const T& value) {
  return !wish || *wish == value;
}

bool Fits(const BestQuery& query, const Setting& setting) {
  const auto& [workload, target, threads, cache] = setting;
  return Fits(query.workload, workload) && Fits(query.target, target) &&
         Fits(query.threads, threads) && Fits(query.cache, cache);
}

bool Fits(const BestQuery& query, const TrialRecord& record) {
  return Fits(query.config_id, record.config_id) &&
         record.insertion > query.inserted_after.value_or(0);
}

// This keeps trials for as long as it lives: for tests, replays and runs without a database.
class MemoryStore final : public TuningStore {
 public:
  Status Append(const Task& task, CacheState cache, std::span<const Trial> trials) override {
    for (const Trial& trial : trials) RETURN_IF_ERROR(CheckStorable(task, trial));
    absl::MutexLock lock(&mutex_);
    for (const Trial& trial : trials) Insert(RecordOf(task, cache, trial));
    return {};
  }

  Status AppendConfirmation(const Task& task, CacheState cache, const Trial& trial) override {
    RETURN_IF_ERROR(CheckStorable(task, trial));
    TrialRecord record = RecordOf(task, cache, trial);
    absl::MutexLock lock(&mutex_);
    if (uuids_.contains(trial.uuid)) return {};
    TrialRecord* stored = Find(record);
    if (stored == nullptr) {
      return Error(StatusCode::kNotFound, "no ", Name(trial.kind), " trial of ", task.Key(),
                   " with config ", record.config_id,
                   " and this code is stored, so none can be confirmed");
    }
    stored->again.push_back({true, std::move(record.trial)});
    uuids_.insert(trial.uuid);
    return {};
  }

  StatusOr<std::vector<Trial>> History(const Task& task, CacheState cache) const override {
    std::vector<TrialRecord> records;
    {
      absl::MutexLock lock(&mutex_);
      const auto tasks =
          settings_.find({Key(task.workload()), task.target().name, task.threads(), cache});
      if (tasks == settings_.end()) return std::vector<Trial>();
      const auto found = tasks->second.find(std::string(task.kernel_template().name()));
      if (found != tasks->second.end()) records = found->second;
    }
    return CurrentTrials(task, records);
  }

  StatusOr<std::vector<Trial>> Hints(const Task&, CacheState) const override {
    return std::vector<Trial>();  // nothing is imported into memory
  }

  StatusOr<std::vector<TrialRecord>> Records(const BestQuery& query) const override {
    std::vector<TrialRecord> records;
    absl::MutexLock lock(&mutex_);
    for (const auto& [setting, tasks] : settings_) {
      if (!Fits(query, setting)) continue;
      for (const auto& [name, trials] : tasks) {
        for (const TrialRecord& record : trials) {
          if (Fits(query, record)) records.push_back(record);
        }
      }
    }
    return records;
  }

  StatusOr<std::vector<Best>> Bests(const BestQuery& query) const override {
    std::vector<Best> bests;
    absl::MutexLock lock(&mutex_);
    for (const auto& [setting, tasks] : settings_) {
      if (!Fits(query, setting)) continue;
      std::vector<const TrialRecord*> records;
      std::vector<BestCandidate> candidates;
      for (const auto& [name, trials] : tasks) {
        for (const TrialRecord& record : trials) {
          AddCandidates(records.size(), record, candidates);
          records.push_back(&record);
        }
      }
      const std::optional<std::size_t> best = ChooseBest(candidates);
      if (!best) continue;
      const BestCandidate& chosen = candidates[*best];
      bests.push_back(BestOf(*records[chosen.trial], chosen, TrialsLike(chosen, candidates)));
    }
    return bests;
  }

  // Tasks came with their workloads, so every key is one of today's.
  StatusOr<std::vector<UnknownWorkload>> UnknownWorkloads() const override {
    return std::vector<UnknownWorkload>();
  }

  Status AppendPeak(const Peak& peak) override {
    RETURN_IF_ERROR(CheckStorable(peak));
    absl::MutexLock lock(&mutex_);
    double& highest = peaks_[{peak.target, peak.threads}];
    highest = std::max(highest, peak.gops);
    return {};
  }

  StatusOr<std::optional<double>> PeakOf(const std::string& target,
                                         std::int32_t threads) const override {
    absl::MutexLock lock(&mutex_);
    const auto found = peaks_.find({target, threads});
    return found == peaks_.end() ? std::nullopt : std::optional<double>(found->second);
  }

 private:
  using Trials = std::vector<TrialRecord>;  // of one task, in order of seq

  void Insert(TrialRecord record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!uuids_.insert(record.trial.uuid).second) return;
    if (TrialRecord* known = Find(record)) {
      known->again.push_back({false, std::move(record.trial)});
      return;
    }
    Trials& trials = settings_[SettingOf(record)][record.kernel_template];
    record.seq = std::ssize(trials) + 1;
    record.insertion = ++insertions_;
    trials.push_back(std::move(record));
  }

  TrialRecord* Find(const TrialRecord& like) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Trials& trials = settings_[SettingOf(like)][like.kernel_template];
    const auto found = std::ranges::find_if(trials, [&](const TrialRecord& r) {
      return r.config_id == like.config_id && r.trial.code_digest == like.trial.code_digest &&
             r.trial.kind == like.trial.kind;
    });
    return found == trials.end() ? nullptr : &*found;
  }

  mutable absl::Mutex mutex_;
  std::map<Setting, std::map<std::string, Trials>> settings_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::int32_t>, double> peaks_ ABSL_GUARDED_BY(mutex_);  // GOP/s
  std::set<std::string> uuids_ ABSL_GUARDED_BY(mutex_);
  std::int64_t insertions_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

std::unique_ptr<TuningStore> NewMemoryStore() { return std::make_unique<MemoryStore>(); }

}  // namespace kiln
