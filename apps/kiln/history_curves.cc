#include "apps/kiln/history_curves.h"

#include <fmt/format.h>

#include <algorithm>

#include "apps/kiln/command.h"
#include "apps/kiln/table.h"

namespace kiln {

std::optional<double> HistoryCurves::Add(const TrialRecord& record) {
  const Trial& trial = record.trial;
  Trace& trace = traces_[Setting(record.threads, record.cache, trial.kind, trial.device)];
  std::optional<double> best = trace.best_ns.empty() ? std::nullopt : trace.best_ns.back();
  if (const auto ns = RankTime(trial); ns && (!best || *ns < *best)) best = ns;
  trace.best_ns.push_back(best);
  const auto x = static_cast<double>(trace.best_ns.size());
  std::optional<double> confirmed;
  for (const Remeasurement& more : record.again) {
    if (more.confirms && more.trial.device == trial.device) confirmed = RankTime(more.trial);
  }
  if (confirmed) trace.confirmed.push_back({x, *confirmed});
  return best;
}

std::string HistoryCurves::TitleOf(const Setting& setting, const Trace& trace) const {
  const auto& [threads, cache, kind, device] = setting;
  const double ns = *trace.best_ns.back();
  std::string where;
  if (threads != 1) where += fmt::format(", {} threads", threads);
  if (cache != CacheState::kHot) where += fmt::format(", {} caches", Name(cache));
  if (kind != TimeKind::kMeasured) where += fmt::format(", {}", Name(kind));
  if (!device.empty()) where += " on " + EscapeControls(device);
  std::string title =
      fmt::format("{}{}: best of {} trials {:.2f} us, {:.1f} GOP/s", Describe(workload_), where,
                  trace.best_ns.size(), ns / 1e3, Gops(workload_, ns));
  if (!trace.confirmed.empty()) {
    const auto fastest = std::ranges::min_element(trace.confirmed, {}, &CurvePoint::y);
    title += fmt::format(", confirmed {:.2f} us", fastest->y / 1e3);
  }
  return title;
}

std::vector<CurveChart> HistoryCurves::Charts(CurveFigure figure) const {
  const auto y_of = [&](double ns) {
    return figure == CurveFigure::kGops ? Gops(workload_, ns) : ns / 1e3;
  };
  std::vector<CurveChart> charts;
  for (const auto& [setting, trace] : traces_) {
    if (!trace.best_ns.back()) continue;
    CurveChart& chart = charts.emplace_back();
    chart.title = TitleOf(setting, trace);
    chart.x_label = "trials";
    chart.y_label = figure == CurveFigure::kGops ? "GOP/s" : "us";
    chart.mark_label = "confirmed";
    for (std::size_t i = 0; i < trace.best_ns.size(); ++i) {
      if (!trace.best_ns[i]) continue;  // of the trials before the first time
      chart.curve.push_back({static_cast<double>(i + 1), y_of(*trace.best_ns[i])});
    }
    for (const CurvePoint& point : trace.confirmed) {
      chart.marks.push_back({point.x, y_of(point.y)});
    }
  }
  return charts;
}

}  // namespace kiln
