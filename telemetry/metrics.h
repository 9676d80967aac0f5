#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "telemetry/http_server.h"
#include "telemetry/metric_catalogue.h"

namespace kiln {

// Values of a family's labels, in the catalogue's order.
using MetricLabels = std::vector<std::string>;

// This is what a program counts, for a Prometheus server that asks now and then. It starts at zero
// with the program: statistics that people read come from the store.
//
// Series whose labels the catalogue knows exist from the start, so that rates and alerts see the
// first event; those of a device, target or window with its first value. Nobody can fill the memory
// with names: a family has at most kMaxSeries series, and what would make more of them is dropped and
// counted (Metric::kSeriesRefused). So is a value that its label does not have, a family that is not
// this program's, and a counter's decrease. Thread-safe; a call costs some hundred nanoseconds.
class Metrics {
 public:
  static constexpr int kMaxSeries = 4096;

  virtual ~Metrics() = default;

  // Of a counter.
  virtual void Count(Metric metric, const MetricLabels& labels = {}, double amount = 1) = 0;
  // Of a gauge.
  virtual void Set(Metric metric, const MetricLabels& labels, double value) = 0;
  // Of a histogram.
  virtual void Observe(Metric metric, const MetricLabels& labels, double value) = 0;

  // Sets a whole gauge family: series that are not among these go, or are zero if the catalogue knows
  // all their labels.
  using Values = std::vector<std::pair<MetricLabels, double>>;
  virtual void SetAll(Metric metric, const Values& values) = 0;
  // A device or window is no more. Without effect if there is no such series.
  virtual void Remove(Metric metric, const MetricLabels& labels) = 0;

  // Is called before each scrape, by its thread, to set what is not known at other times. An error
  // is logged and counted (Metric::kScrapeErrors), and the scrape goes on. What it uses must outlive the
  // last scrape.
  using Collector = std::function<Status(Metrics&)>;
  virtual void AddCollector(std::string name, Collector collect) = 0;

  // Collects, then writes everything in Prometheus' text format 0.0.4. One at a time.
  virtual std::string Scrape() = 0;
};

inline constexpr char kMetricsContentType[] = "text/plain; version=0.0.4; charset=utf-8";

// Whether this build has metrics: it may have been made without prometheus-cpp, which Debian has no
// static library of.
bool HasMetrics();

// All families of the program. kUnimplemented: not HasMetrics().
StatusOr<std::unique_ptr<Metrics>> NewMetrics(MetricSource source);

// GET /metrics. `run` decides which thread scrapes; by default it is the reactor's, for collectors
// that only look at memory. The metrics must outlive the server and whatever `run` runs.
HttpRoute MetricsRoute(Metrics& metrics,
                       std::function<void(std::function<void()> scrape)> run = nullptr);

}  // namespace kiln
