#pragma once

#include <chrono>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "db/job_store.h"
#include "gtest/gtest.h"
#include "tests/base/temporary_directory.h"

// Queues to test, each kind of store with ways into one database; jobs to put into them, and what
// happens to jobs.

namespace kiln {

class JobQueue {
 public:
  virtual ~JobQueue() = default;
  // Another connection to the same jobs.
  virtual std::shared_ptr<JobStore> Connect() = 0;
};

class MemoryJobQueue final : public JobQueue {
 public:
  std::shared_ptr<JobStore> Connect() override { return store_; }

 private:
  const std::shared_ptr<JobStore> store_ = NewMemoryJobStore();
};

class SqliteJobQueue final : public JobQueue {
 public:
  std::shared_ptr<JobStore> Connect() override {
    auto store = OpenSqliteJobStore(path(), OpenMode::kReadWrite);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  std::string path() const { return directory_.File("tuning.db"); }

 private:
  const TemporaryDirectory directory_;
};

struct JobQueueKind {
  const char* name;
  std::unique_ptr<JobQueue> (*make)();
};
inline void PrintTo(const JobQueueKind& kind, std::ostream* out) { *out << kind.name; }

inline const JobQueueKind kMemoryJobs{
    "Memory", []() -> std::unique_ptr<JobQueue> { return std::make_unique<MemoryJobQueue>(); }};
inline const JobQueueKind kSqliteJobs{
    "Sqlite", []() -> std::unique_ptr<JobQueue> { return std::make_unique<SqliteJobQueue>(); }};

// What ann submits, complete.
inline NewJob JobOfUuid(const std::string& uuid) {
  NewJob job;
  job.uuid = uuid;
  job.user = "ann";
  job.name = "nightly " + uuid;
  job.target = "rasp4b";
  job.window = "night";
  job.spec = R"({"networks":[]})";
  return job;
}

inline constexpr std::chrono::seconds kTtl{30};
inline constexpr std::int64_t kTtlMs = 30'000;
inline const JobStanding kTuning{JobState::kRunning, JobReason::kTuning, "2 tasks"};
inline const JobStanding kConfirming{JobState::kFinishing, JobReason::kConfirming,
                                     "the best of 2 tasks"};
inline const JobStanding kDone{JobState::kDone, JobReason::kComplete, "600 trials"};
inline const JobStanding kClosed{JobState::kPaused, JobReason::kWindow, "it opens at 22:00"};
inline const JobStanding kTurn{JobState::kQueued, JobReason::kTurn, "2 others come first"};

// A queue with two connections, and a clock.
class JobQueueTest : public ::testing::TestWithParam<JobQueueKind> {
 protected:
  Job Submit(const std::string& uuid = "a") { return *store_->Submit(JobOfUuid(uuid), now_); }
  JobClaim Claim(std::int64_t id, const std::string& holder = "owl/1") {
    const auto claim = store_->Claim(id, holder, now_, kTtl);
    EXPECT_TRUE(claim.ok()) << claim.status();
    return claim.value_or(JobClaim());
  }
  // Claims it and crashes, so that nobody holds it.
  void Crash(std::int64_t id) {
    const Status status =
        store_->Move(Claim(id), {JobState::kQueued, JobReason::kRecovered, "SIGSEGV"}, {}, now_,
                     /*crashed=*/true);
    EXPECT_TRUE(status.ok()) << status;
  }
  void Move(const JobClaim& claim, const JobStanding& to, const JobProgress& progress = {}) {
    const Status status = store_->Move(claim, to, progress, now_);
    EXPECT_TRUE(status.ok()) << status;
  }
  // What the other connection sees.
  Job Read(std::int64_t id) { return *other_->JobOf(id); }
  std::string Standing(std::int64_t id) {
    const Job job = Read(id);
    return std::string(Name(job.standing.state)) + "(" + std::string(Name(job.standing.reason)) +
           ")";
  }
  StatusCode Wish(std::int64_t id, JobWish wish) {
    return other_->Wish(id, wish, "bob", now_).status().code();
  }
  std::vector<Job> Recover(const std::string& dead = "") { return *other_->Recover(dead, now_); }

  const std::unique_ptr<JobQueue> queue_ = GetParam().make();
  const std::shared_ptr<JobStore> store_ = queue_->Connect(), other_ = queue_->Connect();
  std::int64_t now_ = 1'000'000;
};

}  // namespace kiln
