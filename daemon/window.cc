// A window is a set of stretches, one for each local day that its rule names. The bounds of a stretch
// are what absl::FromCivil() makes of local times: the only moment in a usual hour, the transition in
// a skipped one, the first in a repeated one. It keeps the order of local times, so that stretches
// follow each other as their days do, and never overlap.
#include "daemon/window.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/time/civil_time.h"
#include "absl/time/time.h"
#include "base/duration.h"

namespace kiln {

struct TimeZone::Data {
  std::string name;
  absl::TimeZone zone;
};

namespace {

constexpr int kMinutesPerDay = 24 * 60;
constexpr int kHorizonDays = 400;
constexpr char kLocalZoneFile[] = "/etc/localtime";

// Keeps out paths, and the names that absl gives a meaning of its own ("libc:localtime").
bool IsZoneName(const std::string& name) {
  return !name.empty() && name.front() != '/' && name != "localtime" &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '_' || c == '-' || c == '+' || c == '/';
         });
}

// The zone that the C library takes for local: $TZ, or the one that was chosen for the machine. One
// that it would silently replace by UTC is an error here.
StatusOr<absl::TimeZone> LocalZone() {
  const char* variable = std::getenv("TZ");
  std::string name = variable != nullptr ? variable : kLocalZoneFile;
  if (name.starts_with(':')) name.erase(0, 1);
  const bool is_unset = variable == nullptr && !std::filesystem::exists(kLocalZoneFile);
  if (name.empty() || is_unset) return absl::UTCTimeZone();
  absl::TimeZone zone;
  if ((name.front() == '/' || IsZoneName(name)) && absl::LoadTimeZone(name, &zone)) return zone;
  return Error(StatusCode::kNotFound, "this machine's time zone, ",
               variable != nullptr ? "TZ=" : "", name,
               ", cannot be read: set TZ, or the zone here, to a name as Europe/Berlin");
}

std::string HourAndMinute(absl::Time time, absl::TimeZone zone) {
  return absl::FormatTime("%H:%M", time, zone);
}

std::string Abbreviation(absl::Time time, absl::TimeZone zone) { return zone.At(time).zone_abbr; }

// absl's %a speaks the language of the terminal.
std::string DayOfWeek(absl::Time time, absl::TimeZone zone) {
  constexpr const char* kNames[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
  return kNames[static_cast<int>(absl::GetWeekday(absl::ToCivilDay(time, zone)))];
}

absl::Time AtMinute(absl::CivilDay day, int minute, absl::TimeZone zone) {
  return absl::FromCivil(absl::CivilMinute(day) + minute, zone);
}

struct Stretch {
  absl::CivilDay day;  // that it belongs to
  absl::Time begin, end;
};

// The stretch of a day. None if the rule does not name the day, or if it is empty: because its bounds
// are equal, or all of it was skipped.
std::optional<Stretch> StretchOf(const WindowRule& rule, absl::CivilDay day, absl::TimeZone zone) {
  const int bit = static_cast<int>(absl::GetWeekday(day));
  if ((rule.days >> bit & 1) == 0) return std::nullopt;
  const bool ends_next_day = rule.to_minute < rule.from_minute;
  const Stretch stretch{day, AtMinute(day, rule.from_minute, zone),
                        AtMinute(ends_next_day ? day + 1 : day, rule.to_minute, zone)};
  if (stretch.begin >= stretch.end) return std::nullopt;
  return stretch;
}

// That of the day before where it lasts beyond midnight; that of the day after where the clock was
// set back over midnight.
std::optional<Stretch> StretchAt(const WindowRule& rule, absl::Time time, absl::TimeZone zone) {
  const absl::CivilDay today = absl::ToCivilDay(time, zone);
  for (const absl::CivilDay day : {today - 1, today, today + 1}) {
    const std::optional<Stretch> stretch = StretchOf(rule, day, zone);
    if (stretch && stretch->begin <= time && time < stretch->end) return stretch;
  }
  return std::nullopt;
}

std::string MinuteText(int minute) {
  char text[16];
  std::snprintf(text, sizeof text, "%02d:%02d", minute / 60, minute % 60);
  return text;
}

std::string WhyNever(const WindowRule& rule) {
  if ((rule.days & 0x7f) == 0) return "it has no days";
  return MinuteText(rule.from_minute) + "-" + MinuteText(rule.to_minute) + " is empty";
}

}  // namespace

StatusOr<TimeZone> TimeZone::Named(const std::string& name) {
  auto data = std::make_shared<Data>(Data{name, absl::UTCTimeZone()});
  if (name == "local") {
    ASSIGN_OR_RETURN(data->zone, LocalZone());
  } else if (!IsZoneName(name) || !absl::LoadTimeZone(name, &data->zone)) {
    return Error(StatusCode::kNotFound, "no time zone `", name,
                 "` here: write local, UTC, or a name as Europe/Berlin of /usr/share/zoneinfo "
                 "(Debian: apt install tzdata)");
  }
  return TimeZone(std::move(data));
}

TimeZone::TimeZone(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
TimeZone::~TimeZone() = default;
TimeZone::TimeZone(const TimeZone&) = default;
TimeZone& TimeZone::operator=(const TimeZone&) = default;

const std::string& TimeZone::name() const { return data_->name; }

std::string TimeZone::LocalDate(WallTime time) const {
  return absl::FormatTime("%Y-%m-%d", absl::FromChrono(time), data_->zone);
}

std::string TimeZone::Local(WallTime time) const {
  const absl::Time at = absl::FromChrono(time);
  return DayOfWeek(at, data_->zone) + " " + LocalDate(time) + " " + HourAndMinute(at, data_->zone) +
         " " + Abbreviation(at, data_->zone);
}

StatusOr<WallTime> NextTimeOfDay(const TimeZone& zone, std::string_view hh_mm, WallTime now) {
  ASSIGN_OR_RETURN(const int minute, ParseMinuteOfDay(std::string(hh_mm)));
  if (minute == kMinutesPerDay) {
    return Error(StatusCode::kInvalidArgument, "`", hh_mm, "` is not a time of day: write 00:00");
  }
  const absl::TimeZone in = zone.data().zone;
  const absl::Time time = absl::FromChrono(now);
  absl::CivilDay day = absl::ToCivilDay(time, in);
  while (AtMinute(day, minute, in) <= time) ++day;
  return absl::ToChronoTime(AtMinute(day, minute, in));
}

TimeWindow::TimeWindow(WindowRule rule, TimeZone zone)
    : rule_(std::move(rule)), zone_(std::move(zone)) {}

std::optional<WallTime> TimeWindow::StartOf(WallTime now) const {
  const auto stretch = StretchAt(rule_, absl::FromChrono(now), zone_.data().zone);
  if (!stretch) return std::nullopt;
  return absl::ToChronoTime(stretch->begin);
}

std::optional<std::string> TimeWindow::DateOf(WallTime now) const {
  const auto stretch = StretchAt(rule_, absl::FromChrono(now), zone_.data().zone);
  if (!stretch) return std::nullopt;
  return absl::FormatCivilTime(stretch->day);
}

std::optional<WallTime> TimeWindow::NextChange(WallTime now) const {
  const absl::TimeZone zone = zone_.data().zone;
  const absl::Time time = absl::FromChrono(now);
  const absl::CivilDay today = absl::ToCivilDay(time, zone);
  std::optional<absl::Time> change;
  if (const auto open = StretchAt(rule_, time, zone)) change = open->end;
  for (absl::CivilDay day = today; day <= today + kHorizonDays + 1; ++day) {
    const std::optional<Stretch> stretch = StretchOf(rule_, day, zone);
    if (!stretch || stretch->end <= time) continue;
    if (!change) {
      change = stretch->begin;
      break;
    }
    if (stretch->begin > *change) break;
    change = std::max(*change, stretch->end);
  }
  if (!change || *change > time + absl::Hours(24 * kHorizonDays)) return std::nullopt;
  return absl::ToChronoTime(*change);
}

std::string TimeWindow::Describe(WallTime now) const { return Describe(now, Countdown::kShown); }
std::string TimeWindow::DescribeChange(WallTime now) const {
  return Describe(now, Countdown::kLeftOut);
}

std::string TimeWindow::Describe(WallTime now, Countdown countdown) const {
  const absl::TimeZone zone = zone_.data().zone;
  const bool is_open = IsOpen(now);
  const std::optional<WallTime> change = NextChange(now);
  if (!change) return is_open ? "always open" : "never opens: " + WhyNever(rule_);
  const absl::Time at = absl::FromChrono(*change);
  const std::string letters = Abbreviation(at, zone);
  std::string more;
  if (letters != "UTC") more = HourAndMinute(at, absl::UTCTimeZone()) + " UTC";
  if (countdown == Countdown::kShown) {
    more += (more.empty() ? "in " : ", in ") + FormatSpan(*change - now);
  }
  return (is_open ? "open until " : "opens ") + DayOfWeek(at, zone) + " " +
         HourAndMinute(at, zone) + " " + letters + (more.empty() ? "" : " (" + more + ")");
}

std::string FormatSpan(std::chrono::nanoseconds span) {
  const auto seconds =
      std::max<long long>(0, std::chrono::floor<std::chrono::seconds>(span).count());
  const long long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;
  char text[64];
  if (days > 0) {
    std::snprintf(text, sizeof text, "%lldd %lldh", days, hours % 24);
  } else if (hours > 0) {
    std::snprintf(text, sizeof text, "%lldh%02lld", hours, minutes % 60);
  } else if (minutes > 0) {
    std::snprintf(text, sizeof text, "%lldm", minutes);
  } else {
    std::snprintf(text, sizeof text, "%llds", seconds);
  }
  return text;
}

}  // namespace kiln
