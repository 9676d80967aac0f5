#include "daemon/recurrence.h"

#include <gmock/gmock.h>

#include "tests/daemon/fake_night.h"
#include "tests/daemon/local_clock.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::IsEmpty;

DaemonConfig Config(const std::string& zone, const std::string& from, const std::string& to,
                    const std::string& more = "") {
  return *ParseDaemonConfig("zone = \"" + zone + "\"\n[[window]]\nname = \"night\"\nfrom = \"" +
                                from + "\"\nto = \"" + to + "\"\n" + more,
                            "night.toml");
}

JobSeries Fresh(const std::string& deadline = "") {
  NewJob job = FakeJob("");
  job.uuid.clear();
  job.window = "night";
  return {.name = "fresh", .job = job, .deadline = deadline, .created_ms = 1};
}

std::vector<NewJob> Due(const DaemonConfig& config, WallTime now, const JobSeries& series = Fresh(),
                        const std::vector<Job>& unfinished = {}) {
  return DueOccurrences({&series, 1}, unfinished, config, now);
}

// The nights for which there is a job between two times, in their order, as a daemon sees them that
// looks every minute.
std::vector<std::string> Nights(const DaemonConfig& config, WallTime from, WallTime to) {
  std::vector<std::string> nights;
  for (WallTime now = from; now < to; now += minutes(1)) {
    for (const NewJob& job : Due(config, now)) {
      if (nights.empty() || nights.back() != job.occurrence) nights.push_back(job.occurrence);
    }
  }
  return nights;
}

TEST(RecurrenceTest, JobIsNamedByTheDateOfItsWindowsStart) {
  const DaemonConfig config = Config("UTC", "22:00", "06:00");
  EXPECT_THAT(Due(config, Noon()), IsEmpty());
  for (const double hour : {10.0, 13.0, 17.9}) {
    const auto due = Due(config, Noon(hour));
    ASSERT_EQ(due.size(), 1u) << hour;
    EXPECT_EQ(due[0].series, "fresh");
    EXPECT_EQ(due[0].occurrence, "2026-11-27") << "also after midnight";
    EXPECT_EQ(due[0].uuid, "fresh@2026-11-27");
    EXPECT_FALSE(due[0].deadline_ms);
    EXPECT_EQ(due[0].spec, Fresh().job.spec);
  }
  EXPECT_THAT(Due(config, Noon(18)), IsEmpty());
}

TEST(RecurrenceTest, NightsThatChangeClocksHaveOneJobEach) {
  const DaemonConfig night = Config("Europe/Berlin", "22:00", "06:00");
  EXPECT_THAT(Nights(night, Utc("2026-10-23 12:00"), Utc("2026-10-26 12:00")),
              ElementsAre("2026-10-23", "2026-10-24", "2026-10-25"));
  EXPECT_THAT(Nights(night, Utc("2026-03-27 12:00"), Utc("2026-03-30 12:00")),
              ElementsAre("2026-03-27", "2026-03-28", "2026-03-29"));
}

TEST(RecurrenceTest, WindowInTheHourThatComesTwiceHasOneJob) {
  const DaemonConfig early = Config("Europe/Berlin", "02:15", "02:45");
  EXPECT_THAT(Nights(early, Utc("2026-10-24 12:00"), Utc("2026-10-26 12:00")),
              ElementsAre("2026-10-25", "2026-10-26"));
}

TEST(RecurrenceTest, WindowThatBeginsInTheHourThatIsSkippedIsNotSkipped) {
  const DaemonConfig early = Config("Europe/Berlin", "02:15", "04:00");
  EXPECT_THAT(Nights(early, Utc("2026-03-28 12:00"), Utc("2026-03-30 12:00")),
              ElementsAre("2026-03-29", "2026-03-30"));
}

TEST(RecurrenceTest, OnlyTheDaysOfTheWindowHaveJobs) {
  const DaemonConfig config = Config("UTC", "22:00", "06:00", "days = [\"fri\", \"mon\"]\n");
  EXPECT_THAT(Nights(config, Noon(), Noon(7 * 24)), ElementsAre("2026-11-27", "2026-11-30"));
}

TEST(RecurrenceTest, DeadlineIsThatOfTheNight) {
  const DaemonConfig config = Config("UTC", "22:00", "06:00");
  for (const double hour : {10.0, 17.0}) {  // also when it is submitted late in it
    const auto due = Due(config, Noon(hour), Fresh("05:30"));
    ASSERT_EQ(due.size(), 1u);
    EXPECT_EQ(due[0].deadline_ms, ToUnixMs(Noon(17.5)));
  }
}

TEST(RecurrenceTest, DeadlineIsInTheZoneOfTheConfigurationAsEveryDeadline) {
  const DaemonConfig config =
      Config("UTC", "17:00", "23:00", "zone = \"America/New_York\"\n");  // 22:00-04:00 UTC
  const auto due = Due(config, Noon(11), Fresh("03:00"));
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].deadline_ms, ToUnixMs(Noon(15)));
}

TEST(RecurrenceTest, DeadlineInANightOfSevenHours) {
  const DaemonConfig config = Config("Europe/Berlin", "22:00", "06:00");
  const auto due = Due(config, Utc("2026-03-28 22:00"), Fresh("05:00"));
  ASSERT_EQ(due.size(), 1u);
  EXPECT_EQ(due[0].deadline_ms, ToUnixMs(Utc("2026-03-29 03:00")));
}

TEST(RecurrenceTest, SeriesWhoseWindowIsGoneHasNone) {
  const DaemonConfig config = Config("UTC", "22:00", "06:00");
  JobSeries series = Fresh();
  series.job.window = "dawn";
  EXPECT_THAT(Due(config, Noon(11), series), IsEmpty());
}

TEST(RecurrenceTest, JobThatHasNotEndedGoesOnInstead) {
  const DaemonConfig config = Config("UTC", "22:00", "06:00");
  Job job;
  job.id = 1;
  job.job = FakeJob("fresh@2026-11-26");
  job.job.series = "fresh";
  EXPECT_THAT(Due(config, Noon(11), Fresh(), {job}), IsEmpty());
  job.job.series = "other";
  EXPECT_EQ(Due(config, Noon(11), Fresh(), {job}).size(), 1u);
}

}  // namespace
}  // namespace kiln
