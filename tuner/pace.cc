#include "tuner/pace.h"

#include <algorithm>

namespace kiln {
namespace {

// At most this share of the time until the deadline is kept for comparing the finalists.
constexpr double kMostTimeForConfirming = 0.1;

}  // namespace

std::int32_t Pace::Fitting(std::int32_t wanted, std::size_t under_way) const {
  if (!deadline_ || made_ == 0) return wanted;
  const Nanoseconds each = PerTrial();
  if (each <= Nanoseconds(0)) return wanted;
  const std::int64_t fitting =
      (EndOfSearch() - clock_.Now()) / each - static_cast<std::int64_t>(under_way);
  const std::int64_t least = std::min(wanted, under_way == 0 ? 1 : 0);
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(fitting, least, wanted));
}

Nanoseconds Pace::TimeToConfirm() const {
  if (confirming_ == 0 || made_ == 0) return Nanoseconds(0);
  const auto most =
      std::chrono::duration<double, std::nano>(*deadline_ - begun_) * kMostTimeForConfirming;
  return std::min(PerTrial() * confirming_, std::chrono::duration_cast<Nanoseconds>(most));
}

}  // namespace kiln
