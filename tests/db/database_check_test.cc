// What `kiln db check` finds in the tables of jobs; of trials, tests/db/database_tools_test.cc has it.

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>

#include "db/database_tools.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/job_queue.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(DatabaseCheckTest, NamesEveryBrokenRuleOfJobs) {
  const TempDir dir;
  const std::string path = dir.File("a");
  // Job 1 is held in its second run, job 2 has ended, job 3 waits.
  const auto fill = [&] {
    const JobStanding closed{JobState::kPaused, JobReason::kWindow, "it opens at 22:00"};
    const JobStanding done{JobState::kDone, JobReason::kComplete, "600 trials"};
    const auto jobs = *OpenSqliteJobStore(path, OpenMode::kReadWrite);
    for (const char* uuid : {"a", "b", "c"}) ASSERT_TRUE(jobs->Submit(JobOfUuid(uuid), 5).ok());
    for (const std::int64_t id : {1, 2}) {
      const auto claim = jobs->Claim(id, "owl/1", 5, kTtl);
      ASSERT_TRUE(jobs->Move(*claim, id == 1 ? closed : done, {7, 70, "{}"}, 6).ok());
    }
    ASSERT_TRUE(jobs->Beat(*jobs->Claim(1, "owl/1", 7, kTtl), {2, 20, ""}, 8, kTtl).ok());
  };
  const auto faults_after = [&](const std::string& damage) {
    std::filesystem::remove(path);
    fill();
    SQLite::Database(path, SQLite::OPEN_READWRITE)
        .exec("PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; " + damage);
    const auto faults = CheckDatabase(path);
    EXPECT_TRUE(faults.ok()) << faults.status();
    return faults.ok() ? *faults : std::vector<std::string>();
  };
  EXPECT_THAT(faults_after(""), IsEmpty());
  EXPECT_THAT(faults_after("UPDATE job_runs SET job_id = 9 WHERE job_id = 2"),
              testing::IsSupersetOf({HasSubstr("of job_runs refers to a row of jobs"),
                                     HasSubstr("job 2 does not have a run for each")}));
  EXPECT_THAT(faults_after("INSERT INTO job_transitions SELECT 99, 9, 1, 1, state, reason, '', ''"
                           " FROM job_transitions WHERE id = 1"),
              ElementsAre("row 99 of job_transitions refers to a row of jobs that is not there"));
  EXPECT_THAT(faults_after("DELETE FROM job_transitions WHERE job_id = 3"),
              ElementsAre("job 3 does not stand as its last transition says"));
  EXPECT_THAT(faults_after("UPDATE jobs SET reason = 'turn' WHERE id = 2"),
              ElementsAre("job 2 does not stand as its last transition says"));
  EXPECT_THAT(faults_after("UPDATE jobs SET state = 'lost' WHERE id = 3"),
              ElementsAre("job 3 does not stand as its last transition says",
                          "job 3: `lost` is no state of a job"));
  EXPECT_THAT(faults_after("UPDATE job_transitions SET state = 'lost' WHERE id = 1"),
              ElementsAre("transition 1 of job 1: `lost` is no state of a job"));
  EXPECT_THAT(faults_after("UPDATE job_transitions SET reason = 'whim' WHERE id = 1"),
              ElementsAre("transition 1 of job 1: `whim` is no reason of a job"));
  EXPECT_THAT(faults_after("UPDATE jobs SET after = '[1' WHERE id = 3"),
              ElementsAre("job 3 has JSON that cannot be read"));
  EXPECT_THAT(faults_after("UPDATE job_runs SET ended_ms = 9"),
              ElementsAre(HasSubstr("job 1 has a run that is open without a holder, or")));
  EXPECT_THAT(faults_after("UPDATE job_runs SET ended_ms = NULL"), testing::SizeIs(2))
      << "two of job 1, one of job 2 that nobody holds";
  EXPECT_THAT(faults_after("UPDATE job_runs SET trials = 8 WHERE job_id = 2"),
              ElementsAre("job 2 has not the trials and hours of its runs"));
  EXPECT_THAT(faults_after("UPDATE jobs SET ran_ms = 91 WHERE id = 1"),
              ElementsAre("job 1 has not the trials and hours of its runs"));
}

}  // namespace
}  // namespace kiln
