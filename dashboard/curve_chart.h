#pragma once

#include <string>
#include <vector>

#include "dashboard/curve_scale.h"

namespace kiln {

// This is one curve to be drawn, and what is to be read beside it.
struct CurveChart {
  std::string title;              // one line of text
  std::string x_label, y_label;   // with the unit: "trials", "GOP/s"
  std::vector<CurvePoint> curve;  // a step curve, by ascending x
  std::vector<CurvePoint> marks;  // points to be seen, by ascending x
  std::string mark_label;         // what they are: "confirmed"
};

// Its axes: x from 0 to its last point, y as its curve and marks need it.
struct CurveAxes {
  CurveScale x, y;
  std::vector<double> x_ticks, y_ticks;
};
// With at most so many ticks each.
CurveAxes AxesOf(const CurveChart& chart, int x_ticks, int y_ticks);

// One sentence for whoever cannot see it: how far it goes, from where to where, and its marks.
std::string DescribeChart(const CurveChart& chart);

}  // namespace kiln
