#include "base/duration.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

using std::chrono::seconds;

TEST(DurationTest, PartsAreAddedUp) {
  EXPECT_EQ(*ParseDuration("90s"), seconds(90));
  EXPECT_EQ(*ParseDuration("30m"), seconds(1800));
  EXPECT_EQ(*ParseDuration("2h"), seconds(7200));
  EXPECT_EQ(*ParseDuration("1h30m"), seconds(5400));
  EXPECT_EQ(*ParseDuration("1h30m5s"), seconds(5405));
  EXPECT_EQ(*ParseDuration("2d"), seconds(172'800));
  EXPECT_EQ(*ParseDuration("1d12h"), seconds(129'600));
  EXPECT_EQ(*ParseDuration("950000000s"), seconds(950'000'000));
}

TEST(DurationTest, WhatIsNoDurationSaysHowToWriteOne) {
  for (const char* text : {"", "soon", "90", "h", "0s", "-5s", "1h30", "1.5h", "950000001s",
                           "99999999999999999999s", "900000000s900000000s", " 5s", "5S"}) {
    EXPECT_EQ(ParseDuration(text).status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(CheckDuration(text),
              "`" + std::string(text) + "` is not a time: write 90s, 30m, 2h or 1h30m");
  }
  EXPECT_EQ(CheckDuration("5s"), "");
}

TEST(DurationTest, AMomentIsADateOrAnAge) {
  const WallTime now = FromUnixMs(1'796'000'000'000);
  EXPECT_EQ(*ParseSince("8h", now), now - seconds(28'800));
  EXPECT_EQ(*ParseSince("2d", now), now - seconds(172'800));
  const WallTime date = FromUnixMs(1'795'816'800'000);
  EXPECT_EQ(FormatTime(ToUnixMs(date)), "2026-11-27T22:00:00Z");
  for (const char* text :
       {"2026-11-27T22:00:00Z", "2026-11-27T23:00:00+01:00", "2026-11-27T16:30:00.000-05:30"}) {
    const StatusOr<WallTime> moment = ParseSince(text, now);
    ASSERT_TRUE(moment.ok()) << moment.status();
    EXPECT_EQ(*moment, date) << text;
  }
}

TEST(DurationTest, TimesOfThisMachineAreTheLastOnesThatItsClocksShowed) {
  ASSERT_EQ(setenv("TZ", "Europe/Berlin", 1), 0);
  const auto since = [](const std::string& text, const std::string& now) {
    const StatusOr<WallTime> moment = ParseSince(text, *ParseSince(now, SystemClock().Today()));
    return moment.ok() ? FormatTime(ToUnixMs(*moment)) : Message(moment.status());
  };
  const std::string noon = "2026-11-27T11:00:00Z";  // in Berlin
  EXPECT_EQ(since("12:00", noon), noon);
  EXPECT_EQ(since("12:01", noon), "2026-11-26T11:01:00Z");
  EXPECT_EQ(since("00:00", noon), "2026-11-26T23:00:00Z");
  EXPECT_EQ(since("24:00", noon), "2026-11-26T23:00:00Z");
  EXPECT_EQ(since("2026-11-26", noon), "2026-11-25T23:00:00Z");
  EXPECT_EQ(since("2026-11-26 22:00", noon), "2026-11-26T21:00:00Z");
  EXPECT_EQ(since("2026-11-26T22:00", noon), "2026-11-26T21:00:00Z");
  EXPECT_EQ(since("2026-07-26 22:00", noon), "2026-07-26T20:00:00Z") << "in summer";
  // The clocks never showed 02:30 on 29 March 2026: when they jumped over it.
  EXPECT_EQ(since("02:30", "2026-03-29T10:00:00Z"), "2026-03-29T01:00:00Z");
  EXPECT_EQ(since("2026-11-27 12:01", noon), "`2026-11-27 12:01` is yet to come");
  EXPECT_EQ(since("9999-12-31", noon), "`9999-12-31` is yet to come");
  unsetenv("TZ");
}

TEST(DurationTest, WhatIsNoMomentSaysHowToWriteOne) {
  for (const char* text : {"",
                           "yesterday",
                           "8",
                           "-8h",
                           "0s",
                           "2026-13-27T22:00:00Z",
                           "24:01",
                           "8:00",
                           "2026-02-30T22:00:00Z",
                           "2026-02-30",
                           "2026-11-27 22:00 ",
                           "2026-11-27 25:00",
                           "1969-12-31",
                           "2026-11-27T22:00:00",
                           " 2026-11-27T22:00:00Z",
                           "2026-11-27T22:00:00Z ",
                           "2026-11-27T22:00:00Z\n",
                           "infinite-past",
                           "infinite-future",
                           "99999999999999999999h"}) {
    EXPECT_EQ(CheckSince(text),
              "`" + std::string(text) +
                  "` is not a time: write 8h, 22:00, 2026-11-26, \"2026-11-26 22:00\" or "
                  "2026-11-27T22:00:00Z");
  }
  EXPECT_EQ(CheckSince("2d"), "");
}

TEST(DurationTest, TimesOfDayAreMinutes) {
  EXPECT_EQ(*ParseMinuteOfDay("00:00"), 0);
  EXPECT_EQ(*ParseMinuteOfDay("06:30"), 390);
  EXPECT_EQ(*ParseMinuteOfDay("23:59"), 1439);
  EXPECT_EQ(*ParseMinuteOfDay("24:00"), 1440);
  for (const char* text : {"", "6:00", "06:60", "24:01", "25:00", "06.00", "06:0", "06:000",
                           "+6:00", "06:-1", "0a:00", "99:99"}) {
    const auto minute = ParseMinuteOfDay(text);
    EXPECT_EQ(minute.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(Message(minute.status()),
              "`" + std::string(text) + "` is not a time of day: write 06:00");
  }
}

}  // namespace
}  // namespace kiln
