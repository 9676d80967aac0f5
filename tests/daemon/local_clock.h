#pragma once

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/clock.h"

namespace kiln {

// Sets $TZ, and takes it back.
class LocalZoneIs {
 public:
  explicit LocalZoneIs(const char* name) {
    if (const char* before = std::getenv("TZ")) before_ = before, had_one_ = true;
    name != nullptr ? setenv("TZ", name, 1) : unsetenv("TZ");
    tzset();
  }
  ~LocalZoneIs() {
    had_one_ ? setenv("TZ", before_.c_str(), 1) : unsetenv("TZ");
    tzset();
  }
  LocalZoneIs(const LocalZoneIs&) = delete;
  LocalZoneIs& operator=(const LocalZoneIs&) = delete;

 private:
  std::string before_;
  bool had_one_ = false;
};

// What the C library's clock shows in the local zone: minutes since 1970-01-01 00:00 of that clock.
inline std::int64_t LocalMinute(std::int64_t utc_minute) {
  const std::time_t time = static_cast<std::time_t>(utc_minute) * 60;
  std::tm local{};
  localtime_r(&time, &local);
  return timegm(&local) / 60;
}

// Of a number of days since 1970-01-01: "2026-11-27".
inline std::string DateText(std::int64_t day) {
  const std::time_t time = day * 86400;
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

inline WallTime AtUtcMinute(std::int64_t minute) { return WallTime(std::chrono::minutes(minute)); }

// "2026-03-29 01:30", UTC.
inline WallTime Utc(const char* text) {
  std::tm parts{};
  if (strptime(text, "%Y-%m-%d %H:%M", &parts) == nullptr) std::abort();
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

}  // namespace kiln
