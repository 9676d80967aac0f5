#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

// Everything that Kiln's programs say about themselves to a Prometheus server: one entry here, one
// row in metric_catalogue.cc. Alert rules are held to it.
enum class Metric : std::uint8_t {
  kBuildInfo,
  kScrapeErrors,
  kSeriesRefused,

  kJobs,
  kJobTransitions,
  kWindowOpen,
  kWindowNextChange,
  kTrials,
  kTrialStage,
  kImprovements,
  kObjectCacheRequests,
  kCompileQueue,
  kStoreAppend,
  kStoreSize,
  kStoreWal,
  kBackupLastSuccess,

  kDevices,
  kLeases,
  kLeaseWait,
  kLeaseWaiters,

  kDeviceBusy,
  kDeviceLastTrial,
  kDeviceTemperature,
  kDeviceFrequency,
};

enum class MetricType : std::uint8_t { kCounter, kGauge, kHistogram };
std::string_view Name(MetricType type);  // "counter", as Prometheus calls it

// Which program exports a family.
enum class MetricSource : std::uint8_t { kDaemon, kTracker, kServer };

struct MetricLabel {
  std::string name;
  // All that there are, for which a series exists from the start; empty: not known beforehand, as the
  // names of devices, targets and windows.
  std::vector<std::string> values = {};
};

// What all series of a name have in common. Times are in seconds, sizes in bytes.
struct MetricFamily {
  Metric metric;
  std::string name;
  MetricType type;
  std::string help;
  std::vector<MetricSource> sources;
  std::vector<MetricLabel> labels = {};
  std::vector<double> buckets = {};  // upper bounds of a histogram's, ascending
};

// In the order of Metric.
const std::vector<MetricFamily>& MetricCatalogue();
const MetricFamily& FamilyOf(Metric metric);
const MetricFamily* FindMetric(std::string_view name);  // null: there is none
bool Exports(MetricSource source, const MetricFamily& family);

}  // namespace kiln
