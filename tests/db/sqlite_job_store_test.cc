// What only the jobs in a file promise: that they live beside the trials, come into a database of an
// older Kiln, and can be read by those that may not write.

#include <SQLiteCpp/SQLiteCpp.h>

#include "db/database_tools.h"
#include "db/schema.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/job_queue.h"
#include "tests/db/trials.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::unique_ptr<JobStore> OpenJobs(const std::string& path, OpenMode mode = OpenMode::kReadWrite) {
  auto store = OpenSqliteJobStore(path, mode);
  EXPECT_TRUE(store.ok()) << store.status();
  return store.ok() ? *std::move(store) : nullptr;
}

void AddTrial(const std::string& path, const std::string& uuid) {
  const Task task = FakeTask();
  const auto store = OpenSqliteStore(path, OpenMode::kReadWrite);
  const Status status =
      (*store)->Append(task, CacheState::kHot, std::vector{OkTrial(task, 0, 10, uuid)});
  EXPECT_TRUE(status.ok()) << status;
}

// A database as the last Kiln without jobs left it.
void MakeOldDatabase(const std::string& path) {
  constexpr int kWithoutJobs = 5;
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode = WAL");
  Migrate(database, SchemaMigrations().first(kWithoutJobs));
  database.exec(
      "INSERT INTO sessions VALUES (1, 1700000000000, 'kiln tune', '7', 'clang 19', 'box');"
      "INSERT INTO peaks VALUES (1, 'testbed', 2, 410.5, 'board-1', 16);"
      "INSERT INTO tasks VALUES (1, 'conv2d/i8/n1h8w8c16/o16/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/"
      "act=lohi/rq=gen/double', 'testbed', 2, 'cold', 'fake.portable');"
      "INSERT INTO trials (id, task_id, seq, config_id, labels, code_digest, kind, batch,"
      " session_id) VALUES (1, 1, 1, 'c1', '{\"tile\":\"1\"}', '00000000000000d1', 'measured', 0,"
      " 1);"
      "INSERT INTO measurements (uuid, trial_id, purpose, kind, measured_ms, status, samples,"
      " calls, min_ns, median_ns) VALUES ('a', 1, 'tune', 'measured', 17, 'ok', '[12.5]', 3,"
      " 12.5, 12.5)");
}

TEST(SqliteJobStoreTest, ADatabaseOfAKilnWithoutJobsGetsThemAndKeepsItsTrials) {
  const TempDir dir;
  const std::string path = dir.File("old.db");
  MakeOldDatabase(path);
  EXPECT_THAT(*OpenJobs(path, OpenMode::kReadOnly)->Jobs({}), IsEmpty()) << "in memory";
  EXPECT_EQ(UserVersion(*std::make_unique<SQLite::Database>(path)), 5) << "reading changes nothing";

  const auto jobs = OpenJobs(path);
  ASSERT_TRUE(jobs->Submit(JobOfUuid("a"), 5).ok());
  EXPECT_EQ(UserVersion(*std::make_unique<SQLite::Database>(path)), SchemaVersion());
  const auto trials = *OpenSqliteStore(path, OpenMode::kReadOnly);
  ASSERT_THAT(*trials->Records({}), SizeIs(1));
  EXPECT_EQ(trials->Records({})->front().trial.uuid, "a");
  EXPECT_EQ(*trials->PeakOf("testbed", 2), 410.5);
}

TEST(SqliteJobStoreTest, ForgettingJobsForgetsNoTrial) {
  const TempDir dir;
  const std::string path = dir.File("tuning.db");
  AddTrial(path, "a");
  const auto jobs = OpenJobs(path);
  ASSERT_TRUE(jobs->Submit(JobOfUuid("a"), 5).ok());
  ASSERT_TRUE(jobs->Move(*jobs->Claim(1, "owl/1", 5, kTtl), kDone, {1, 10, ""}, 6).ok());
  ASSERT_EQ(*jobs->ForgetBefore(7), 1);
  EXPECT_THAT(*(*OpenSqliteStore(path, OpenMode::kReadOnly))->Records({}), SizeIs(1));
  SQLite::Database file(path);
  for (const char* table : {"jobs", "job_transitions", "job_runs"}) {
    EXPECT_EQ(file.execAndGet(std::string("SELECT count(*) FROM ") + table).getInt(), 0) << table;
  }
}

TEST(SqliteJobStoreTest, WhatIsOpenForReadingIsReadAndNeverWritten) {
  const TempDir dir;
  const std::string path = dir.File("tuning.db");
  EXPECT_EQ(OpenSqliteJobStore(path, OpenMode::kReadOnly).status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(path));
  const auto writer = OpenJobs(path);
  const Job job = *writer->Submit(JobOfUuid("a"), 5);
  const JobClaim claim = *writer->Claim(job.id, "owl/1", 5, kTtl);
  const JobSeries series{"fresh", JobOfUuid(""), "06:00", 5};
  ASSERT_TRUE(writer->PutSeries(series).ok());

  const auto reader = OpenJobs(path, OpenMode::kReadOnly);
  const std::vector<Status> refused{reader->Submit(JobOfUuid("b"), 5).status(),
                                    reader->Claim(job.id, "hawk/1", 5, kTtl).status(),
                                    reader->Beat(claim, {}, 5, kTtl).status(),
                                    reader->Move(claim, kDone, {}, 5),
                                    reader->Explain(job, kDone, 5),
                                    reader->Wish(job.id, JobWish::kCancel, "ann", 5).status(),
                                    reader->Recover("owl", 5).status(),
                                    reader->SetTeller(job.id, "owl"),
                                    reader->PutSeries(series),
                                    reader->EndSeries("fresh"),
                                    reader->ForgetBefore(5).status()};
  for (const Status& status : refused) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(Message(status), HasSubstr(path + " was opened for reading only"));
  }
  EXPECT_EQ(*reader->JobOf(job.id), *writer->JobOf(job.id));
  EXPECT_EQ(*reader->Jobs({}), *writer->Jobs({}));
  EXPECT_EQ(*reader->Transitions(job.id), *writer->Transitions(job.id));
  EXPECT_EQ(*reader->RunsSince(0), *writer->RunsSince(0));
  EXPECT_EQ(*reader->Counts(), *writer->Counts());
  EXPECT_EQ(*reader->Series(), std::vector{series});
  EXPECT_EQ(*OpenJobs(path)->JobOf(job.id), *writer->JobOf(job.id)) << "and after opening it again";
}

TEST(SqliteJobStoreTest, AWordThatNoKilnWritesIsAnErrorAndNotAJob) {
  const TempDir dir;
  const std::string path = dir.File("tuning.db");
  const auto jobs = OpenJobs(path);
  ASSERT_TRUE(jobs->Submit(JobOfUuid("a"), 5).ok());
  SQLite::Database(path, SQLite::OPEN_READWRITE).exec("UPDATE jobs SET reason = 'whim'");
  const auto job = jobs->JobOf(1);
  EXPECT_EQ(job.status().code(), StatusCode::kDataLoss);
  EXPECT_THAT(Message(job.status()), HasSubstr("`whim` is no reason of a job"));
  EXPECT_EQ(jobs->Claim(1, "owl/1", 5, kTtl).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace kiln
