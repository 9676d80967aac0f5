#include <algorithm>
#include <set>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "db/ruled_job_store.h"

namespace kiln {
namespace {

class MemoryJobStore final : public RuledJobStore {
 public:
  StatusOr<Job> Submit(const NewJob& job, std::int64_t now_ms) override {
    RETURN_IF_ERROR(CheckSubmitted(job));
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, kept] : jobs_) {
      const bool same =
          kept.job.uuid == job.uuid || (!job.series.empty() && kept.job.series == job.series &&
                                        kept.job.occurrence == job.occurrence);
      if (!same) continue;
      RETURN_IF_ERROR(CheckSame(kept, job));
      return kept;
    }
    for (const std::int64_t id : job.after) RETURN_IF_ERROR(Find(id).status());
    return Keep(Submitted(job, ++last_id_, now_ms));
  }

  StatusOr<std::vector<Job>> ExplainAll(std::span<const Explanation> explanations,
                                        std::int64_t now_ms) override {
    absl::MutexLock lock(&mutex_);
    std::map<std::int64_t, JobEntry> changed;  // kept all together, or not at all
    std::vector<Job> moved;
    for (const auto& [seen, to] : explanations) {
      const StatusOr<Job> job = Find(seen.id);
      if (!job.ok()) continue;
      JobEntry& entry = changed.try_emplace(seen.id, Load(*job)).first->second;
      const Status status = ApplyExplain(entry, seen, to, now_ms);
      if (status.code() == StatusCode::kAborted) continue;
      RETURN_IF_ERROR(status);
      if (to.state != seen.standing.state) moved.push_back(entry.job);
    }
    for (auto& [id, entry] : changed) Keep(std::move(entry));
    return moved;
  }

  StatusOr<std::vector<Job>> Recover(const std::string& dead, std::int64_t now_ms) override {
    absl::MutexLock lock(&mutex_);
    std::vector<Job> recovered;
    for (const auto& [id, job] : jobs_) {
      if (IsLost(job, dead, now_ms)) recovered.push_back(job);
    }
    for (Job& job : recovered) {
      JobEntry entry = Load(job);
      ApplyRecovery(entry, now_ms);
      job = Keep(std::move(entry));
    }
    return recovered;
  }

  StatusOr<std::vector<Job>> Jobs(const JobQuery& query) const override {
    absl::MutexLock lock(&mutex_);
    std::vector<Job> jobs;
    for (auto kept = jobs_.rbegin(); kept != jobs_.rend(); ++kept) {
      if (static_cast<std::int64_t>(jobs.size()) >= query.limit) break;
      if (Fits(query, kept->second)) jobs.push_back(kept->second);
    }
    return jobs;
  }

  StatusOr<Job> JobOf(std::int64_t id) const override {
    absl::MutexLock lock(&mutex_);
    return Find(id);
  }

  StatusOr<std::map<JobState, std::int64_t>> Counts() const override {
    absl::MutexLock lock(&mutex_);
    std::map<JobState, std::int64_t> counts;
    for (const auto& [id, job] : jobs_) ++counts[job.standing.state];
    return counts;
  }

  StatusOr<std::vector<JobTransition>> Transitions(std::int64_t id) const override {
    absl::MutexLock lock(&mutex_);
    RETURN_IF_ERROR(Find(id).status());
    return steps_.at(id);
  }

  StatusOr<std::vector<JobRun>> RunsSince(std::int64_t ms) const override {
    absl::MutexLock lock(&mutex_);
    std::vector<JobRun> runs;
    for (const auto& [key, run] : runs_) {
      if (run.ended_ms.value_or(ms) >= ms) runs.push_back(run);
    }
    std::ranges::stable_sort(runs, {}, &JobRun::started_ms);
    return runs;
  }

  Status PutSeries(const JobSeries& series) override {
    RETURN_IF_ERROR(CheckSeries(series));
    absl::MutexLock lock(&mutex_);
    series_.insert_or_assign(series.name, series);
    return {};
  }
  StatusOr<std::vector<JobSeries>> Series() const override {
    absl::MutexLock lock(&mutex_);
    std::vector<JobSeries> all;
    for (const auto& [name, series] : series_) all.push_back(series);
    return all;
  }
  Status EndSeries(const std::string& name) override {
    absl::MutexLock lock(&mutex_);
    if (series_.erase(name) > 0) return {};
    return Error(StatusCode::kNotFound, "no series is called ", name);
  }

  StatusOr<std::int64_t> ForgetBefore(std::int64_t ms) override {
    absl::MutexLock lock(&mutex_);
    std::set<std::int64_t> needed;
    for (const auto& [id, job] : jobs_) {
      if (!IsFinal(job.standing.state)) needed.insert(job.job.after.begin(), job.job.after.end());
    }
    std::vector<std::int64_t> old;
    for (const auto& [id, job] : jobs_) {
      const bool is_old = IsFinal(job.standing.state) && job.since_ms < ms;
      if (is_old && !needed.contains(id)) old.push_back(id);
    }
    for (const std::int64_t id : old) {
      jobs_.erase(id);
      steps_.erase(id);
      std::erase_if(runs_, [id](const auto& entry) { return entry.first.first == id; });
    }
    return static_cast<std::int64_t>(old.size());
  }

 private:
  static bool Fits(const JobQuery& query, const Job& job) {
    const bool in_state = query.states.empty() ||
                          std::ranges::find(query.states, job.standing.state) != query.states.end();
    return in_state && query.user.value_or(job.job.user) == job.job.user &&
           query.series.value_or(job.job.series) == job.job.series &&
           query.uuid.value_or(job.job.uuid) == job.job.uuid &&
           query.teller.value_or(job.teller) == job.teller;
  }

  Status Change(std::int64_t id, const Rule& rule) override {
    absl::MutexLock lock(&mutex_);
    ASSIGN_OR_RETURN(const Job job, Find(id));
    JobEntry entry = Load(job);
    RETURN_IF_ERROR(rule(entry));
    Keep(std::move(entry));
    return {};
  }

  StatusOr<Job> Find(std::int64_t id) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    const auto found = jobs_.find(id);
    if (found != jobs_.end()) return found->second;
    return Error(StatusCode::kNotFound, "there is no job ", id);
  }
  JobEntry Load(const Job& job) const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    const auto run = runs_.find({job.id, job.epoch});
    return {job, run == runs_.end() ? JobRun() : run->second, {}};
  }
  Job Keep(JobEntry entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::int64_t id = entry.job.id;
    if (entry.job.epoch > 0) runs_.insert_or_assign({id, entry.job.epoch}, entry.run);
    auto& steps = steps_[id];
    steps.insert(steps.end(), entry.steps.begin(), entry.steps.end());
    return jobs_.insert_or_assign(id, std::move(entry.job)).first->second;
  }

  mutable absl::Mutex mutex_;
  std::int64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::int64_t, Job> jobs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::int64_t, std::vector<JobTransition>> steps_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::int64_t, std::int64_t>, JobRun> runs_
      ABSL_GUARDED_BY(mutex_);  // by job and epoch
  std::map<std::string, JobSeries> series_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<JobStore> NewMemoryJobStore() { return std::make_unique<MemoryJobStore>(); }

}  // namespace kiln
