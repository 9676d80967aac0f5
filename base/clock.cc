#include "base/clock.h"

#include <ctime>

namespace kiln {
namespace {

class MachineClock final : public Clock {
 public:
  SteadyTime Now() const override { return std::chrono::steady_clock::now(); }
  WallTime Today() const override { return std::chrono::system_clock::now(); }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

std::int64_t ToUnixMs(WallTime time) {
  return std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime FromUnixMs(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

std::string FormatTime(std::int64_t unix_ms) {
  const std::time_t seconds = WallTime::clock::to_time_t(FromUnixMs(unix_ms));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

}  // namespace kiln
