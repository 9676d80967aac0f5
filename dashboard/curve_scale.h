#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

// What it takes to draw a curve, whatever it is drawn on: scales, ticks and fewer points. Pure.

namespace kiln {

struct CurvePoint {
  double x = 0, y = 0;
  auto operator<=>(const CurvePoint&) const = default;  // NOLINT(modernize-use-nullptr)
};

enum class ScaleKind : std::uint8_t { kLinear, kLog };

// This maps the values of an axis to positions: 0 at `least`, 1 at `most`. `least` is below `most`,
// and above 0 where it is logarithmic.
struct CurveScale {
  double least = 0, most = 1;
  ScaleKind kind = ScaleKind::kLinear;

  double At(double value) const;  // values beyond an end are at that end
};

// A scale that holds the finite of these values, from one round number to another, about `ticks`
// steps apart. Logarithmic where they are positive and the largest is more than 20 times the
// smallest: on a linear scale the end of such a curve is a flat line. Without a value: 0 to 1.
CurveScale NiceScale(std::span<const double> values, int ticks);

// Round numbers on the scale in ascending order, at most `most` (at least 2): multiples of 1, 2 or
// 5 times a power of ten; on a logarithmic one these numbers themselves. There may be fewer than two
// where the scale begins and ends at odd numbers.
std::vector<double> NiceTicks(const CurveScale& scale, int most);

// "0.3", "1500", "2e+06": a tick as people read it.
std::string TickText(double value);

// Pictures with more points take long and show no more.
inline constexpr std::size_t kMostCurvePoints = 500;

// A step curve (y holds until the next point), by ascending x, with at most `most` points (at least
// 2): its ends and where it steps; if these are too many, the last step in each of equal stretches
// of x. Every point that is left is one of the curve's.
std::vector<CurvePoint> ThinCurve(std::span<const CurvePoint> curve,
                                  std::size_t most = kMostCurvePoints);

}  // namespace kiln
