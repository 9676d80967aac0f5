#pragma once

#include <optional>

#include "base/clock.h"
#include "daemon/window.h"

namespace kiln {

// When a job that still has to run for `left` will be done, if it runs whenever its window is open;
// without a window (nullptr) it runs at any time. Nothing left is done now. nullopt: never, or not
// within 400 days.
std::optional<WallTime> WhenDone(Nanoseconds left, const TimeWindow* window, WallTime now);

}  // namespace kiln
