#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/status.h"

namespace kiln {

// How people write durations and times of day, on command lines and in files.

// "90s", "30m", "2h", "1h30m", "2d", up to 30 years. kInvalidArgument says what is accepted.
StatusOr<std::chrono::seconds> ParseDuration(const std::string& text);

// For CLI::Option::check(): what is wrong with the text; empty: it is a duration.
std::string CheckDuration(const std::string& text);

// "HH:MM", from 00:00 to 24:00, as minutes since the day began. kInvalidArgument.
StatusOr<int> ParseMinuteOfDay(const std::string& text);

// A moment that is over, as people type it: how long ago, as a duration ("8h", "2d"); a time of day
// ("22:00": the last one), a day ("2026-11-26"), or both ("2026-11-26 22:00"), by this machine's
// clocks; or RFC 3339 ("2026-11-27T22:00:00Z"). kInvalidArgument says what is accepted, or that it is yet to
// come.
StatusOr<WallTime> ParseSince(const std::string& text, WallTime now);

// For CLI::Option::check(): what is wrong with the text; empty: it is such a moment.
std::string CheckSince(const std::string& text);

}  // namespace kiln
