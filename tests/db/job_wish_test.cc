// What people ask of jobs, and what is said about them, in each store: whoever holds the job at that
// time, and whatever it has just become.

#include <functional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/job_queue.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class JobWishTest : public JobQueueTest {};
INSTANTIATE_TEST_SUITE_P(Stores, JobWishTest, ::testing::Values(kMemoryJobs, kSqliteJobs),
                         [](const auto& kind) { return kind.param.name; });

// ---- wishes

TEST_P(JobWishTest, OfTwoWishesTheStrongerStays) {
  const std::vector<JobWish> wishes{JobWish::kPause, JobWish::kCancel, JobWish::kCancelNow};
  for (const JobWish first : wishes) {
    for (const JobWish second : wishes) {
      const Job job = Submit(std::string(Name(first)) + "," + std::string(Name(second)));
      const JobClaim claim = Claim(job.id);
      EXPECT_EQ(Wish(job.id, first), StatusCode::kOk);
      EXPECT_EQ(Wish(job.id, second), StatusCode::kOk);
      EXPECT_EQ(*store_->Beat(claim, {}, now_, kTtl), std::max(first, second)) << job.job.uuid;
      EXPECT_EQ(Standing(job.id), "running(starting)") << "its holder is to see to it";
    }
  }
}

TEST_P(JobWishTest, ResumingTakesBackAWishToPauseAndNoOther) {
  const Job job = Submit();
  const JobClaim claim = Claim(job.id);
  EXPECT_EQ(Wish(job.id, JobWish::kNone), StatusCode::kFailedPrecondition);
  Wish(job.id, JobWish::kPause);
  EXPECT_EQ(Wish(job.id, JobWish::kNone), StatusCode::kOk);
  EXPECT_EQ(*store_->Beat(claim, {}, now_, kTtl), JobWish::kNone);
  Wish(job.id, JobWish::kCancel);
  EXPECT_EQ(Wish(job.id, JobWish::kNone), StatusCode::kFailedPrecondition);
  EXPECT_EQ(*store_->Beat(claim, {}, now_, kTtl), JobWish::kCancel);
}

TEST_P(JobWishTest, OnlyWhatAPersonPausedIsResumed) {
  const Job job = Submit();
  Move(Claim(job.id), kClosed);
  EXPECT_EQ(Wish(job.id, JobWish::kNone), StatusCode::kFailedPrecondition) << "its window did";
  EXPECT_EQ(Wish(job.id, JobWish::kPause), StatusCode::kOk);
  EXPECT_EQ(Standing(job.id), "paused(held)");
  EXPECT_EQ(Wish(job.id, JobWish::kNone), StatusCode::kOk);
  EXPECT_EQ(Standing(job.id), "queued(turn)");
  Wish(job.id, JobWish::kCancel);
  EXPECT_EQ(Standing(job.id), "cancelled(user)");
  std::vector<std::string> who;
  const auto steps = other_->Transitions(job.id);
  for (const JobTransition& step : *steps) who.push_back(step.who);
  EXPECT_THAT(who, ElementsAre("ann", "owl/1", "owl/1", "bob", "bob", "bob"));
}

TEST_P(JobWishTest, WhatAPersonPausedIsNotClaimed) {
  const Job job = Submit();
  Wish(job.id, JobWish::kPause);
  EXPECT_EQ(store_->Claim(job.id, "owl/1", now_, kTtl).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(Read(job.id).epoch, 0);
}

TEST_P(JobWishTest, AWishOutlivesTheHolderThatWasToSeeToIt) {
  for (const JobWish wish : {JobWish::kPause, JobWish::kCancel, JobWish::kCancelNow}) {
    const Job job = Submit(std::string(Name(wish)));
    Claim(job.id);
    Wish(job.id, wish);
    EXPECT_THAT(Recover("owl"), SizeIs(1));
    EXPECT_EQ(Standing(job.id), wish == JobWish::kPause ? "paused(held)" : "cancelled(user)");
    EXPECT_EQ(Read(job.id).wish, JobWish::kNone);
  }
}

TEST_P(JobWishTest, AnEndedJobTakesNoWishes) {
  const std::vector<JobStanding> ends{kDone,
                                      {JobState::kFailed, JobReason::kModel, "it is gone"},
                                      {JobState::kCancelled, JobReason::kUser, "cancelled"},
                                      {JobState::kExpired, JobReason::kDeadline, "at 06:00"}};
  for (const JobStanding& end : ends) {
    const Job job = Submit(std::string(Name(end.state)));
    Move(Claim(job.id), end);
    const Job ended = Read(job.id);
    for (const JobWish wish :
         {JobWish::kNone, JobWish::kPause, JobWish::kCancel, JobWish::kCancelNow}) {
      EXPECT_EQ(Wish(job.id, wish), StatusCode::kFailedPrecondition) << job.job.uuid;
    }
    EXPECT_EQ(Read(job.id), ended);
  }
  EXPECT_EQ(Wish(17, JobWish::kCancel), StatusCode::kNotFound);
}

// The holder has not heard of the wish when it gives the job back for a reason of its own.
TEST_P(JobWishTest, AWishThatCrossesTheEndOfARunIsNotLost) {
  const auto crossed = [&](JobWish wish, const JobStanding& to) {
    const Job job = Submit(std::string(Name(wish)) + " " + std::string(Name(to.reason)));
    const JobClaim claim = Claim(job.id);
    Wish(job.id, wish);
    Move(claim, to, {5, 50, ""});
    EXPECT_EQ(Read(job.id).wish, JobWish::kNone) << "it is done";
    return Standing(job.id);
  };
  EXPECT_EQ(crossed(JobWish::kCancel, kClosed), "cancelled(user)");
  EXPECT_EQ(crossed(JobWish::kCancelNow, kTurn), "cancelled(user)");
  EXPECT_EQ(crossed(JobWish::kPause, kClosed), "paused(held)");
  EXPECT_EQ(crossed(JobWish::kPause, kDone), "done(complete)") << "there is nothing to pause";
  EXPECT_EQ(crossed(JobWish::kCancel, kDone), "done(complete)");
}

TEST_P(JobWishTest, AWishToPauseThatWasTakenBackHoldsNoJob) {
  const Job job = Submit();
  const JobClaim claim = Claim(job.id);
  const JobStanding paused{JobState::kPaused, JobReason::kHeld, "paused by hand"};
  Wish(job.id, JobWish::kPause);
  ASSERT_EQ(*store_->Beat(claim, {}, now_, kTtl), JobWish::kPause);
  Wish(job.id, JobWish::kNone);
  Move(claim, paused);  // its holder has been stopping its tuner meanwhile
  EXPECT_EQ(Standing(job.id), "queued(turn)");
  const JobClaim again = Claim(job.id);
  Wish(job.id, JobWish::kPause);
  Move(again, paused);
  EXPECT_EQ(Read(job.id).standing, paused) << "in its holder's words";
}

TEST_P(JobWishTest, ACrashThatCrossesAWishIsOneAllTheSame) {
  const Job job = Submit();
  const JobClaim claim = Claim(job.id);
  Wish(job.id, JobWish::kPause);
  ASSERT_TRUE(store_->Move(claim, kTurn, {}, now_, /*crashed=*/true).ok());
  EXPECT_EQ(Standing(job.id), "paused(held)");
  EXPECT_EQ(Read(job.id).crashes, 1);
}

// ---- reasons

TEST_P(JobWishTest, AReasonIsRefusedOfAJobThatIsNoLongerAsItWasSeen) {
  const std::vector<std::pair<const char*, std::function<void(std::int64_t)>>> changes{
      {"claimed", [&](std::int64_t id) { Claim(id); }},
      {"claimed and given back", [&](std::int64_t id) { Move(Claim(id), kTurn); }},
      {"paused", [&](std::int64_t id) { Wish(id, JobWish::kPause); }},
      {"cancelled", [&](std::int64_t id) { Wish(id, JobWish::kCancel); }},
      {"explained",
       [&](std::int64_t id) { ASSERT_TRUE(store_->Explain(Read(id), kClosed, 1).ok()); }},
  };
  for (const auto& [what, change] : changes) {
    const Job first = Submit(what);
    ASSERT_TRUE(store_->Explain(first, kTurn, now_).ok());
    const Job seen = Read(first.id);
    change(first.id);
    const Job before = Read(first.id);
    const Status status = other_->Explain(seen, kClosed, now_);
    EXPECT_EQ(status.code(), StatusCode::kAborted) << what;
    EXPECT_EQ(Read(first.id), before) << what;
  }
  const Job waits = Submit("held");
  Claim(waits.id);
  EXPECT_EQ(store_->Explain(Read(waits.id), kClosed, now_).code(), StatusCode::kAborted)
      << "it does not wait, though it was seen as it is";
  Job nobody;
  nobody.id = 77;
  EXPECT_EQ(store_->Explain(nobody, kTurn, now_).code(), StatusCode::kNotFound);
}

TEST_P(JobWishTest, AReasonNeverMakesAHolderButMayEndAJob) {
  const Job job = Submit();
  for (const JobStanding& held : {kTuning, kConfirming}) {
    EXPECT_EQ(store_->Explain(job, held, now_).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(Read(job.id), job);
  const JobStanding expired{JobState::kExpired, JobReason::kDeadline, "it never ran"};
  ASSERT_TRUE(store_->Explain(job, expired, now_).ok());
  EXPECT_EQ(Read(job.id).standing, expired);
  EXPECT_EQ(store_->Explain(Read(job.id), kTurn, now_).code(), StatusCode::kAborted);
}

TEST_P(JobWishTest, SinceAndHistoryChangeWithStateOrReasonAndNotWithWordsOrBeats) {
  const Job job = Submit();
  const std::int64_t submitted = now_;
  now_ += 10;
  ASSERT_TRUE(store_->Explain(job, kTurn, now_).ok());
  EXPECT_EQ(Read(job.id).standing.text, kTurn.text);
  EXPECT_EQ(Read(job.id).since_ms, submitted) << "other words";
  ASSERT_TRUE(store_->Explain(Read(job.id), kTurn, now_).ok());
  EXPECT_THAT(*other_->Transitions(job.id), SizeIs(1));

  const JobClaim claim = Claim(job.id);
  const std::int64_t claimed = now_;
  now_ += 10;
  ASSERT_TRUE(store_->Beat(claim, {3, 30, "{}"}, now_, kTtl).ok());
  Wish(job.id, JobWish::kPause);
  Move(claim, {JobState::kRunning, JobReason::kStarting, "it compiles"});
  EXPECT_EQ(Read(job.id).since_ms, claimed);
  EXPECT_THAT(*other_->Transitions(job.id), SizeIs(2));
  Move(claim, kTuning);
  EXPECT_EQ(Read(job.id).since_ms, now_) << "another reason";
  EXPECT_EQ(other_->Transitions(job.id)->back(),
            (JobTransition{job.id, now_, 1, kTuning, "owl/1"}));
}

}  // namespace
}  // namespace kiln
