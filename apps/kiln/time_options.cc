#include "apps/kiln/time_options.h"

#include <cctype>
#include <cstdint>
#include <ctime>

namespace kiln {
namespace {

constexpr std::int64_t kLongestSeconds = 950'000'000;  // thirty years: fits into nanoseconds

Status BadDuration(const std::string& text) {
  return Error(StatusCode::kInvalidArgument, "`", text,
               "` is not a time: write 90s, 30m, 2h or 1h30m");
}

}  // namespace

StatusOr<std::chrono::seconds> ParseDuration(const std::string& text) {
  std::int64_t total = 0, number = 0;
  bool has_digits = false;
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c))) {
      number = number * 10 + (c - '0');
      if (number > kLongestSeconds) return BadDuration(text);
      has_digits = true;
      continue;
    }
    const std::int64_t unit = c == 's' ? 1 : c == 'm' ? 60 : c == 'h' ? 3600 : 0;
    if (unit == 0 || !has_digits) return BadDuration(text);
    total += number * unit;
    if (total > kLongestSeconds) return BadDuration(text);
    number = 0;
    has_digits = false;
  }
  if (has_digits || total <= 0) return BadDuration(text);
  return std::chrono::seconds(total);
}

std::string CheckDuration(const std::string& text) { return Message(ParseDuration(text).status()); }

StatusOr<std::chrono::seconds> UntilTimeOfDay(const std::string& text, WallTime now) {
  int hour = -1, minute = -1;
  if (text.size() == 5 && text[2] == ':') {
    const auto digit = [&](int i) {
      return std::isdigit(static_cast<unsigned char>(text[i])) ? text[i] - '0' : 99;
    };
    hour = 10 * digit(0) + digit(1);
    minute = 10 * digit(3) + digit(4);
  }
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59) {
    return Error(StatusCode::kInvalidArgument, "`", text, "` is not a time of day: write 06:00");
  }
  const std::time_t start = std::chrono::system_clock::to_time_t(now);
  std::tm local{};
  localtime_r(&start, &local);
  local.tm_hour = hour;
  local.tm_min = minute;
  local.tm_sec = 0;
  local.tm_isdst = -1;
  std::time_t end = std::mktime(&local);
  if (end <= start) {
    ++local.tm_mday;
    local.tm_isdst = -1;
    end = std::mktime(&local);
  }
  return std::chrono::seconds(end - start);
}

}  // namespace kiln
