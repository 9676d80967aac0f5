#include "daemon/forecast.h"

#include <algorithm>

namespace kiln {
namespace {

constexpr std::chrono::days kHorizon{400};  // as TimeWindow::NextChange()

}  // namespace

std::optional<WallTime> WhenDone(Nanoseconds left, const TimeWindow* window, WallTime now) {
  if (left > kHorizon) return std::nullopt;
  if (left <= Nanoseconds::zero() || window == nullptr) {
    return now + std::max(left, Nanoseconds::zero());
  }
  WallTime time = now;
  while (time <= now + kHorizon) {
    const std::optional<WallTime> change = window->NextChange(time);
    if (window->IsOpen(time)) {
      if (!change || time + left <= *change) break;
      left -= *change - time;
    } else if (!change) {
      return std::nullopt;
    }
    time = *change;
  }
  if (time + left > now + kHorizon) return std::nullopt;
  return time + left;
}

}  // namespace kiln
