#pragma once

#include <span>
#include <string>

#include "dashboard/curve_chart.h"

namespace kiln {

// The charts one below the other as an SVG file of its own: nothing is loaded or run, light and dark
// as the reader prefers, for screen readers one picture with `title` and a sentence for each chart.
// Text may be anything; curves are thinned. Without a chart it says that there is none yet.
std::string CurvesSvg(const std::string& title, std::span<const CurveChart> charts);

}  // namespace kiln
