#include "dashboard/curve_scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kiln {
namespace {

constexpr double kLogFrom = 20;  // times the smallest value
constexpr double kSlack = 1e-9;  // relative: what rounding takes from a multiple of a step
constexpr double kRound[] = {1, 2, 5};

// The smallest round number that is not below `value`.
double RoundUp(double value) {
  const double decade = std::pow(10, std::floor(std::log10(value)));
  for (const double digit : kRound) {
    if (digit * decade >= value * (1 - kSlack)) return digit * decade;
  }
  return 10 * decade;
}

double RoundDown(double value) {
  const double decade = std::pow(10, std::floor(std::log10(value)));
  double down = decade;
  for (const double digit : kRound) {
    if (digit * decade <= value * (1 + kSlack)) down = digit * decade;
  }
  return down;
}

// Every multiple of `step` on the scale.
std::vector<double> Multiples(const CurveScale& scale, double step) {
  std::vector<double> ticks;
  const double first = std::ceil(scale.least / step - kSlack);
  const double last = std::floor(scale.most / step + kSlack);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step + 0.0);  // no -0
  return ticks;
}

// The numbers `digit` times a power of ten for the first `digits` of kRound, and of each
// `every`-th decade alone.
std::vector<double> LogTicks(const CurveScale& scale, std::size_t digits, int every) {
  std::vector<double> ticks;
  const int first = static_cast<int>(std::floor(std::log10(scale.least)));
  const int last = static_cast<int>(std::ceil(std::log10(scale.most)));
  for (int decade = first; decade <= last; ++decade) {
    if ((decade - first) % every != 0) continue;
    for (const double digit : std::span(kRound).first(digits)) {
      const double tick = digit * std::pow(10, decade);
      const bool is_on = tick >= scale.least * (1 - kSlack) && tick <= scale.most * (1 + kSlack);
      if (is_on) ticks.push_back(tick);
    }
  }
  return ticks;
}

CurveScale Widened(double least, double most) {
  if (least < most) return {.least = least, .most = most};
  if (least == 0) return {.least = 0, .most = 1};
  const double by = std::abs(least) / 10;
  return {.least = least - by, .most = most + by};
}

}  // namespace

double CurveScale::At(double value) const {
  const double position = kind == ScaleKind::kLog
                              ? std::log(std::max(value, least) / least) / std::log(most / least)
                              : (value - least) / (most - least);
  return std::clamp(position, 0.0, 1.0);
}

CurveScale NiceScale(std::span<const double> values, int ticks) {
  std::vector<double> finite;
  std::ranges::copy_if(values, std::back_inserter(finite),
                       [](double v) { return std::isfinite(v); });
  if (finite.empty()) return {};
  const auto [least, most] = std::ranges::minmax(finite);
  if (least > 0 && most / least > kLogFrom) {
    return {.least = RoundDown(least), .most = RoundUp(most), .kind = ScaleKind::kLog};
  }
  CurveScale scale = Widened(least, most);
  const double step = RoundUp((scale.most - scale.least) / std::max(1, ticks - 1));
  scale.least = std::floor(scale.least / step + kSlack) * step;
  scale.most = std::ceil(scale.most / step - kSlack) * step;
  return scale;
}

std::vector<double> NiceTicks(const CurveScale& scale, int most) {
  const auto enough = static_cast<std::size_t>(std::max(2, most));
  if (scale.kind == ScaleKind::kLog) {
    std::vector<double> ticks = LogTicks(scale, std::size(kRound), 1);
    for (int every = 1; ticks.size() > enough; ++every) ticks = LogTicks(scale, 1, every);
    return ticks;
  }
  double step = RoundUp((scale.most - scale.least) / static_cast<double>(enough - 1));
  std::vector<double> ticks = Multiples(scale, step);
  while (ticks.size() > enough) ticks = Multiples(scale, step = RoundUp(step * 1.5));
  return ticks;
}

std::string TickText(double value) { return fmt::format("{:.6g}", value); }

std::vector<CurvePoint> ThinCurve(std::span<const CurvePoint> curve, std::size_t most) {
  std::vector<CurvePoint> steps;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const bool is_end = i == 0 || i + 1 == curve.size();
    if (is_end || curve[i].y != curve[i - 1].y) steps.push_back(curve[i]);
  }
  if (steps.size() <= most) return steps;
  const double from = steps.front().x, length = steps.back().x - from;
  const auto stretches = static_cast<double>(most - 1);
  const auto stretch_of = [&](const CurvePoint& point) {
    const double position = length > 0 ? (point.x - from) / length : 0;
    return std::min(std::floor(position * stretches), stretches - 1);
  };
  std::vector<CurvePoint> thin = {steps.front()};
  for (std::size_t i = 1; i < steps.size(); ++i) {
    const bool is_last = i + 1 == steps.size() || stretch_of(steps[i + 1]) != stretch_of(steps[i]);
    if (is_last) thin.push_back(steps[i]);
  }
  return thin;
}

}  // namespace kiln
