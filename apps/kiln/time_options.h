#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace kiln {

// "90s", "30m", "2h", "1h30m", up to 30 years. kInvalidArgument says what is accepted.
StatusOr<std::chrono::seconds> ParseDuration(const std::string& text);

// For CLI::Option::check(): what is wrong with the text; empty: it is a duration.
std::string CheckDuration(const std::string& text);

// From `now` to the next time that the local clock shows "HH:MM".
StatusOr<std::chrono::seconds> UntilTimeOfDay(const std::string& text, WallTime now);

}  // namespace kiln
