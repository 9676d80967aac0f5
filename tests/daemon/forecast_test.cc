#include "daemon/forecast.h"

#include <gmock/gmock.h>

#include "base/rng.h"
#include "tests/daemon/local_clock.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

TimeWindow MakeWindow(const std::string& zone, int from, int to, unsigned days = 0x7f) {
  return TimeWindow({.name = "w", .from_minute = from, .to_minute = to, .days = days},
                    *TimeZone::Named(zone));
}

TEST(ForecastTest, WithoutAWindowWorkGoesOnAtOnce) {
  const WallTime now = Utc("2026-11-27 12:00");
  EXPECT_EQ(WhenDone(minutes(90), nullptr, now), now + minutes(90));
  EXPECT_EQ(WhenDone(hours(24 * 400), nullptr, now), now + hours(24 * 400));
  EXPECT_FALSE(WhenDone(hours(24 * 400) + seconds(1), nullptr, now));
  EXPECT_FALSE(WhenDone(Nanoseconds::max(), nullptr, now));
}

TEST(ForecastTest, NothingLeftIsDoneNow) {
  const WallTime now = Utc("2026-11-27 12:00");
  const TimeWindow night = MakeWindow("UTC", 22 * 60, 6 * 60), never = MakeWindow("UTC", 60, 60);
  EXPECT_EQ(WhenDone(seconds(0), &night, now), now);
  EXPECT_EQ(WhenDone(seconds(-5), nullptr, now), now);
  EXPECT_EQ(WhenDone(seconds(0), &never, now), now);
}

TEST(ForecastTest, WorkIsSpreadOverNights) {
  const TimeWindow night = MakeWindow("UTC", 22 * 60, 6 * 60);
  const WallTime noon = Utc("2026-11-27 12:00");
  EXPECT_EQ(WhenDone(seconds(1), &night, noon), Utc("2026-11-27 22:00") + seconds(1));
  EXPECT_EQ(WhenDone(hours(3), &night, noon), Utc("2026-11-28 01:00"));
  EXPECT_EQ(WhenDone(hours(8), &night, noon), Utc("2026-11-28 06:00"));
  EXPECT_EQ(WhenDone(hours(8) + minutes(1), &night, noon), Utc("2026-11-28 22:01"));
  EXPECT_EQ(WhenDone(hours(20), &night, noon), Utc("2026-11-30 02:00"));
  // In the middle of one.
  EXPECT_EQ(WhenDone(hours(3), &night, Utc("2026-11-28 04:00")), Utc("2026-11-28 23:00"));
}

TEST(ForecastTest, NightsThatChangeClocksCountAsTheyAre) {
  const TimeWindow night = MakeWindow("Europe/Berlin", 22 * 60, 6 * 60);
  // Seven hours, and the eighth in the next night.
  EXPECT_EQ(WhenDone(hours(8), &night, Utc("2026-03-28 12:00")), Utc("2026-03-29 21:00"));
  EXPECT_EQ(WhenDone(hours(9), &night, Utc("2026-10-24 12:00")), Utc("2026-10-25 05:00"));
  EXPECT_EQ(WhenDone(hours(10), &night, Utc("2026-10-24 12:00")), Utc("2026-10-25 22:00"));
}

TEST(ForecastTest, WindowThatIsAlwaysOpenIsNoLimit) {
  const TimeWindow always = MakeWindow("Europe/Berlin", 0, 1440);
  const WallTime now = Utc("2026-11-27 12:00");
  EXPECT_EQ(WhenDone(hours(1000), &always, now), now + hours(1000));
  EXPECT_EQ(WhenDone(hours(24 * 400), &always, now), now + hours(24 * 400));
}

TEST(ForecastTest, TooLongIsNoTime) {
  const WallTime now = Utc("2026-11-27 12:00");
  const TimeWindow never = MakeWindow("UTC", 60, 60), none = MakeWindow("UTC", 60, 120, 0);
  EXPECT_FALSE(WhenDone(seconds(1), &never, now));
  EXPECT_FALSE(WhenDone(seconds(1), &none, now));
  // One hour a week is 57 of them in 400 days.
  const TimeWindow weekly = MakeWindow("UTC", 60, 120, 1);
  EXPECT_EQ(WhenDone(hours(57), &weekly, now), Utc("2026-11-30 02:00") + hours(24 * 7 * 56));
  EXPECT_FALSE(WhenDone(hours(58), &weekly, now));
}

TEST(ForecastTest, RandomForecastsAgreeWithACountOfOpenMinutes) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    const char* zones[] = {"Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"};
    const TimeWindow window =
        MakeWindow(zones[rng.Below(3)], static_cast<int>(rng.Between(0, 1440)),
                   static_cast<int>(rng.Between(0, 1440)), static_cast<unsigned>(rng.Below(128)));
    const WallTime now = Utc("2017-01-01 00:00") + minutes(rng.Between(0, 525'600));
    const std::int64_t left = rng.Between(1, 3000);
    std::optional<WallTime> expected;
    std::int64_t open = 0;
    for (WallTime time = now; !expected && time < now + hours(24 * 30); time += minutes(1)) {
      if (window.IsOpen(time) && ++open == left) expected = time + minutes(1);
    }
    const auto done = WhenDone(minutes(left), &window, now);
    if (expected) {
      EXPECT_EQ(done, expected);
    } else {
      EXPECT_TRUE(!done || *done > now + hours(24 * 30));
    }
  }
}

}  // namespace
}  // namespace kiln
