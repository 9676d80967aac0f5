#include "telemetry/metric_catalogue.h"

#include <algorithm>

namespace kiln {
namespace {

using enum MetricType;
using enum MetricSource;

// The words are those of the enums that they name: db/job_store.h, ops/measurement.h,
// rpc_tracker/tracker_metrics.h. Tests of those modules hold them to it.
const std::vector<std::string> kJobStates{"queued", "running", "paused",    "finishing",
                                          "done",   "failed",  "cancelled", "expired"};
const std::vector<std::string> kTimeKinds{"measured", "emulated", "estimated"};
const std::vector<std::string> kTrialStatuses{
    "ok",          "censored",    "invalid_config", "compile_error", "unsupported_isa",
    "bad_object",  "wrong_class", "runtime_error",  "timeout",       "wrong_result",
    "device_lost", "host_killed"};
const std::vector<std::string> kStages{"lower", "compile", "load",  "pack",
                                       "run",   "verify",  "device"};
const std::vector<std::string> kDeviceStates{"free", "offered", "leased", "lost", "drained"};
const std::vector<std::string> kDeviceHealths{"good", "failing", "quarantined"};
const std::vector<std::string> kLeaseOutcomes{"released", "expired",   "revoked",
                                              "unserved", "withdrawn", "refused"};

const std::vector<double> kQuick{0.0001, 0.001, 0.01, 0.1, 1, 10};    // a disk, a trial's stage
const std::vector<double> kPatient{0.01, 0.1, 1, 10, 60, 600, 3600};  // somebody who waits

std::vector<MetricFamily> ProgramFamilies() {
  return {
      {Metric::kBuildInfo,
       "kiln_build_info",
       kGauge,
       "Always 1; the labels say what runs.",
       {kDaemon, kTracker, kServer},
       {{"version"}, {"compiler"}}},
      {Metric::kScrapeErrors,
       "kiln_scrape_errors_total",
       kCounter,
       "What could not be asked for a scrape: its metrics are old, or missing.",
       {kDaemon, kTracker, kServer}},
      {Metric::kSeriesRefused,
       "kiln_series_refused_total",
       kCounter,
       "Values that were not taken since their series would be one too many, or makes no sense.",
       {kDaemon, kTracker, kServer}},
  };
}

std::vector<MetricFamily> NightFamilies() {
  return {
      {Metric::kJobs, "kiln_jobs", kGauge, "Jobs by state.", {kDaemon}, {{"state", kJobStates}}},
      {Metric::kJobTransitions,
       "kiln_job_transitions_total",
       kCounter,
       "How often a job came into a state.",
       {kDaemon},
       {{"to", kJobStates}}},
      {Metric::kWindowOpen,
       "kiln_window_open",
       kGauge,
       "1 while jobs of the window may run, else 0.",
       {kDaemon},
       {{"window"}}},
      {Metric::kWindowNextChange,
       "kiln_window_next_change_timestamp_seconds",
       kGauge,
       "When the window opens or closes next.",
       {kDaemon},
       {{"window"}}},
      {Metric::kTrials,
       "kiln_trials_total",
       kCounter,
       "Trials that ended, by how their times came about and what came of them.",
       {kDaemon, kServer},
       {{"target"}, {"kind", kTimeKinds}, {"status", kTrialStatuses}}},
      {Metric::kTrialStage,
       "kiln_trial_stage_seconds",
       kHistogram,
       "How long a stage of a trial took.",
       {kDaemon},
       {{"stage", kStages}},
       kQuick},
      {Metric::kImprovements,
       "kiln_improvements_total",
       kCounter,
       "How often a trial was faster than all before it of its task.",
       {kDaemon},
       {{"target"}}},
      {Metric::kObjectCacheRequests,
       "kiln_object_cache_requests_total",
       kCounter,
       "Compiled kernels that were looked for in the cache.",
       {kDaemon},
       {{"result", {"hit", "miss"}}}},
      {Metric::kCompileQueue,
       "kiln_compile_queue_seconds",
       kHistogram,
       "How long a kernel waited for a compiler that was free.",
       {kDaemon},
       {},
       kQuick},
  };
}

std::vector<MetricFamily> StoreFamilies() {
  return {
      {Metric::kStoreAppend,
       "kiln_store_append_seconds",
       kHistogram,
       "How long it took until a trial was on disk.",
       {kDaemon},
       {},
       kQuick},
      {Metric::kStoreSize,
       "kiln_store_size_bytes",
       kGauge,
       "Size of the database, without its log.",
       {kDaemon}},
      {Metric::kStoreWal,
       "kiln_store_wal_bytes",
       kGauge,
       "Size of the database's write-ahead log.",
       {kDaemon}},
      {Metric::kBackupLastSuccess,
       "kiln_backup_last_success_timestamp_seconds",
       kGauge,
       "When the last backup was complete; 0: none ever was; no value: none are made.",
       {kDaemon}},
  };
}

std::vector<MetricFamily> FarmFamilies() {
  return {
      {Metric::kDevices,
       "kiln_devices",
       kGauge,
       "Devices of the farm.",
       {kTracker},
       {{"target"}, {"state", kDeviceStates}, {"health", kDeviceHealths}}},
      {Metric::kLeases,
       "kiln_leases_total",
       kCounter,
       "Requests for a device that are over: their leases ended, or none came of them.",
       {kTracker},
       {{"target"}, {"outcome", kLeaseOutcomes}}},
      {Metric::kLeaseWait,
       "kiln_lease_wait_seconds",
       kHistogram,
       "How long those waited for a device that got one.",
       {kTracker, kDaemon},
       {{"target"}},
       kPatient},
      {Metric::kLeaseWaiters,
       "kiln_lease_waiters",
       kGauge,
       "Requests that wait for a device.",
       {kTracker},
       {{"target"}}},
      {Metric::kDeviceBusy,
       "kiln_device_busy_seconds_total",
       kCounter,
       "For how long a device was leased (the tracker), or ran kernels (the device's server).",
       {kTracker, kServer},
       {{"device"}}},
      {Metric::kDeviceLastTrial,
       "kiln_device_last_trial_timestamp_seconds",
       kGauge,
       "When the device's last trial ended.",
       {kServer},
       {{"device"}}},
      {Metric::kDeviceTemperature,
       "kiln_device_temperature_celsius",
       kGauge,
       "Of the device's hottest thermal zone; no value: it has none.",
       {kServer},
       {{"device"}}},
      {Metric::kDeviceFrequency,
       "kiln_device_frequency_hertz",
       kGauge,
       "Of the first core that kernels run on; no value: it cannot be read.",
       {kServer},
       {{"device"}}},
  };
}

std::vector<MetricFamily> AllFamilies() {
  std::vector<MetricFamily> all;
  for (auto part : {ProgramFamilies(), NightFamilies(), StoreFamilies(), FarmFamilies()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

std::string_view Name(MetricType type) {
  switch (type) {
    case kCounter:
      return "counter";
    case kGauge:
      return "gauge";
    case kHistogram:
      return "histogram";
  }
  return "untyped";
}

const std::vector<MetricFamily>& MetricCatalogue() {
  static const std::vector<MetricFamily> catalogue = AllFamilies();
  return catalogue;
}

const MetricFamily& FamilyOf(Metric metric) {
  return MetricCatalogue()[static_cast<std::size_t>(metric)];
}

const MetricFamily* FindMetric(std::string_view name) {
  const auto& all = MetricCatalogue();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const MetricFamily& family) { return family.name == name; });
  return found == all.end() ? nullptr : &*found;
}

bool Exports(MetricSource source, const MetricFamily& family) {
  return std::find(family.sources.begin(), family.sources.end(), source) != family.sources.end();
}

}  // namespace kiln
