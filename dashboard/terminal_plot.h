#pragma once

#include <cstdint>
#include <string>

#include "dashboard/curve_chart.h"

namespace kiln {

enum class PlotCharset : std::uint8_t { kAscii, kUnicode };
enum class PlotInk : std::uint8_t { kPlain, kColour };  // colours are those of a terminal

// What it is drawn on. Curves are drawn with Braille patterns, eight dots a character, or with
// stars where there is only ASCII.
struct PlotStyle {
  int width = 80;   // characters, at least 30: no line is longer
  int height = 12;  // lines that the curve has, at least 4; its title and axis come to it
  PlotCharset charset = PlotCharset::kAscii;
  PlotInk ink = PlotInk::kPlain;
};

// The chart as lines of text: title, unit, the curve between its axes, and what the marks are. A
// chart without points is its title and words that say so.
std::string PlotCurve(const CurveChart& chart, const PlotStyle& style);

}  // namespace kiln
