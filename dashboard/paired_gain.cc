#include "dashboard/paired_gain.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

namespace kiln {
namespace {

constexpr double kTail = 0.025;           // of each side
constexpr std::int64_t kTurnMs = 60'000;  // rounds of one comparison are over within it

// The largest k with P(Binomial(n, 1/2) < k) <= kTail.
std::size_t SignTestRank(std::size_t n) {
  double probability = std::pow(0.5, static_cast<double>(n));  // of exactly k
  double below = 0;                                            // of less than k
  std::size_t k = 0;
  while (k < n && below + probability <= kTail) {
    below += probability;
    probability *= static_cast<double>(n - k) / static_cast<double>(k + 1);
    ++k;
  }
  return k;
}

double MedianOf(const std::vector<double>& sorted) {
  const std::size_t n = sorted.size();
  return n % 2 == 1 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

}  // namespace

std::optional<PairedGain> GainOfPairs(std::span<const double> before,
                                      std::span<const double> after) {
  if (before.size() != after.size()) return std::nullopt;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] > 0 && after[i] > 0) ratios.push_back(before[i] / after[i]);
  }
  const std::size_t k = SignTestRank(ratios.size());
  if (k == 0) return std::nullopt;
  std::ranges::sort(ratios);
  return PairedGain{MedianOf(ratios), ratios[k - 1], ratios[ratios.size() - k],
                    static_cast<std::int64_t>(ratios.size())};
}

std::optional<PairedGain> GainInTurn(const Trial& before, const Trial& after) {
  const auto* then = std::get_if<Timings>(&before.outcome);
  const auto* now = std::get_if<Timings>(&after.outcome);
  if (then == nullptr || now == nullptr || before.device != after.device ||
      std::abs(before.measured_at_ms - after.measured_at_ms) > kTurnMs) {
    return std::nullopt;
  }
  return GainOfPairs(then->samples_ns, now->samples_ns);
}

}  // namespace kiln
