#include "daemon/window.h"

#include <gmock/gmock.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "tests/daemon/local_clock.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr unsigned kFriday = 1u << 4, kSaturday = 1u << 5, kSunday = 1u << 6;
constexpr WallTime::duration kTick{1};

TimeZone Zone(const std::string& name) {
  auto zone = TimeZone::Named(name);
  EXPECT_TRUE(zone.ok()) << zone.status();
  return *std::move(zone);
}

TimeWindow MakeWindow(const std::string& zone, int from, int to, unsigned days = 0x7f) {
  return TimeWindow({.name = "w", .from_minute = from, .to_minute = to, .days = days}, Zone(zone));
}

TimeWindow Night(const std::string& zone) { return MakeWindow(zone, 22 * 60, 6 * 60); }

// How long the opening of `window` is that `inside` lies in.
minutes Length(const TimeWindow& window, WallTime inside) {
  EXPECT_TRUE(window.IsOpen(inside));
  return std::chrono::duration_cast<minutes>(*window.NextChange(inside) - *window.StartOf(inside));
}

// Another way to the same: a walk through every minute with the C library's clock. What counts is
// the furthest that the clock has shown so far: a bound is reached when that passes it, whatever
// is skipped, and stays reached when the clock is set back.
class Walk {
 public:
  // From a while before `first`, so that what was shown before does not matter.
  Walk(const WindowRule& rule, std::int64_t first, std::int64_t last) : first_(first) {
    constexpr std::int64_t kBefore = 3 * 1440;
    std::int64_t furthest = LocalMinute(first - kBefore);
    for (std::int64_t minute = first - kBefore; minute <= last; ++minute) {
      furthest = std::max(furthest, LocalMinute(minute));
      if (minute < first) continue;
      days_.push_back(OpenDay(rule, furthest));
    }
  }

  std::int64_t first() const { return first_; }
  std::int64_t last() const { return first_ + static_cast<std::int64_t>(days_.size()) - 1; }
  bool IsOpen(std::int64_t minute) const { return Day(minute).has_value(); }
  // Days since 1970-01-01 of the day that the opening belongs to.
  std::optional<std::int64_t> Day(std::int64_t minute) const { return days_.at(minute - first_); }
  // The first minute after this one that is otherwise.
  std::optional<std::int64_t> NextChange(std::int64_t minute) const {
    const bool is_open = IsOpen(minute);
    while (++minute <= last()) {
      if (IsOpen(minute) != is_open) return minute;
    }
    return std::nullopt;
  }

 private:
  static std::optional<std::int64_t> OpenDay(const WindowRule& rule, std::int64_t shown) {
    const std::int64_t today = shown / 1440;
    for (const std::int64_t day : {today - 1, today}) {
      const std::int64_t weekday = (day + 3) % 7;  // 1970-01-01 was a Thursday
      if ((rule.days >> weekday & 1) == 0 || rule.from_minute == rule.to_minute) continue;
      const std::int64_t begin = day * 1440 + rule.from_minute;
      const std::int64_t end =
          day * 1440 + rule.to_minute + (rule.to_minute < rule.from_minute ? 1440 : 0);
      if (begin <= shown && shown < end) return day;
    }
    return std::nullopt;
  }

  std::int64_t first_;
  std::vector<std::optional<std::int64_t>> days_;
};

// A zone, and days at which its clock is set.
struct Place {
  const char* zone;
  std::vector<const char*> changes;
};
const std::vector<Place>& Places() {
  static const std::vector<Place> places = {
      {"Europe/Berlin", {"2026-03-29 01:00", "2026-10-25 01:00", "1996-10-27 01:00"}},
      {"America/New_York", {"2026-03-08 07:00", "2026-11-01 06:00"}},
      {"Australia/Lord_Howe", {"2026-04-04 15:00", "2026-10-03 15:30"}},
      {"America/Sao_Paulo", {"2018-11-04 03:00", "2018-02-18 02:00", "2008-10-19 03:00"}},
      {"Asia/Kathmandu", {"1985-12-31 18:30"}},
      {"UTC", {"2016-12-31 23:59"}},
      {"America/St_Johns", {"2006-10-29 02:31", "2006-04-02 03:31"}},  // at a minute past midnight
      {"Pacific/Apia", {"2011-12-30 10:00", "2012-03-31 14:00"}},
  };
  return places;
}

struct Case {
  std::string zone;
  WindowRule rule;
  std::int64_t minute = 0;  // UTC, at which to begin
};

// Half of them near a change of the clock, and of those many with bounds near it.
Case RandomCase(Rng& rng) {
  const Place& place = Places()[rng.Below(Places().size())];
  Case made{
      place.zone, {.name = "w"}, rng.Between(1985 * 525'960, 2037 * 525'960) - 1970 * 525'960};
  const auto minute_of_day = [&](int low, int high) {
    const int step = rng.Below(2) == 0 ? 1 : 30;
    return static_cast<int>(rng.Between(low / step, high / step)) * step;
  };
  made.rule.from_minute = minute_of_day(0, 1440);
  made.rule.to_minute = minute_of_day(0, 1440);
  if (rng.Below(2) == 0) {
    const WallTime change = Utc(place.changes[rng.Below(place.changes.size())]);
    made.minute = std::chrono::duration_cast<minutes>(change.time_since_epoch()).count() -
                  rng.Between(0, 2 * 1440);
    if (rng.Below(2) == 0) made.rule.from_minute = minute_of_day(0, 240);
    if (rng.Below(2) == 0) made.rule.to_minute = minute_of_day(0, 240);
  }
  if (rng.Below(2) == 0) made.rule.days = static_cast<unsigned>(rng.Below(128));
  return made;
}

void CheckChange(const TimeWindow& window, const Walk& walk, std::int64_t minute,
                 nanoseconds into) {
  const WallTime now = AtUtcMinute(minute) + into;
  const auto change = window.NextChange(now);
  const auto expected = walk.NextChange(minute);
  if (!expected) {
    EXPECT_TRUE(!change || *change > AtUtcMinute(walk.last())) << window.zone().Local(now);
    return;
  }
  ASSERT_TRUE(change) << window.zone().Local(now);
  EXPECT_EQ(window.zone().Local(*change), window.zone().Local(AtUtcMinute(*expected)));
  EXPECT_EQ(*change, AtUtcMinute(*expected)) << window.zone().Local(now);
  EXPECT_EQ(window.IsOpen(*change - kTick), window.IsOpen(now));
  EXPECT_NE(window.IsOpen(*change), window.IsOpen(now));
}

// StartOf() and DateOf() through a walk: each day that is open for a while has one start.
void CheckStarts(const TimeWindow& window, const Walk& walk) {
  std::map<std::int64_t, WallTime> starts;
  for (std::int64_t minute = walk.first(); minute <= walk.last(); ++minute) {
    const WallTime now = AtUtcMinute(minute);
    const auto day = walk.Day(minute);
    const auto start = window.StartOf(now);
    ASSERT_EQ(start.has_value(), day.has_value()) << window.zone().Local(now);
    EXPECT_EQ(window.IsOpen(now), day.has_value());
    if (!day) {
      EXPECT_FALSE(window.DateOf(now));
      continue;
    }
    EXPECT_EQ(window.DateOf(now), DateText(*day)) << window.zone().Local(now);
    const bool is_first = starts.emplace(*day, *start).second;
    EXPECT_EQ(starts[*day], *start) << window.zone().Local(now);
    if (is_first && minute > walk.first()) {
      EXPECT_EQ(*start, now) << window.zone().Local(now);
    }
  }
  std::set<WallTime> distinct;
  for (const auto& [day, start] : starts) distinct.insert(start);
  EXPECT_EQ(distinct.size(), starts.size());
}

TEST(WindowTest, RandomRulesAgreeWithAWalkThroughEveryMinute) {
  for (std::uint64_t seed = 1; seed <= 250; ++seed) {
    Rng rng(seed);
    const Case made = RandomCase(rng);
    const LocalZoneIs local(made.zone.c_str());
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + made.zone + ", " +
                 std::to_string(made.rule.from_minute) + " to " +
                 std::to_string(made.rule.to_minute) + ", days " + std::to_string(made.rule.days));
    const Walk walk(made.rule, made.minute, made.minute + 4 * 1440);
    const TimeWindow window(made.rule, Zone(made.zone));
    CheckStarts(window, walk);
    for (int at = 0; at < 20; ++at) {
      const nanoseconds into{rng.Below(2) * rng.Below(60'000'000'000)};
      CheckChange(window, walk, rng.Between(walk.first(), walk.last()), into);
    }
    if (HasFailure()) return;
  }
}

TEST(WindowTest, EveryDayOfAYearHasOneOpening) {
  for (const Place& place : Places()) {
    const LocalZoneIs local(place.zone);
    for (const WallTime begin : {Utc("2026-01-01 00:00"), Utc("2011-03-01 00:00")}) {
      const TimeWindow window = Night(place.zone);
      std::set<WallTime> starts;
      std::set<std::string> dates;
      for (WallTime now = begin; now < begin + hours(24 * 365); now += minutes(30)) {
        if (const auto start = window.StartOf(now)) {
          starts.insert(*start);
          dates.insert(*window.DateOf(now));
        }
      }
      EXPECT_EQ(starts.size(), dates.size()) << place.zone;
      // The last one of the year before may still be open, and the last one of the year not yet.
      EXPECT_THAT(dates.size(), testing::AllOf(testing::Ge(365u), testing::Le(366u))) << place.zone;
    }
  }
}

TEST(WindowTest, NightsThatChangeClocksAreShorterOrLonger) {
  const TimeWindow berlin = Night("Europe/Berlin");
  EXPECT_EQ(Length(berlin, Utc("2026-03-27 23:00")), hours(8));
  EXPECT_EQ(Length(berlin, Utc("2026-03-28 23:00")), hours(7));
  EXPECT_EQ(Length(berlin, Utc("2026-10-24 23:00")), hours(9));
  EXPECT_EQ(Length(berlin, Utc("2026-10-25 23:00")), hours(8));
  const TimeWindow new_york = Night("America/New_York");
  EXPECT_EQ(Length(new_york, Utc("2026-03-08 06:00")), hours(7));
  EXPECT_EQ(Length(new_york, Utc("2026-11-01 05:00")), hours(9));
  const TimeWindow lord_howe = Night("Australia/Lord_Howe");
  EXPECT_EQ(Length(lord_howe, Utc("2026-04-04 14:00")), minutes(8 * 60 + 30));
  EXPECT_EQ(Length(lord_howe, Utc("2026-10-03 14:00")), minutes(7 * 60 + 30));
}

TEST(WindowTest, BoundInASkippedHourIsTheTransition) {
  const WallTime transition = Utc("2026-03-29 01:00");  // 02:00 becomes 03:00
  const TimeWindow from = MakeWindow("Europe/Berlin", 150, 240);
  EXPECT_EQ(from.NextChange(transition - minutes(90)), transition);
  EXPECT_EQ(Length(from, transition), hours(1));
  const TimeWindow to = MakeWindow("Europe/Berlin", 60, 150);
  EXPECT_EQ(to.NextChange(transition - minutes(30)), transition);
  EXPECT_FALSE(to.IsOpen(transition));
  // Nothing is left of it.
  const TimeWindow gone = MakeWindow("Europe/Berlin", 130, 170, kSunday);
  EXPECT_EQ(gone.NextChange(transition - hours(5)), Utc("2026-04-05 00:10"));
}

TEST(WindowTest, BoundInARepeatedHourIsItsFirstTime) {
  const WallTime first = Utc("2026-10-25 00:30"), second = Utc("2026-10-25 01:30");  // both 02:30
  const TimeWindow from = MakeWindow("Europe/Berlin", 150, 240);
  EXPECT_EQ(from.NextChange(first - hours(1)), first);
  EXPECT_EQ(Length(from, first), minutes(150));
  const TimeWindow to = MakeWindow("Europe/Berlin", 60, 150);
  EXPECT_EQ(to.NextChange(first - hours(1)), first);
  EXPECT_FALSE(to.IsOpen(second - minutes(10)));  // the clock shows 02:20 again
}

TEST(WindowTest, MidnightMayBeSkippedOrReachedLate) {
  const TimeWindow morning = MakeWindow("America/Sao_Paulo", 0, 360);
  EXPECT_EQ(morning.StartOf(Utc("2018-11-04 05:00")), Utc("2018-11-04 03:00"));
  EXPECT_EQ(morning.DateOf(Utc("2018-11-04 05:00")), "2018-11-04");
  EXPECT_EQ(Length(morning, Utc("2018-11-04 05:00")), hours(5));
  const TimeWindow evening = MakeWindow("America/Sao_Paulo", 22 * 60, 1440);  // 23:00 comes twice
  EXPECT_EQ(Length(evening, Utc("2018-02-18 01:00")), hours(3));
}

TEST(WindowTest, OpeningOfMidnightGoesOnWhereTheDayBeforeComesAgain) {
  const TimeWindow morning = MakeWindow("America/St_Johns", 0, 360);  // 00:01 becomes 23:01
  const WallTime midnight = Utc("2006-10-29 02:30");
  EXPECT_FALSE(morning.IsOpen(midnight - kTick));
  EXPECT_EQ(morning.StartOf(midnight + minutes(30)), midnight);
  EXPECT_EQ(morning.DateOf(midnight + minutes(30)), "2006-10-29");
  EXPECT_EQ(Length(morning, midnight), hours(7));
}

TEST(WindowTest, DayThatASkippedOneLeavesOutIsNotLostFromItsNight) {
  // Samoa had no Friday, 2011-12-30: Thursday's midnight was Saturday's.
  const WallTime midnight = Utc("2011-12-30 10:00");
  const TimeWindow nights = Night("Pacific/Apia");
  EXPECT_EQ(nights.DateOf(midnight - minutes(1)), "2011-12-29");
  EXPECT_EQ(nights.DateOf(midnight), "2011-12-30");
  EXPECT_EQ(nights.StartOf(midnight + hours(5)), midnight);
  EXPECT_EQ(nights.NextChange(midnight - hours(1)), midnight + hours(6));
  EXPECT_EQ(nights.DateOf(midnight + hours(23)), "2011-12-31");
  EXPECT_FALSE(MakeWindow("Pacific/Apia", 480, 1020, kFriday).IsOpen(midnight));
  EXPECT_FALSE(MakeWindow("Pacific/Apia", 0, 1440).NextChange(midnight - hours(20)));
}

TEST(WindowTest, DaysAreThoseThatItBeginsOn) {
  const TimeWindow window = MakeWindow("UTC", 22 * 60, 6 * 60, kFriday | kSaturday);
  EXPECT_FALSE(window.IsOpen(Utc("2026-11-27 05:59")));  // Friday: Thursday's night
  EXPECT_FALSE(window.IsOpen(Utc("2026-11-27 21:59")));
  EXPECT_TRUE(window.IsOpen(Utc("2026-11-27 22:00")));
  EXPECT_TRUE(window.IsOpen(Utc("2026-11-28 05:59")));
  EXPECT_FALSE(window.IsOpen(Utc("2026-11-28 06:00")));
  EXPECT_TRUE(window.IsOpen(Utc("2026-11-29 05:59")));  // Sunday
  EXPECT_EQ(window.DateOf(Utc("2026-11-29 05:59")), "2026-11-28");
  EXPECT_EQ(window.NextChange(Utc("2026-11-29 06:00")), Utc("2026-12-04 22:00"));
}

TEST(WindowTest, WholeDaysTouch) {
  const TimeWindow always = MakeWindow("Europe/Berlin", 0, 1440);
  const WallTime now = Utc("2026-11-27 12:00");
  EXPECT_FALSE(always.NextChange(now));
  EXPECT_EQ(always.StartOf(now), Utc("2026-11-26 23:00"));
  EXPECT_EQ(always.DateOf(Utc("2026-11-27 23:00")), "2026-11-28");
  EXPECT_EQ(always.Describe(now), "always open");
  const TimeWindow weekend = MakeWindow("Europe/Berlin", 0, 1440, kSaturday | kSunday);
  EXPECT_EQ(weekend.NextChange(now), Utc("2026-11-27 23:00"));
  EXPECT_EQ(weekend.NextChange(Utc("2026-11-28 12:00")), Utc("2026-11-29 23:00"));
  const TimeWindow half = MakeWindow("Europe/Berlin", 720, 719);
  EXPECT_EQ(half.NextChange(Utc("2026-11-27 11:30")), Utc("2026-11-28 10:59"));
}

TEST(WindowTest, EmptyWindowNeverOpensAndSaysSo) {
  const WallTime now = Utc("2026-11-27 12:00");
  const TimeWindow empty = MakeWindow("UTC", 22 * 60, 22 * 60);
  EXPECT_FALSE(empty.IsOpen(now + hours(10)));
  EXPECT_FALSE(empty.NextChange(now));
  EXPECT_EQ(empty.Describe(now), "never opens: 22:00-22:00 is empty");
  EXPECT_EQ(MakeWindow("UTC", 1440, 0).Describe(now), "never opens: 24:00-00:00 is empty");
  EXPECT_EQ(MakeWindow("UTC", 60, 120, 0).Describe(now), "never opens: it has no days");
}

TEST(WindowTest, DescriptionHasLocalTimeUtcAndTheDistance) {
  const TimeWindow berlin = Night("Europe/Berlin");
  EXPECT_EQ(berlin.Describe(Utc("2026-11-28 01:48")),
            "open until Sat 06:00 CET (05:00 UTC, in 3h12)");
  EXPECT_EQ(berlin.Describe(Utc("2026-11-27 20:20")), "opens Fri 22:00 CET (21:00 UTC, in 40m)");
  EXPECT_EQ(berlin.Describe(Utc("2026-03-28 23:00")),
            "open until Sun 06:00 CEST (04:00 UTC, in 5h00)");
  EXPECT_EQ(Night("Asia/Kathmandu").Describe(Utc("2026-11-27 12:00")),
            "opens Fri 22:00 +0545 (16:15 UTC, in 4h15)");
  EXPECT_EQ(Night("UTC").Describe(Utc("2026-11-27 21:59") + seconds(35)),
            "opens Fri 22:00 UTC (in 25s)");
  EXPECT_EQ(MakeWindow("Europe/London", 0, 60).Describe(Utc("2026-11-27 12:00")),
            "opens Sat 00:00 GMT (00:00 UTC, in 12h00)");
  EXPECT_EQ(MakeWindow("UTC", 0, 60, kSunday).Describe(Utc("2026-11-23 20:00")),
            "opens Sun 00:00 UTC (in 5d 4h)");
}

TEST(WindowTest, SpansHaveTwoUnitsAtMost) {
  EXPECT_EQ(FormatSpan(nanoseconds(0)), "0s");
  EXPECT_EQ(FormatSpan(nanoseconds(999'999'999)), "0s");
  EXPECT_EQ(FormatSpan(seconds(25)), "25s");
  EXPECT_EQ(FormatSpan(seconds(59)), "59s");
  EXPECT_EQ(FormatSpan(seconds(60)), "1m");
  EXPECT_EQ(FormatSpan(minutes(40)), "40m");
  EXPECT_EQ(FormatSpan(hours(1) - nanoseconds(1)), "59m");
  EXPECT_EQ(FormatSpan(hours(1)), "1h00");
  EXPECT_EQ(FormatSpan(minutes(3 * 60 + 12)), "3h12");
  EXPECT_EQ(FormatSpan(hours(24) - seconds(1)), "23h59");
  EXPECT_EQ(FormatSpan(hours(24)), "1d 0h");
  EXPECT_EQ(FormatSpan(hours(52)), "2d 4h");
  EXPECT_EQ(FormatSpan(nanoseconds::max()), "106751d 23h");
  EXPECT_EQ(FormatSpan(seconds(-90)), "0s");  // of what should be over by now
}

}  // namespace
}  // namespace kiln
