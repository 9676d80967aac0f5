#pragma once

#include <optional>

// The figures by which people compare kernels: what each one is, is said here alone. Times are
// nanoseconds. nullopt: there is nothing to compare, because a time or a rate is missing.

namespace kiln {

// How many times as fast something became: 1.25 is a quarter more in the same time, 1 is no gain.
inline std::optional<double> Gain(std::optional<double> before_ns, std::optional<double> after_ns) {
  if (!before_ns || !after_ns || *before_ns <= 0 || *after_ns <= 0) return std::nullopt;
  return *before_ns / *after_ns;
}

// The share of a machine's peak that a kernel reaches, both in GOP/s; 1 is all of it.
inline std::optional<double> ShareOfPeak(double gops, double peak_gops) {
  if (peak_gops <= 0) return std::nullopt;
  return gops / peak_gops;
}

// How near a time is to the least that its layer can take (AchievableBound); 1: it is there.
inline std::optional<double> ShareOfBound(double bound_ns, double ns) {
  if (bound_ns <= 0 || ns <= 0) return std::nullopt;
  return bound_ns / ns;
}

}  // namespace kiln
