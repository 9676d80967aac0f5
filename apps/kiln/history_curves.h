#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "dashboard/curve_chart.h"
#include "db/tuning_store.h"
#include "ops/workload.h"

namespace kiln {

// What a curve of a workload shows: the rate or the time of the best trial so far.
enum class CurveFigure : std::uint8_t { kGops, kTime };

// These are the best-so-far curves of a workload's trials: one for each number of threads, state of
// the caches, kind of times and device, since times compare within those alone.
class HistoryCurves {
 public:
  explicit HistoryCurves(const Workload& workload) : workload_(workload) {}

  // The next trial of its task. Returns the best time of its curve with it, in ns; nullopt: none of
  // its trials has one yet.
  std::optional<double> Add(const TrialRecord& record);

  // Those that have a time, in the order of their settings. The x of a point is the number of a
  // trial on its curve, from 1; marks are the latest confirmations, at their own times.
  std::vector<CurveChart> Charts(CurveFigure figure) const;

 private:
  using Setting = std::tuple<std::int32_t, CacheState, TimeKind, std::string>;
  struct Trace {
    std::vector<std::optional<double>> best_ns;  // after each trial
    std::vector<CurvePoint> confirmed;           // x, and the latest confirmation in ns
  };
  std::string TitleOf(const Setting& setting, const Trace& trace) const;

  const Workload workload_;
  std::map<Setting, Trace> traces_;
};

}  // namespace kiln
