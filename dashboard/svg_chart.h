#pragma once

#include <string>
#include <vector>

#include "dashboard/curve_scale.h"
#include "dashboard/html.h"

namespace kiln {

// Charts as SVG elements, in the colours of the document's style (report_style.h). Each is an image
// with a title and a description for who does not see it; what they are of stands in words beside
// them, so nothing depends on a colour.

// A quantity that only falls: it keeps a value until the next one.
struct StepChart {
  std::string title;                    // of what
  std::string description;              // what it shows, in a sentence
  std::vector<CurvePoint> points;       // by x; y above 0
  double end = 0;                       // x where it stops
  std::string first_label, last_label;  // at both ends of the line: the first and last y
  std::string end_label;                // below the end of the x axis
};
void WriteStepChart(HtmlWriter& html, const StepChart& chart);

// Bars from left to right, one below the other.
struct BarChart {
  std::string title, description;
  struct Bar {
    std::string label, value;  // in words, left of the bar and in it
    double length = 0;         // of the longest is all of the width
  };
  std::vector<Bar> bars;
};
void WriteBarChart(HtmlWriter& html, const BarChart& chart);

}  // namespace kiln
