#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace kiln {

using Nanoseconds = std::chrono::nanoseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

// This is where time comes from: passed in, so that tests decide what time it is. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime Now() const = 0;  // for deadlines and durations
  virtual WallTime Today() const = 0;  // for records that people read
};

// The machine's clock; lives as long as the program.
const Clock& SystemClock();

// Unix time, as records keep it.
std::int64_t ToUnixMs(WallTime time);
WallTime FromUnixMs(std::int64_t ms);

// "2026-11-27T22:00:00Z": RFC 3339, UTC.
std::string FormatTime(std::int64_t unix_ms);

}  // namespace kiln
