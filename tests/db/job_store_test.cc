// What every JobStore promises, run on each of them.

#include "db/job_store.h"

#include <atomic>
#include <thread>

#include "db/tuning_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/base/temporary_directory.h"

namespace kiln {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr seconds kTtl{30};
const JobStanding kTuning{JobState::kRunning, JobReason::kTuning, "3 tasks"};
const JobStanding kDone{JobState::kDone, JobReason::kComplete, "all trials made"};
const JobStanding kClosed{JobState::kPaused, JobReason::kWindow, "window night opens at 22:00"};
const JobStanding kNext{JobState::kQueued, JobReason::kTurn, "job 1 has it now"};

// One queue, and ways into it.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual std::shared_ptr<JobStore> Connect() = 0;
};

class MemoryQueue final : public Queue {
 public:
  std::shared_ptr<JobStore> Connect() override { return store_; }

 private:
  const std::shared_ptr<JobStore> store_ = NewMemoryJobStore();
};

class SqliteQueue final : public Queue {
 public:
  std::shared_ptr<JobStore> Connect() override {
    auto store = OpenSqliteJobStore(directory_.File("tuning.db"), OpenMode::kReadWrite);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

 private:
  const TemporaryDirectory directory_;
};

struct Kind {
  const char* name;
  std::unique_ptr<Queue> (*make)();
};

NewJob JobFor(const std::string& uuid) {
  NewJob job;
  job.uuid = uuid;
  job.user = "ann";
  job.name = "a job";
  job.target = "rasp4b";
  job.window = "night";
  job.priority = 3;
  job.deadline_ms = 123'456;
  job.spec = R"({"networks":[{"network":"mobilenet_v1"}]})";
  return job;
}

class JobStoreTest : public ::testing::TestWithParam<Kind> {
 protected:
  Job Submit(const std::string& uuid) { return Submit(JobFor(uuid)); }
  Job Submit(const NewJob& job) {
    const auto submitted = store_->Submit(job, now_);
    EXPECT_TRUE(submitted.ok()) << submitted.status();
    return submitted.value_or(Job());
  }
  JobClaim Claim(std::int64_t id, const std::string& holder = "owl/1") {
    const auto claim = store_->Claim(id, holder, now_, kTtl);
    EXPECT_TRUE(claim.ok()) << claim.status();
    return claim.value_or(JobClaim());
  }
  Status Move(const JobClaim& claim, const JobStanding& to, const JobProgress& progress = {}) {
    return store_->Move(claim, to, progress, now_);
  }
  Status Crash(const JobClaim& claim) {
    return store_->Move(claim, {JobState::kQueued, JobReason::kRecovered, "it died"}, {}, now_,
                        true);
  }
  Job Read(std::int64_t id) { return *other_->JobOf(id); }
  JobState StateOf(std::int64_t id) { return Read(id).standing.state; }
  std::vector<Job> Recover(const std::string& dead = "") { return *other_->Recover(dead, now_); }
  // As "queued(turn)", in order.
  std::vector<std::string> Steps(std::int64_t id) {
    std::vector<std::string> steps;
    const auto transitions = other_->Transitions(id);
    EXPECT_TRUE(transitions.ok()) << transitions.status();
    for (const JobTransition& step : transitions.value_or(std::vector<JobTransition>())) {
      steps.push_back(std::string(Name(step.to.state)) + "(" + std::string(Name(step.to.reason)) +
                      ")");
    }
    return steps;
  }

  const std::unique_ptr<Queue> queue_ = GetParam().make();
  const std::shared_ptr<JobStore> store_ = queue_->Connect(), other_ = queue_->Connect();
  std::int64_t now_ = 1'000'000;
};

INSTANTIATE_TEST_SUITE_P(
    Stores, JobStoreTest,
    ::testing::Values(
        Kind{"Memory", []() -> std::unique_ptr<Queue> { return std::make_unique<MemoryQueue>(); }},
        Kind{"Sqlite", []() -> std::unique_ptr<Queue> { return std::make_unique<SqliteQueue>(); }}),
    [](const auto& kind) { return kind.param.name; });

TEST_P(JobStoreTest, KeepsWhatWasSubmitted) {
  NewJob wanted = JobFor("a");
  wanted.after = {Submit("first").id};
  const Job job = Submit(wanted);
  EXPECT_EQ(job.id, 2);
  EXPECT_EQ(Read(2), job);
  EXPECT_EQ(Read(2).job, wanted);
  EXPECT_EQ(job.standing.state, JobState::kQueued);
  EXPECT_NE(job.standing.text, "");
  EXPECT_EQ(job.submitted_ms, now_);
  EXPECT_EQ(other_->JobOf(3).status().code(), StatusCode::kNotFound);
}

TEST_P(JobStoreTest, SubmittingAgainIsTheSameJob) {
  const Job job = Submit("a");
  now_ += 5;
  EXPECT_EQ(*other_->Submit(JobFor("a"), now_), job);
  NewJob another = JobFor("a");
  another.priority = 0;
  EXPECT_EQ(store_->Submit(another, now_).status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(*store_->Jobs({}), SizeIs(1));
}

TEST_P(JobStoreTest, SeriesHasADateOnce) {
  NewJob job = JobFor("fresh@2026-11-27");
  job.series = "fresh";
  job.occurrence = "2026-11-27";
  Submit(job);
  NewJob again = job;
  again.uuid = "another";
  EXPECT_EQ(store_->Submit(again, now_).status().code(), StatusCode::kAlreadyExists);
  again.occurrence = "2026-11-28";
  EXPECT_TRUE(store_->Submit(again, now_).ok());
  again.uuid = "third";
  again.occurrence = "";
  EXPECT_EQ(store_->Submit(again, now_).status().code(), StatusCode::kInvalidArgument);
}

TEST_P(JobStoreTest, WhatCannotBeQueuedIsRefused) {
  NewJob job = JobFor("");
  EXPECT_EQ(store_->Submit(job, now_).status().code(), StatusCode::kInvalidArgument);
  job = JobFor("a");
  job.after = {7};
  EXPECT_EQ(store_->Submit(job, now_).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(*store_->Jobs({}), IsEmpty());
}

TEST_P(JobStoreTest, OneHolderAtATime) {
  const Job job = Submit("a");
  const JobClaim claim = Claim(job.id);
  EXPECT_EQ(claim.epoch, 1);
  EXPECT_EQ(Read(job.id).holder, "owl/1");
  EXPECT_EQ(other_->Claim(job.id, "hawk/1", now_, kTtl).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Move(claim, kClosed).ok());
  EXPECT_EQ(Read(job.id).holder, "");
  EXPECT_EQ(other_->Claim(job.id, "hawk/1", now_, kTtl)->epoch, 2);
}

TEST_P(JobStoreTest, OfManyThatClaimAtOnceOneWins) {
  const Job job = Submit("a");
  std::vector<std::shared_ptr<JobStore>> ways;
  for (int i = 0; i < 4; ++i) ways.push_back(queue_->Connect());
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> winners = 0;
    std::vector<std::thread> threads;
    for (const auto& way : ways) {
      threads.emplace_back([&] {
        if (way->Claim(job.id, "owl", now_, kTtl).ok()) ++winners;
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(winners, 1);
    ASSERT_TRUE(Move({job.id, Read(job.id).epoch}, kClosed).ok());
  }
}

TEST_P(JobStoreTest, ClaimThatIsOverWritesNothing) {
  const Job job = Submit("a");
  const JobClaim old = Claim(job.id);
  ASSERT_TRUE(Move(old, kClosed).ok());
  const Job before = Read(job.id);
  EXPECT_EQ(store_->Beat(old, {.trials = 9}, now_, kTtl).status().code(), StatusCode::kAborted);
  EXPECT_EQ(Move(old, kDone, {.trials = 9}).code(), StatusCode::kAborted);
  EXPECT_EQ(Read(job.id), before);
  const JobClaim held = Claim(job.id, "hawk/1");
  EXPECT_EQ(Move(old, kDone).code(), StatusCode::kAborted);
  EXPECT_EQ(Read(job.id).epoch, held.epoch);
}

TEST_P(JobStoreTest, ProgressAddsUpOverRunsAndNeverFalls) {
  const Job job = Submit("a");
  const JobClaim first = Claim(job.id);
  EXPECT_TRUE(store_->Beat(first, {5, 1000, "{}"}, now_, kTtl).ok());
  EXPECT_TRUE(store_->Beat(first, {3, 900, ""}, now_, kTtl).ok());
  EXPECT_EQ(Read(job.id).trials, 5);
  EXPECT_EQ(Read(job.id).progress, "{}");
  now_ += 10;
  EXPECT_TRUE(Move(first, kClosed, {7, 2000, R"({"tasks":3})"}).ok());
  const JobClaim second = Claim(job.id, "hawk/1");
  EXPECT_TRUE(Move(second, kTuning, {4, 500, ""}).ok());
  EXPECT_EQ(Read(job.id).trials, 11);
  EXPECT_EQ(Read(job.id).ran_ms, 2500);
  const JobRun ended{job.id, 1, 1'000'000, 1'000'010, "ann", "rasp4b", "owl/1", 7, 2000};
  const JobRun open{job.id, 2, 1'000'010, std::nullopt, "ann", "rasp4b", "hawk/1", 4, 500};
  EXPECT_THAT(*other_->RunsSince(0), ElementsAre(ended, open));
  EXPECT_THAT(*other_->RunsSince(1'000'010), ElementsAre(ended, open));
  EXPECT_THAT(*other_->RunsSince(1'000'011), ElementsAre(open));
}

TEST_P(JobStoreTest, LostLeaseIsRecoveredAndNeverFailed) {
  const Job job = Submit("a");
  const JobClaim claim = Claim(job.id);
  now_ += 29'999;
  EXPECT_THAT(Recover(), IsEmpty());
  now_ += 1;
  EXPECT_THAT(Recover(), SizeIs(1));
  EXPECT_EQ(StateOf(job.id), JobState::kQueued);
  EXPECT_EQ(Read(job.id).standing.reason, JobReason::kRecovered);
  EXPECT_THAT(Read(job.id).standing.text, HasSubstr("owl/1 was lost"));
  EXPECT_EQ(Move(claim, kDone).code(), StatusCode::kAborted);
  EXPECT_THAT(Recover(), IsEmpty());
}

TEST_P(JobStoreTest, SignOfLifeKeepsALease) {
  const Job job = Submit("a");
  const JobClaim claim = Claim(job.id);
  now_ += 29'000;
  EXPECT_EQ(*store_->Beat(claim, {}, now_, kTtl), JobWish::kNone);
  now_ += 29'000;
  EXPECT_THAT(Recover(), IsEmpty());
}

TEST_P(JobStoreTest, LeaseThatOnlyAClockSetBackCanMakeIsLost) {
  const Job job = Submit("a");
  Claim(job.id);
  now_ -= 3'600'000;
  EXPECT_THAT(Recover(), SizeIs(1));
}

TEST_P(JobStoreTest, DeadDaemonsAreKnownByName) {
  const Job a = Submit("a"), b = Submit("b"), c = Submit("c");
  Claim(a.id, "owl/1");
  Claim(b.id, "owls/1");
  Claim(c.id, "owl");
  std::vector<std::int64_t> ids;
  for (const Job& job : Recover("owl")) ids.push_back(job.id);
  EXPECT_THAT(ids, ::testing::UnorderedElementsAre(a.id, c.id));
}

TEST_P(JobStoreTest, ThirdCrashInARowIsPoison) {
  const Job job = Submit("a");
  ASSERT_TRUE(Crash(Claim(job.id)).ok());
  Claim(job.id);
  Recover("owl");
  EXPECT_EQ(StateOf(job.id), JobState::kQueued);
  ASSERT_TRUE(Crash(Claim(job.id)).ok());
  EXPECT_EQ(StateOf(job.id), JobState::kFailed);
  EXPECT_EQ(Read(job.id).standing.reason, JobReason::kPoison);
  EXPECT_THAT(Read(job.id).standing.text, HasSubstr("it died; that was the third time in a row"));
}

TEST_P(JobStoreTest, OrderlyEndForgivesCrashes) {
  const Job job = Submit("a");
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(Crash(Claim(job.id)).ok());
    ASSERT_TRUE(Crash(Claim(job.id)).ok());
    ASSERT_TRUE(Move(Claim(job.id), kClosed).ok());
    EXPECT_EQ(Read(job.id).crashes, 0);
  }
}

TEST_P(JobStoreTest, WishesOfWhatNobodyHoldsComeTrueAtOnce) {
  const Job a = Submit("a"), b = Submit("b");
  EXPECT_EQ(store_->Wish(a.id, JobWish::kCancel, "ann", now_)->standing.state,
            JobState::kCancelled);
  EXPECT_EQ(store_->Wish(b.id, JobWish::kPause, "ann", now_)->standing.reason, JobReason::kHeld);
  EXPECT_EQ(store_->Claim(b.id, "owl", now_, kTtl).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->Wish(b.id, JobWish::kNone, "ann", now_)->standing.state, JobState::kQueued);
  EXPECT_TRUE(store_->Claim(b.id, "owl", now_, kTtl).ok());
  EXPECT_EQ(other_->Transitions(a.id)->back().who, "ann");
}

TEST_P(JobStoreTest, WishesOfWhatIsHeldWaitForItsHolder) {
  const Job job = Submit("a");
  const JobClaim claim = Claim(job.id);
  EXPECT_EQ(other_->Wish(job.id, JobWish::kCancel, "ann", now_)->wish, JobWish::kCancel);
  EXPECT_EQ(other_->Wish(job.id, JobWish::kPause, "ann", now_)->wish, JobWish::kCancel) << "weaker";
  EXPECT_EQ(other_->Wish(job.id, JobWish::kCancelNow, "ann", now_)->wish, JobWish::kCancelNow);
  EXPECT_EQ(*store_->Beat(claim, {}, now_, kTtl), JobWish::kCancelNow);
  ASSERT_TRUE(Move(claim, {JobState::kCancelled, JobReason::kUser, "cancelled"}).ok());
  EXPECT_EQ(Read(job.id).wish, JobWish::kNone);
  for (const JobWish wish : {JobWish::kNone, JobWish::kPause, JobWish::kCancel}) {
    EXPECT_EQ(store_->Wish(job.id, wish, "ann", now_).status().code(),
              StatusCode::kFailedPrecondition);
  }
}

TEST_P(JobStoreTest, ResumingTakesAWishToPauseBack) {
  const Job job = Submit("a");
  EXPECT_EQ(store_->Wish(job.id, JobWish::kNone, "ann", now_).status().code(),
            StatusCode::kFailedPrecondition);
  const JobClaim claim = Claim(job.id);
  ASSERT_TRUE(store_->Wish(job.id, JobWish::kPause, "ann", now_).ok());
  EXPECT_EQ(store_->Wish(job.id, JobWish::kNone, "ann", now_)->wish, JobWish::kNone);
  EXPECT_EQ(*store_->Beat(claim, {}, now_, kTtl), JobWish::kNone);
}

TEST_P(JobStoreTest, WishesSurviveALostHolder) {
  const Job a = Submit("a"), b = Submit("b");
  Claim(a.id);
  Claim(b.id);
  ASSERT_TRUE(store_->Wish(a.id, JobWish::kCancel, "ann", now_).ok());
  ASSERT_TRUE(store_->Wish(b.id, JobWish::kPause, "ann", now_).ok());
  Recover("owl");
  EXPECT_EQ(StateOf(a.id), JobState::kCancelled);
  EXPECT_EQ(Read(b.id).standing.reason, JobReason::kHeld);
}

TEST_P(JobStoreTest, ReasonIsWrittenUnlessTheJobHasChanged) {
  const Job seen = Submit("a");
  ASSERT_TRUE(store_->Explain(seen, kNext, now_ + 5).ok());
  EXPECT_EQ(Read(seen.id).standing, kNext);
  EXPECT_EQ(store_->Explain(seen, kClosed, now_).code(), StatusCode::kAborted);
  const Job waiting = Read(seen.id);
  EXPECT_EQ(store_->Explain(waiting, kTuning, now_).code(), StatusCode::kInvalidArgument);
  const JobClaim claim = Claim(seen.id);
  EXPECT_EQ(store_->Explain(waiting, kClosed, now_).code(), StatusCode::kAborted);
  ASSERT_TRUE(Move(claim, kNext).ok());
  EXPECT_EQ(store_->Explain(waiting, kClosed, now_).code(), StatusCode::kAborted) << "epoch";
}

TEST_P(JobStoreTest, ManyReasonsAtOnceLeaveOutWhatHasChanged) {
  const Job a = Submit("a"), b = Submit("b"), c = Submit("c");
  Claim(b.id);
  const JobStanding expired{JobState::kExpired, JobReason::kDeadline, "too late"};
  const std::vector<JobStore::Explanation> all{{a, kNext}, {b, kNext}, {c, expired}};
  const auto moved = store_->ExplainAll(all, now_);
  ASSERT_TRUE(moved.ok()) << moved.status();
  ASSERT_THAT(*moved, SizeIs(1));
  EXPECT_EQ(moved->front().id, c.id);
  EXPECT_EQ(Read(a.id).standing, kNext);
  EXPECT_EQ(StateOf(b.id), JobState::kRunning);
  EXPECT_EQ(Read(c.id).standing, expired);
}

TEST_P(JobStoreTest, ManyReasonsAtOnceAreWrittenAllOrNotAtAll) {
  const Job a = Submit("a"), b = Submit("b");
  const std::vector<JobStore::Explanation> bad{{a, kNext}, {b, kTuning}};
  EXPECT_EQ(store_->ExplainAll(bad, now_).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(a.id), a);
  EXPECT_EQ(Read(b.id), b);
}

TEST_P(JobStoreTest, HistoryHasStatesAndReasonsAndSoDoesSince) {
  const Job job = Submit("a");
  now_ += 10;
  ASSERT_TRUE(store_->Explain(Read(job.id), {kNext.state, kNext.reason, "other words"}, now_).ok());
  EXPECT_EQ(Read(job.id).since_ms, 1'000'000);
  ASSERT_TRUE(store_->Explain(Read(job.id), kClosed, now_).ok());
  EXPECT_EQ(Read(job.id).since_ms, now_);
  now_ += 10;
  const JobClaim claim = Claim(job.id);
  ASSERT_TRUE(Move(claim, kTuning).ok());
  ASSERT_TRUE(Move(claim, kDone).ok());
  EXPECT_THAT(Steps(job.id), ElementsAre("queued(turn)", "paused(window)", "running(starting)",
                                         "running(tuning)", "done(complete)"));
  EXPECT_EQ(other_->Transitions(job.id)->back(), (JobTransition{job.id, now_, 1, kDone, "owl/1"}));
}

TEST_P(JobStoreTest, ListsByStateUserAndSeriesNewestFirst) {
  Submit("a");
  NewJob bobs = JobFor("b");
  bobs.user = "bob";
  Submit(bobs);
  Claim(Submit("c").id);
  const auto ids = [&](const JobQuery& query) {
    std::vector<std::int64_t> found;
    const auto jobs = other_->Jobs(query);
    for (const Job& job : *jobs) found.push_back(job.id);
    return found;
  };
  EXPECT_THAT(ids({}), ElementsAre(3, 2, 1));
  EXPECT_THAT(ids({.limit = 2}), ElementsAre(3, 2));
  EXPECT_THAT(ids({.user = "bob"}), ElementsAre(2));
  EXPECT_THAT(ids({.states = {JobState::kRunning, JobState::kDone}}), ElementsAre(3));
  EXPECT_THAT(ids({.series = "fresh"}), IsEmpty());
  EXPECT_EQ(*other_->Counts(),
            (std::map<JobState, std::int64_t>{{JobState::kQueued, 2}, {JobState::kRunning, 1}}));
}

TEST_P(JobStoreTest, SeriesArePutReplacedAndEnded) {
  NewJob job = JobFor("");
  job.deadline_ms.reset();
  const JobSeries fresh{"fresh", job, "06:00", 5};
  JobSeries other = fresh;
  other.name = "again";
  ASSERT_TRUE(store_->PutSeries(fresh).ok());
  ASSERT_TRUE(store_->PutSeries(other).ok());
  EXPECT_THAT(*other_->Series(), ElementsAre(other, fresh));
  other.deadline = "";
  ASSERT_TRUE(store_->PutSeries(other).ok());
  EXPECT_THAT(*other_->Series(), ElementsAre(other, fresh));
  ASSERT_TRUE(store_->EndSeries("again").ok());
  EXPECT_THAT(*other_->Series(), ElementsAre(fresh));
  EXPECT_EQ(store_->EndSeries("again").code(), StatusCode::kNotFound);
}

TEST_P(JobStoreTest, SeriesOfASingleJobIsRefused) {
  NewJob job = JobFor("");
  job.deadline_ms.reset();
  job.after = {Submit("a").id};
  EXPECT_EQ(store_->PutSeries({"fresh", job, "", 5}).code(), StatusCode::kInvalidArgument);
  job.after.clear();
  job.window.clear();
  EXPECT_EQ(store_->PutSeries({"fresh", job, "", 5}).code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(*other_->Series(), IsEmpty());
}

TEST_P(JobStoreTest, OldJobsAreForgottenAndTheirIdsNotUsedAgain) {
  const Job old = Submit("old"), running = Submit("running"), waiting = Submit("waiting");
  Claim(running.id);
  ASSERT_TRUE(Move(Claim(old.id), kDone).ok());
  now_ += 100;
  const Job fresh = Submit("fresh");
  ASSERT_TRUE(Move(Claim(fresh.id), kDone).ok());
  EXPECT_EQ(*store_->ForgetBefore(now_), 1);
  EXPECT_EQ(other_->JobOf(old.id).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(other_->Transitions(old.id).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(*other_->Jobs({}), SizeIs(3));
  EXPECT_EQ(*store_->ForgetBefore(now_ + 1), 1);
  EXPECT_EQ(Submit("next").id, fresh.id + 1);
  EXPECT_EQ(StateOf(waiting.id), JobState::kQueued);
}

TEST(SqliteJobStoreTest, ReadOnlyRefusesToWriteAndReads) {
  const TemporaryDirectory directory;
  const std::string path = directory.File("tuning.db");
  EXPECT_EQ(OpenSqliteJobStore(path, OpenMode::kReadOnly).status().code(), StatusCode::kNotFound);
  {
    const auto writer = *OpenSqliteJobStore(path, OpenMode::kReadWrite);
    ASSERT_TRUE(writer->Submit(JobFor("a"), 5).ok());
  }
  const auto reader = *OpenSqliteJobStore(path, OpenMode::kReadOnly);
  EXPECT_THAT(*reader->Jobs({}), SizeIs(1));
  EXPECT_EQ(reader->Submit(JobFor("b"), 5).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(reader->Claim(1, "owl", 5, kTtl).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace kiln
