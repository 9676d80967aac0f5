#include <gmock/gmock.h>

#include <cstdio>

#include "daemon/window.h"
#include "tests/daemon/local_clock.h"

namespace kiln {
namespace {

using std::chrono::minutes;
using testing::HasSubstr;

TimeZone Zone(const std::string& name) {
  auto zone = TimeZone::Named(name);
  EXPECT_TRUE(zone.ok()) << zone.status();
  return *std::move(zone);
}

TEST(TimeZoneTest, TimeOfDayIsTheNextOne) {
  const TimeZone berlin = Zone("Europe/Berlin");
  const auto next = [&](const char* text, WallTime now) {
    return *NextTimeOfDay(berlin, text, now);
  };
  EXPECT_EQ(next("06:00", Utc("2026-11-27 04:59")), Utc("2026-11-27 05:00"));
  EXPECT_EQ(next("06:00", Utc("2026-11-27 05:00")), Utc("2026-11-28 05:00"));
  EXPECT_EQ(next("06:00", Utc("2026-11-27 05:00") - WallTime::duration(1)),
            Utc("2026-11-27 05:00"));
  // 02:30 is skipped, and then comes twice.
  EXPECT_EQ(next("02:30", Utc("2026-03-28 12:00")), Utc("2026-03-29 01:00"));
  EXPECT_EQ(next("02:30", Utc("2026-03-29 01:00")), Utc("2026-03-30 00:30"));
  EXPECT_EQ(next("02:30", Utc("2026-10-24 12:00")), Utc("2026-10-25 00:30"));
  EXPECT_EQ(next("02:30", Utc("2026-10-25 00:30")), Utc("2026-10-26 01:30"));
  EXPECT_EQ(next("00:00", Utc("2026-11-27 12:00")), Utc("2026-11-27 23:00"));
  EXPECT_EQ(*NextTimeOfDay(Zone("Pacific/Apia"), "12:00", Utc("2011-12-29 22:00")),
            Utc("2011-12-30 10:00"));
  for (const char* text : {"24:00", "6:00", "", "25:00", "noon!"}) {
    const auto time = NextTimeOfDay(berlin, text, Utc("2026-11-27 12:00"));
    EXPECT_EQ(time.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(Message(time.status()),
                HasSubstr("`" + std::string(text) + "` is not a time of day"));
  }
}

TEST(TimeZoneTest, TimesAreWrittenAsTheClockShowsThem) {
  const TimeZone berlin = Zone("Europe/Berlin");
  EXPECT_EQ(berlin.Local(Utc("2026-11-27 21:00")), "Fri 2026-11-27 22:00 CET");
  EXPECT_EQ(berlin.Local(Utc("2026-10-25 00:30")), "Sun 2026-10-25 02:30 CEST");
  EXPECT_EQ(berlin.Local(Utc("2026-10-25 01:30")), "Sun 2026-10-25 02:30 CET");
  EXPECT_EQ(berlin.LocalDate(Utc("2026-11-27 22:59")), "2026-11-27");
  EXPECT_EQ(berlin.LocalDate(Utc("2026-11-27 23:00")), "2026-11-28");
  EXPECT_EQ(berlin.name(), "Europe/Berlin");
}

TEST(TimeZoneTest, UnknownZoneIsNotTakenForUtc) {
  for (const char* name : {"Europe/Berln", "", "Europe", "localtime", "libc:localtime", "zone.tab",
                           "/usr/share/zoneinfo/Europe/Berlin", "../zoneinfo/Europe/Berlin"}) {
    const auto zone = TimeZone::Named(name);
    EXPECT_EQ(zone.status().code(), StatusCode::kNotFound) << name;
    EXPECT_THAT(Message(zone.status()), HasSubstr("no time zone `" + std::string(name) + "` here"));
  }
}

TEST(TimeZoneTest, LocalIsWhatTheEnvironmentSaysOrTheMachine) {
  const auto noon = [](const char* variable) {
    const LocalZoneIs local(variable);
    return Zone("local").Local(Utc("2026-11-27 12:00"));
  };
  EXPECT_EQ(noon("Europe/Berlin"), "Fri 2026-11-27 13:00 CET");
  EXPECT_EQ(noon(":Asia/Kathmandu"), "Fri 2026-11-27 17:45 +0545");
  EXPECT_EQ(noon("/usr/share/zoneinfo/Europe/Berlin"), "Fri 2026-11-27 13:00 CET");
  EXPECT_EQ(noon(""), "Fri 2026-11-27 12:00 UTC");
  EXPECT_EQ(Zone("local").name(), "local");
  const std::string here = noon(nullptr);
  const LocalZoneIs local(nullptr);
  const std::int64_t shown = LocalMinute(Utc("2026-11-27 12:00").time_since_epoch() / minutes(1));
  EXPECT_THAT(here, HasSubstr(DateText(shown / 1440)));
  char clock[16];
  std::snprintf(clock, sizeof clock, " %02d:%02d ", static_cast<int>(shown % 1440 / 60),
                static_cast<int>(shown % 60));
  EXPECT_THAT(here, HasSubstr(clock));
}

TEST(TimeZoneTest, LocalZoneThatCannotBeReadIsAnError) {
  for (const char* variable : {"Europe/Berln", "CET-1CEST,M3.5.0,M10.5.0/3", "/nowhere"}) {
    const LocalZoneIs local(variable);
    const auto zone = TimeZone::Named("local");
    EXPECT_EQ(zone.status().code(), StatusCode::kNotFound) << variable;
    EXPECT_THAT(Message(zone.status()), HasSubstr("TZ=" + std::string(variable)));
  }
}

}  // namespace
}  // namespace kiln
