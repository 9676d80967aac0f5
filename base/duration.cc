#include "base/duration.h"

#include <cctype>
#include <cstdint>

#include "absl/time/time.h"

namespace kiln {
namespace {

constexpr std::int64_t kLongestSeconds = 950'000'000;  // thirty years: fits into nanoseconds

bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

Status BadDuration(const std::string& text) {
  return Error(StatusCode::kInvalidArgument, "`", text,
               "` is not a time: write 90s, 30m, 2h or 1h30m");
}

}  // namespace

StatusOr<std::chrono::seconds> ParseDuration(const std::string& text) {
  std::int64_t total = 0, number = 0;
  bool has_digits = false;
  for (const char c : text) {
    if (IsDigit(c)) {
      number = number * 10 + (c - '0');
      if (number > kLongestSeconds) return BadDuration(text);
      has_digits = true;
      continue;
    }
    const std::int64_t unit = c == 's'   ? 1
                              : c == 'm' ? 60
                              : c == 'h' ? 3600
                              : c == 'd' ? 86'400
                                         : 0;
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

StatusOr<int> ParseMinuteOfDay(const std::string& text) {
  const bool is_form = text.size() == 5 && IsDigit(text[0]) && IsDigit(text[1]) && text[2] == ':' &&
                       IsDigit(text[3]) && IsDigit(text[4]);
  const auto number = [&](int i) { return 10 * (text[i] - '0') + (text[i + 1] - '0'); };
  if (!is_form || number(3) > 59 || 60 * number(0) + number(3) > 24 * 60) {
    return Error(StatusCode::kInvalidArgument, "`", text, "` is not a time of day: write 06:00");
  }
  return 60 * number(0) + number(3);
}

StatusOr<WallTime> ParseSince(const std::string& text, WallTime now) {
  if (const StatusOr<std::chrono::seconds> age = ParseDuration(text); age.ok()) return now - *age;
  absl::Time time;
  std::string ignored;
  // The library also takes spaces and words.
  const bool is_date = !text.empty() && IsDigit(text.front()) && !std::isspace(text.back());
  if (is_date && absl::ParseTime(absl::RFC3339_full, text, &time, &ignored) &&
      time > absl::FromUnixMillis(0)) {
    return absl::ToChronoTime(time);
  }
  return Error(StatusCode::kInvalidArgument, "`", text,
               "` is not a time: write 2026-11-27T22:00:00Z, or an age: 8h, 2d");
}

std::string CheckSince(const std::string& text) {
  return Message(ParseSince(text, SystemClock().Today()).status());
}

}  // namespace kiln
