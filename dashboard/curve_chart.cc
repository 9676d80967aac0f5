#include "dashboard/curve_chart.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {

CurveAxes AxesOf(const CurveChart& chart, int x_ticks, int y_ticks) {
  std::vector<double> ys;
  double last = 1;
  for (const std::vector<CurvePoint>* points : {&chart.curve, &chart.marks}) {
    for (const CurvePoint& point : *points) {
      ys.push_back(point.y);
      last = std::max(last, point.x);
    }
  }
  CurveAxes axes{.x = {.least = 0, .most = last}, .y = NiceScale(ys, y_ticks)};
  axes.x_ticks = NiceTicks(axes.x, x_ticks);
  axes.y_ticks = NiceTicks(axes.y, y_ticks);
  return axes;
}

std::string DescribeChart(const CurveChart& chart) {
  if (chart.curve.empty()) return chart.title + ": no point yet.";
  const CurvePoint &first = chart.curve.front(), &last = chart.curve.back();
  std::string text = fmt::format("{}: from {} to {} {} over {} {}", chart.title, TickText(first.y),
                                 TickText(last.y), chart.y_label, TickText(last.x), chart.x_label);
  if (!chart.marks.empty()) {
    text += fmt::format("; {} {}", chart.marks.size(), chart.mark_label);
  }
  return text + ".";
}

}  // namespace kiln
