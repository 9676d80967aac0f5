#include "base/duration.h"

#include <cctype>
#include <cstdint>
#include <optional>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace kiln {
namespace {

constexpr std::int64_t kLongestSeconds = 950'000'000;  // thirty years: fits into nanoseconds

bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

Status BadDuration(const std::string& text) {
  return Error(StatusCode::kInvalidArgument, "`", text,
               "` is not a time: write 90s, 30m, 2h or 1h30m");
}

// The last moment at which the clocks showed this time of day.
absl::Time LastTimeOfDay(int minute, absl::Time now) {
  const absl::TimeZone zone = absl::LocalTimeZone();
  for (absl::CivilDay day = absl::ToCivilDay(now, zone);; --day) {
    const absl::CivilMinute then = absl::CivilMinute(day) + minute;
    const absl::Time time = absl::FromCivil(absl::CivilSecond(then), zone);
    if (time <= now) return time;
  }
}

// nullopt: it is in none of the forms.
std::optional<absl::Time> ParseDate(const std::string& text) {
  // The library also takes spaces and words.
  if (text.empty() || !IsDigit(text.front()) || std::isspace(text.back())) return std::nullopt;
  for (const char* format : {absl::RFC3339_full, "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"}) {
    absl::Time time;
    std::string ignored;
    if (!absl::ParseTime(format, text, absl::LocalTimeZone(), &time, &ignored)) continue;
    if (time > absl::FromUnixMillis(0)) return time;
  }
  return std::nullopt;
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
  if (const StatusOr<int> minute = ParseMinuteOfDay(text); minute.ok()) {
    return absl::ToChronoTime(LastTimeOfDay(*minute, absl::FromChrono(now)));
  }
  const std::optional<absl::Time> date = ParseDate(text);
  if (date && *date > absl::FromChrono(now)) {
    return Error(StatusCode::kInvalidArgument, "`", text, "` is yet to come");
  }
  if (date) return absl::ToChronoTime(*date);
  return Error(StatusCode::kInvalidArgument, "`", text,
               "` is not a time: write 8h, 22:00, 2026-11-26, \"2026-11-26 22:00\" or "
               "2026-11-27T22:00:00Z");
}

std::string CheckSince(const std::string& text) {
  return Message(ParseSince(text, SystemClock().Today()).status());
}

}  // namespace kiln
