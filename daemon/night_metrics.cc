#include "daemon/night_metrics.h"

#include <filesystem>
#include <utility>
#include <variant>

namespace kiln {
namespace {

double UnixSeconds(WallTime time) { return 1e-3 * static_cast<double>(ToUnixMs(time)); }

// 0: there is no such file.
double SizeOf(const std::string& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<double>(size);
}

void CountTimings(Metrics& metrics, const std::string& target, const TunerTimings& timings) {
  for (const double seconds : timings.seconds) {
    if (timings.stage == "append") {
      metrics.Observe(Metric::kStoreAppend, {}, seconds);
    } else if (timings.stage == "compile_queue") {
      metrics.Observe(Metric::kCompileQueue, {}, seconds);
    } else if (timings.stage == "lease_wait") {
      metrics.Observe(Metric::kLeaseWait, {target}, seconds);
    } else {
      metrics.Observe(Metric::kTrialStage, {timings.stage}, seconds);
    }
  }
}

}  // namespace

NightMetrics::NightMetrics(Metrics& metrics, Sources sources)
    : metrics_(metrics), sources_(std::move(sources)) {
  metrics_.AddCollector("night", [this](Metrics&) { return Collect(); });
}

void NightMetrics::OnTransition(const Job& job) {
  const JobState state = job.standing.state;
  const auto [known, is_new] = last_.try_emplace(job.id, state);
  if (is_new || known->second != state) {
    metrics_.Count(Metric::kJobTransitions, {std::string(Name(state))});
  }
  known->second = state;
  if (IsFinal(state)) last_.erase(known);
}

void NightMetrics::OnTunerEvent(const Job& job, const TunerEvent& event) {
  const std::string& target = job.job.target;
  if (const auto* trial = std::get_if<TunerTrial>(&event)) {
    metrics_.Count(Metric::kTrials, {target, trial->kind, trial->status});
    if (trial->improved) metrics_.Count(Metric::kImprovements, {target});
  } else if (const auto* timings = std::get_if<TunerTimings>(&event)) {
    CountTimings(metrics_, target, *timings);
  } else if (const auto* cache = std::get_if<TunerCache>(&event)) {
    metrics_.Count(Metric::kObjectCacheRequests, {"hit"}, static_cast<double>(cache->hits));
    metrics_.Count(Metric::kObjectCacheRequests, {"miss"}, static_cast<double>(cache->misses));
  }
}

Status NightMetrics::Collect() {
  CollectWindows();
  CollectFiles();
  ASSIGN_OR_RETURN(const auto counts, sources_.store.Counts());
  Metrics::Values jobs;
  for (const auto& [state, count] : counts) {
    jobs.push_back({{std::string(Name(state))}, static_cast<double>(count)});
  }
  metrics_.SetAll(Metric::kJobs, jobs);
  return {};
}

void NightMetrics::CollectWindows() {
  const WallTime now = sources_.clock.Today();
  Metrics::Values open, change;
  for (const TimeWindow& window : sources_.config().windows) {
    open.push_back({{window.rule().name}, window.IsOpen(now) ? 1.0 : 0.0});
    if (const auto next = window.NextChange(now)) {
      change.push_back({{window.rule().name}, UnixSeconds(*next)});
    }
  }
  metrics_.SetAll(Metric::kWindowOpen, open);
  metrics_.SetAll(Metric::kWindowNextChange, change);
}

void NightMetrics::CollectFiles() {
  metrics_.Set(Metric::kStoreSize, {}, SizeOf(sources_.database));
  metrics_.Set(Metric::kStoreWal, {}, SizeOf(sources_.database + "-wal"));
  if (sources_.config().backup.empty()) return;
  const std::optional<WallTime> backup = sources_.last_backup();
  metrics_.Set(Metric::kBackupLastSuccess, {}, backup ? UnixSeconds(*backup) : 0);
}

}  // namespace kiln
