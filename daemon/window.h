#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace kiln {

// This is a time zone of the IANA database. Copies are cheap.
class TimeZone {
 public:
  // "Europe/Berlin", "UTC", or "local": the machine's. kNotFound: there is no such zone here.
  static StatusOr<TimeZone> Named(const std::string& name);
  ~TimeZone();
  TimeZone(const TimeZone&);
  TimeZone& operator=(const TimeZone&);

  const std::string& name() const;  // as it was asked for

  std::string LocalDate(WallTime time) const;  // "2026-11-27"
  std::string Local(WallTime time) const;      // "Fri 2026-11-27 22:00 CET"

  struct Data;
  const Data& data() const { return *data_; }

 private:
  explicit TimeZone(std::shared_ptr<const Data> data);
  std::shared_ptr<const Data> data_;
};

// The first time after `now` at which the local clock shows HH:MM. Where that hour is skipped it is
// the transition, where it comes twice the first of both. kInvalidArgument: not a time of day.
StatusOr<WallTime> NextTimeOfDay(const TimeZone& zone, std::string_view hh_mm, WallTime now);

// When jobs may run: a predicate on what the local clock shows, never a trigger, so that nothing is
// skipped or happens twice when clocks change. From `from` (inclusive) to `to` (exclusive) on the
// days it begins on; `to` at or before `from` is on the next day. From 22:00 to 06:00 is seven or nine
// hours in the night that clocks change. A bound in a skipped hour is the transition, in a repeated
// one its first time.
struct WindowRule {
  std::string name;
  int from_minute = 0, to_minute = 0;  // of the day, 0..1440 (24:00); equal: it never opens
  unsigned days = 0x7f;                // bit 0: Monday; of the day it begins on
  bool operator==(const WindowRule&) const = default;
};

class TimeWindow {
 public:
  TimeWindow(WindowRule rule, TimeZone zone);

  const WindowRule& rule() const { return rule_; }
  const TimeZone& zone() const { return zone_; }

  bool IsOpen(WallTime now) const { return StartOf(now).has_value(); }
  // When the stretch of opening that `now` lies in began; nullopt: it is closed. Two stretches that
  // touch (Mon-Sun 00:00-24:00) are one only for NextChange().
  std::optional<WallTime> StartOf(WallTime now) const;
  // The first time after `now` at which IsOpen() is otherwise; nullopt: never (within 400 days).
  std::optional<WallTime> NextChange(WallTime now) const;
  // The local date of the opening that `now` lies in, which names its night.
  std::optional<std::string> DateOf(WallTime now) const;

  // "open until Sat 06:00 CET (05:00 UTC, in 3h12)"; "opens Fri 22:00 CET (21:00 UTC, in 40m)";
  // "never opens: 22:00-22:00 is empty".
  std::string Describe(WallTime now) const;
  // The same without how long it is until then, for texts that are kept: "opens Fri 22:00 CET (21:00
  // UTC)".
  std::string DescribeChange(WallTime now) const;

 private:
  enum class Countdown : bool { kLeftOut, kShown };
  std::string Describe(WallTime now, Countdown countdown) const;

  WindowRule rule_;
  TimeZone zone_;
};

// "3h12", "40m", "25s", "2d 4h": how long something takes or is away, for people.
std::string FormatSpan(std::chrono::nanoseconds span);

}  // namespace kiln
