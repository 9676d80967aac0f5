#include "telemetry/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <locale>
#include <map>
#include <mutex>
#include <set>
#include <sstream>
#include <type_traits>
#include <variant>

#include "base/version.h"
#include "telemetry/label_text.h"

namespace kiln {
namespace {

#ifdef __clang__
constexpr char kCompiler[] = __VERSION__;  // "Clang 14.0.6"
#else
constexpr char kCompiler[] = "gcc " __VERSION__;
#endif

// The series of one family.
template <typename T>
class Series {
 public:
  Series(const MetricFamily& info, prometheus::Family<T>& family) : info_(info), family_(family) {
    const bool open = std::any_of(info.labels.begin(), info.labels.end(),
                                  [](const MetricLabel& label) { return label.values.empty(); });
    // A gauge without labels has no value before somebody knows it.
    const bool known = !info.labels.empty() || !std::is_same_v<T, prometheus::Gauge>;
    if (!open && known) Fill(MetricLabels(info.labels.size()));
  }

  // Null: it cannot be. With a series comes what differs from it in labels whose values are known.
  T* Find(const MetricLabels& given) {
    MetricLabels labels = given;
    for (std::string& label : labels) label = LabelText(label);
    if (const auto known = series_.find(labels); known != series_.end()) return known->second;
    if (!Fits(labels)) return nullptr;
    if (series_.size() + Combinations() > Metrics::kMaxSeries) return nullptr;
    Fill(labels);
    return series_.find(labels)->second;
  }

  void Remove(const MetricLabels& labels) {
    const auto known = series_.find(labels);
    if (known == series_.end()) return;
    family_.Remove(known->second);
    series_.erase(known);
  }

  // Those that are not among `labels`: `idle` those whose open labels are in use there, the others go.
  template <typename Idle>
  void Keep(const std::set<MetricLabels>& labels, const Idle& idle) {
    std::set<MetricLabels> used{OpenPart(MetricLabels(info_.labels.size()))};
    for (const MetricLabels& kept : labels) used.insert(OpenPart(kept));
    std::vector<MetricLabels> gone;
    for (const auto& [known, series] : series_) {
      if (labels.contains(known)) continue;
      if (used.contains(OpenPart(known))) {
        idle(*series);
      } else {
        gone.push_back(known);
      }
    }
    for (const MetricLabels& known : gone) Remove(known);
  }

 private:
  bool Fits(const MetricLabels& labels) const {
    if (labels.size() != info_.labels.size()) return false;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto& values = info_.labels[i].values;
      const bool has = std::find(values.begin(), values.end(), labels[i]) != values.end();
      if (!values.empty() && !has) return false;
    }
    return true;
  }

  std::size_t Combinations() const {
    std::size_t count = 1;
    for (const MetricLabel& label : info_.labels)
      count *= std::max<std::size_t>(1, label.values.size());
    return count;
  }

  MetricLabels OpenPart(MetricLabels labels) const {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (!info_.labels[i].values.empty()) labels[i].clear();
    }
    return labels;
  }

  void Fill(MetricLabels labels, std::size_t from = 0) {
    if (from == labels.size()) {
      T*& series = series_[labels];
      if (!series) series = &Make(labels);
      return;
    }
    const auto& values = info_.labels[from].values;
    if (values.empty()) Fill(labels, from + 1);
    for (const std::string& value : values) {
      labels[from] = value;
      Fill(labels, from + 1);
    }
  }

  T& Make(const MetricLabels& labels) {
    prometheus::Labels named;
    for (std::size_t i = 0; i < labels.size(); ++i) named[info_.labels[i].name] = labels[i];
    if constexpr (std::is_same_v<T, prometheus::Histogram>) {
      return family_.Add(named, info_.buckets);
    } else {
      return family_.Add(named);
    }
  }

  const MetricFamily& info_;
  prometheus::Family<T>& family_;
  std::map<MetricLabels, T*> series_;
};

using Counters = Series<prometheus::Counter>;
using Gauges = Series<prometheus::Gauge>;
using Histograms = Series<prometheus::Histogram>;
using AnySeries = std::variant<Counters, Gauges, Histograms>;

template <typename Builder>
auto& Register(Builder builder, const MetricFamily& family, prometheus::Registry& registry) {
  return builder.Name(family.name).Help(family.help).Register(registry);
}

AnySeries NewSeries(const MetricFamily& family, prometheus::Registry& registry) {
  switch (family.type) {
    case MetricType::kCounter:
      return Counters(family, Register(prometheus::BuildCounter(), family, registry));
    case MetricType::kGauge:
      return Gauges(family, Register(prometheus::BuildGauge(), family, registry));
    case MetricType::kHistogram:
      break;
  }
  return Histograms(family, Register(prometheus::BuildHistogram(), family, registry));
}

prometheus::MetricType TypeOf(MetricType type) {
  if (type == MetricType::kCounter) return prometheus::MetricType::Counter;
  if (type == MetricType::kGauge) return prometheus::MetricType::Gauge;
  return prometheus::MetricType::Histogram;
}

class PrometheusMetrics final : public Metrics {
 public:
  explicit PrometheusMetrics(MetricSource source) : source_(source) {
    for (const MetricFamily& family : MetricCatalogue()) {
      if (Exports(source, family)) series_.emplace(family.metric, NewSeries(family, registry_));
    }
    Set(Metric::kBuildInfo, {kVersion, kCompiler}, 1);
  }

  void Count(Metric metric, const MetricLabels& labels, double amount) override {
    std::lock_guard lock(mutex_);
    auto* counter = amount >= 0 && std::isfinite(amount) ? Find<Counters>(metric, labels) : nullptr;
    if (!counter) return Refuse();
    counter->Increment(amount);
  }

  void Set(Metric metric, const MetricLabels& labels, double value) override {
    std::lock_guard lock(mutex_);
    auto* gauge = Find<Gauges>(metric, labels);
    if (!gauge) return Refuse();
    gauge->Set(value);
  }

  void Observe(Metric metric, const MetricLabels& labels, double value) override {
    std::lock_guard lock(mutex_);
    auto* histogram = std::isnan(value) ? nullptr : Find<Histograms>(metric, labels);
    if (!histogram) return Refuse();
    histogram->Observe(value);
  }

  void SetAll(Metric metric, const Values& values) override {
    std::lock_guard lock(mutex_);
    Gauges* gauges = Family<Gauges>(metric);
    if (!gauges) return Refuse();
    std::set<MetricLabels> kept;
    for (const auto& [labels, value] : values) {
      MetricLabels texts = labels;
      for (std::string& text : texts) text = LabelText(text);
      if (texts.size() == FamilyOf(metric).labels.size()) kept.insert(std::move(texts));
    }
    gauges->Keep(kept, [](prometheus::Gauge& gauge) { gauge.Set(0); });
    for (const auto& [labels, value] : values) {
      auto* gauge = gauges->Find(labels);
      if (gauge) gauge->Set(value);
      if (!gauge) Refuse();
    }
  }

  void Remove(Metric metric, const MetricLabels& labels) override {
    std::lock_guard lock(mutex_);
    MetricLabels texts = labels;
    for (std::string& text : texts) text = LabelText(text);
    const auto found = series_.find(metric);
    if (found == series_.end()) return;
    std::visit([&](auto& series) { series.Remove(texts); }, found->second);
  }

  void AddCollector(std::string name, Collector collect) override {
    std::lock_guard lock(scraping_);
    collectors_.push_back({std::move(name), std::move(collect)});
  }

  std::string Scrape() override {
    std::lock_guard one_at_a_time(scraping_);
    for (NamedCollector& collector : collectors_) Collect(collector);
    std::vector<prometheus::MetricFamily> families;
    {
      std::lock_guard lock(mutex_);
      families = registry_.Collect();
    }
    Complete(families);
    std::ostringstream text;
    text.imbue(std::locale::classic());
    prometheus::TextSerializer().Serialize(text, families);
    return text.str();
  }

 private:
  struct NamedCollector {
    std::string name;
    Collector collect;
    bool failing = false;  // the log says so once
  };

  void Collect(NamedCollector& collector) {
    const Status status = collector.collect(*this);
    if (!status.ok()) Count(Metric::kScrapeErrors, {}, 1);
    if (!status.ok() && !collector.failing) {
      spdlog::warn("metrics of {} cannot be collected: {}", collector.name, Message(status));
    }
    collector.failing = !status.ok();
  }

  // The library leaves out families without series, and has no order.
  void Complete(std::vector<prometheus::MetricFamily>& families) const {
    std::set<std::string> there;
    for (prometheus::MetricFamily& family : families) {
      there.insert(family.name);
      std::sort(family.metric.begin(), family.metric.end(),
                [](const auto& a, const auto& b) { return a.label < b.label; });
    }
    for (const MetricFamily& family : MetricCatalogue()) {
      if (Exports(source_, family) && !there.contains(family.name)) {
        families.push_back({family.name, family.help, TypeOf(family.type), {}});
      }
    }
    std::sort(families.begin(), families.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
  }

  template <typename T>
  T* Family(Metric metric) {
    const auto found = series_.find(metric);
    return found == series_.end() ? nullptr : std::get_if<T>(&found->second);
  }
  template <typename T>
  auto Find(Metric metric, const MetricLabels& labels) -> decltype(std::declval<T>().Find(labels)) {
    T* family = Family<T>(metric);
    return family ? family->Find(labels) : nullptr;
  }
  void Refuse() { Find<Counters>(Metric::kSeriesRefused, {})->Increment(); }

  const MetricSource source_;
  std::mutex scraping_;  // guards collectors_; taken before mutex_
  std::vector<NamedCollector> collectors_;
  std::mutex mutex_;  // guards what follows
  prometheus::Registry registry_;
  std::map<Metric, AnySeries> series_;
};

}  // namespace

bool HasMetrics() { return true; }

StatusOr<std::unique_ptr<Metrics>> NewMetrics(MetricSource source) {
  return std::make_unique<PrometheusMetrics>(source);
}

}  // namespace kiln
