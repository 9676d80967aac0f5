#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace kiln {

// From `now` to the next time that the local clock shows "HH:MM".
StatusOr<std::chrono::seconds> UntilTimeOfDay(const std::string& text, WallTime now);

}  // namespace kiln
