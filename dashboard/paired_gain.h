#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "measure/measurement.h"

namespace kiln {

// How many times faster something became, from samples that were taken in turn: the median of the
// ratios of pairs, and an interval that holds the true median with at least 95% confidence whatever
// the distribution is.
struct PairedGain {
  double median = 1, low = 1, high = 1;
  std::int64_t pairs = 0;
};

// The interval is that of the sign test: between the k-th smallest and the k-th largest ratio, k the
// largest number for which Binomial(n, 1/2) is below k with a probability of at most 2.5% (W. J.
// Conover, Practical Nonparametric Statistics, 3.2). nullopt: fewer than six pairs, too few for any.
std::optional<PairedGain> GainOfPairs(std::span<const double> before,
                                      std::span<const double> after);

// The same of two measurements that confirm, where they were taken in turn: on one device, within a
// minute, with as many samples each. nullopt: they were not.
std::optional<PairedGain> GainInTurn(const Trial& before, const Trial& after);

}  // namespace kiln
