// What becomes of a job and its runs, in each store: submitted again, claimed by several, lost, crashed,
// forgotten. tests/db/job_store_test.cc has what a queue does on a good day.

#include "db/job_rules.h"

#include <array>
#include <atomic>
#include <latch>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/db/job_queue.h"

namespace kiln {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class JobRulesTest : public JobQueueTest {};
INSTANTIATE_TEST_SUITE_P(Stores, JobRulesTest, ::testing::Values(kMemoryJobs, kSqliteJobs),
                         [](const auto& kind) { return kind.param.name; });

// ---- submitting

TEST_P(JobRulesTest, SubmittingAgainDoesNotMakeAJobOlderOrYounger) {
  const Job job = Submit();
  now_ += 5;
  const JobClaim claim = Claim(job.id);
  Move(claim, kDone, {7, 70, "{}"});
  const Job ended = Read(job.id);
  now_ += 5;
  EXPECT_EQ(*other_->Submit(JobOfUuid("a"), now_), ended) << "also where it has ended";
  EXPECT_THAT(*other_->Transitions(job.id), SizeIs(3));
}

TEST_P(JobRulesTest, TheSameDateOfASeriesIsTheSameJobOnlyByItsUuid) {
  NewJob night = JobOfUuid("fresh@2026-11-27");
  night.series = "fresh";
  night.occurrence = "2026-11-27";
  const Job job = *store_->Submit(night, now_);
  EXPECT_EQ(*other_->Submit(night, now_ + 1), job);
  NewJob of_another = night;
  of_another.uuid = "another";
  const auto refused = other_->Submit(of_another, now_);
  EXPECT_EQ(refused.status().code(), StatusCode::kAlreadyExists);
  EXPECT_THAT(Message(refused.status()), HasSubstr("job 1 is fresh of 2026-11-27 already"));
  of_another.series = "weekly";
  EXPECT_TRUE(other_->Submit(of_another, now_).ok()) << "of another series";
}

TEST_P(JobRulesTest, WhatIsRefusedTakesNoId) {
  NewJob job = JobOfUuid("a");
  job.after = {1};  // itself, if anything
  EXPECT_EQ(store_->Submit(job, now_).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Submit("b").id, 1);
  EXPECT_TRUE(store_->Submit(job, now_).ok());
}

// ---- claims

TEST_P(JobRulesTest, AClaimIsOverFromTheMomentItIsGivenBackOrLost) {
  const Job job = Submit();
  std::vector<JobClaim> over;
  for (const bool is_lost : {false, true}) {
    over.push_back(Claim(job.id, "owl/" + std::to_string(over.size())));
    is_lost ? (void)Recover("owl") : Move(over.back(), kClosed);
    over.push_back({job.id, 0});
    over.push_back({job.id, over.front().epoch + 7});
    const Job before = Read(job.id);
    const auto runs = *other_->RunsSince(0);
    for (const JobClaim& claim : over) {
      EXPECT_EQ(store_->Beat(claim, {9, 9, "{}"}, now_, kTtl).status().code(),
                StatusCode::kAborted);
      EXPECT_EQ(store_->Move(claim, kDone, {9, 9, "{}"}, now_).code(), StatusCode::kAborted);
    }
    EXPECT_EQ(Read(job.id), before);
    EXPECT_EQ(*other_->RunsSince(0), runs);
  }
  EXPECT_EQ(store_->Beat({7, 1}, {}, now_, kTtl).status().code(), StatusCode::kNotFound);
}

TEST_P(JobRulesTest, AClaimThatLastsAfterItsLeaseIsGoodUntilSomebodyTakesTheJobBack) {
  const Job job = Submit();
  const JobClaim claim = Claim(job.id);
  now_ += 10 * kTtlMs;  // a machine that slept
  EXPECT_TRUE(store_->Beat(claim, {}, now_, kTtl).ok());
  EXPECT_EQ(Read(job.id).lease_until_ms, now_ + kTtlMs);
  EXPECT_THAT(Recover(), IsEmpty());
}

TEST_P(JobRulesTest, ALostHolderCannotSpeakForTheNextOne) {
  const Job job = Submit();
  const JobClaim lost = Claim(job.id, "owl/1");
  Recover("owl");
  const JobClaim held = Claim(job.id, "hawk/1");
  EXPECT_EQ(held.epoch, lost.epoch + 1);
  EXPECT_EQ(store_->Beat(lost, {9, 9, "{}"}, now_, kTtl).status().code(), StatusCode::kAborted);
  const Status status = store_->Move(lost, kDone, {9, 9, "{}"}, now_);
  EXPECT_EQ(status.code(), StatusCode::kAborted);
  EXPECT_THAT(Message(status), HasSubstr("claim 1 of job 1 is over"));
  EXPECT_THAT(Message(status), HasSubstr("held by hawk/1"));
  EXPECT_EQ(Standing(job.id), "running(starting)");
  EXPECT_EQ(Read(job.id).trials, 0);
  EXPECT_TRUE(store_->Beat(held, {1, 1, ""}, now_, kTtl).ok());
}

TEST_P(JobRulesTest, AnEndedJobIsNotClaimed) {
  const Job job = Submit();
  Move(Claim(job.id), kDone);
  const auto claim = store_->Claim(job.id, "owl/1", now_, kTtl);
  EXPECT_EQ(claim.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(claim.status()), HasSubstr("it is done"));
  EXPECT_EQ(Read(job.id).epoch, 1);
  EXPECT_EQ(store_->Claim(7, "owl/1", now_, kTtl).status().code(), StatusCode::kNotFound);
}

TEST_P(JobRulesTest, AHolderHasAName) {
  const Job job = Submit();
  EXPECT_EQ(store_->Claim(job.id, "", now_, kTtl).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Read(job.id), job);
}

TEST_P(JobRulesTest, OfManyThatClaimAtOnceExactlyOneHoldsEachJob) {
  constexpr std::size_t kJobs = 40, kThreads = 6;
  for (std::size_t i = 0; i < kJobs; ++i) Submit("job " + std::to_string(i));
  std::array<std::atomic<int>, kJobs + 1> winners{};
  std::latch start(kThreads);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    // Half of them share a connection.
    threads.emplace_back([&, t, store = t % 2 == 0 ? queue_->Connect() : other_] {
      start.arrive_and_wait();
      for (std::size_t id = 1; id <= kJobs; ++id) {
        const auto claim = store->Claim(static_cast<std::int64_t>(id), "owl/1", now_, kTtl);
        if (claim.ok()) winners[id] += 1;
        EXPECT_TRUE(claim.ok() || claim.status().code() == StatusCode::kFailedPrecondition)
            << claim.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t id = 1; id <= kJobs; ++id) EXPECT_EQ(winners[id], 1) << id;
  EXPECT_THAT(*other_->Jobs({}), Each(Field(&Job::epoch, 1)));
  EXPECT_THAT(*other_->RunsSince(0), SizeIs(kJobs));
}

// ---- lost and crashed

TEST_P(JobRulesTest, ALostHoldersRunIsClosedAndItsTrialsAreKept) {
  const Job job = Submit();
  const JobClaim claim = Claim(job.id, "owl/1");
  ASSERT_TRUE(store_->Beat(claim, {12, 3400, R"({"tasks":1})"}, now_, kTtl).ok());
  now_ += kTtlMs;
  const std::vector<Job> recovered = Recover();
  ASSERT_THAT(recovered, SizeIs(1));
  EXPECT_EQ(recovered[0], Read(job.id)) << "as it is now";
  EXPECT_EQ(Standing(job.id), "queued(recovered)");
  EXPECT_EQ(recovered[0].holder, "");
  EXPECT_EQ(recovered[0].crashes, 1);
  EXPECT_EQ(recovered[0].trials, 12);
  EXPECT_EQ(recovered[0].progress, R"({"tasks":1})");
  const JobRun run{job.id, 1, 1'000'000, now_, "ann", "rasp4b", "owl/1", 12, 3400};
  EXPECT_THAT(*other_->RunsSince(0), ElementsAre(run));
  EXPECT_EQ(other_->Transitions(job.id)->back().who, "") << "time did it";
}

TEST_P(JobRulesTest, AHolderLostOnceOrTwiceFailsNoJob) {
  const Job job = Submit();
  for (int lost = 1; lost < kMostCrashes; ++lost) {
    Claim(job.id);
    now_ += kTtlMs;
    EXPECT_THAT(Recover(), SizeIs(1));
    EXPECT_EQ(Standing(job.id), "queued(recovered)");
    EXPECT_EQ(Read(job.id).crashes, lost);
  }
}

TEST_P(JobRulesTest, TheThirdCrashInARowIsPoisonWhoeverNoticesIt) {
  for (int by_recovery = 0; by_recovery < 8; ++by_recovery) {  // a bit for each of three crashes
    const Job job = Submit("a" + std::to_string(by_recovery));
    for (int crash = 0; crash < 3; ++crash) {
      ASSERT_EQ(Read(job.id).standing.state, JobState::kQueued) << by_recovery << "/" << crash;
      if ((by_recovery >> crash & 1) == 0) {
        Crash(job.id);
        continue;
      }
      Claim(job.id);
      Recover("owl");
    }
    EXPECT_EQ(Standing(job.id), "failed(poison)") << by_recovery;
    EXPECT_THAT(Read(job.id).standing.text, HasSubstr("third time in a row"));
    EXPECT_EQ(Read(job.id).holder, "");
  }
}

TEST_P(JobRulesTest, AnOrderlyEndOfARunForgivesCrashes) {
  const Job job = Submit();
  Crash(job.id);
  Crash(job.id);
  const JobClaim claim = Claim(job.id);
  ASSERT_TRUE(store_->Beat(claim, {0, 1, ""}, now_, kTtl).ok());
  Move(claim, kTuning);
  Move(claim, kConfirming);
  EXPECT_EQ(Read(job.id).crashes, 2) << "it still runs";
  Move(claim, kClosed);
  EXPECT_EQ(Read(job.id).crashes, 0);
}

// Power cuts over weeks.
TEST_P(JobRulesTest, NewTrialsForgiveWhatCrashedBeforeThem) {
  const Job job = Submit();
  for (int cut = 0; cut < 9; ++cut) {
    const JobClaim claim = Claim(job.id);
    ASSERT_TRUE(store_->Beat(claim, {1, 1, ""}, now_, kTtl).ok());
    EXPECT_EQ(Read(job.id).crashes, 0);
    ASSERT_TRUE(store_->Beat(claim, {1, 2, ""}, now_, kTtl).ok());
    EXPECT_THAT(Recover("owl"), SizeIs(1));
    EXPECT_EQ(Standing(job.id), "queued(recovered)");
    EXPECT_EQ(Read(job.id).crashes, 1) << "the cut is after them";
    const JobClaim fruitless = Claim(job.id);
    ASSERT_TRUE(store_->Beat(fruitless, {0, 5, ""}, now_, kTtl).ok());
    Recover("owl");
    EXPECT_EQ(Read(job.id).crashes, 2) << "of a run of its own that made none";
  }
  Crash(job.id);
  EXPECT_EQ(Standing(job.id), "failed(poison)");
}

TEST_P(JobRulesTest, AtTheThirdCrashPoisonIsMoreThanAPauseAndLessThanACancel) {
  for (const bool by_recovery : {false, true}) {
    for (const auto& [wish, becomes] : {std::pair(JobWish::kPause, "failed(poison)"),
                                        {JobWish::kCancel, "cancelled(user)"},
                                        {JobWish::kCancelNow, "cancelled(user)"},
                                        {JobWish::kNone, "failed(poison)"}}) {
      const Job job = Submit(std::string(Name(wish)) + (by_recovery ? " lost" : " crashed"));
      Crash(job.id);
      Crash(job.id);
      const JobClaim claim = Claim(job.id);
      if (wish != JobWish::kNone) Wish(job.id, wish);
      if (by_recovery) {
        Recover("owl");
      } else {
        ASSERT_TRUE(store_->Move(claim, kTurn, {}, now_, /*crashed=*/true).ok());
      }
      EXPECT_EQ(Standing(job.id), becomes) << Name(wish) << by_recovery;
    }
  }
}

// Two daemons with another `lease` each on one queue.
TEST_P(JobRulesTest, ALeaseIsJudgedByItsOwnLengthWhoeverLooks) {
  const Job brief = Submit("brief"), lasting = Submit("lasting");
  ASSERT_TRUE(store_->Claim(brief.id, "owl/1", now_, std::chrono::seconds(5)).ok());
  const JobClaim claim = *other_->Claim(lasting.id, "hawk/1", now_, std::chrono::hours(2));
  EXPECT_THAT(Recover(), IsEmpty());
  now_ += 5'000;
  EXPECT_THAT(Recover(), ElementsAre(Field(&Job::id, brief.id)));
  now_ += 3'600'000;
  EXPECT_THAT(Recover(), IsEmpty());
  ASSERT_TRUE(other_->Beat(claim, {}, now_, std::chrono::seconds(5)).ok()) << "configured anew";
  now_ += 5'000;
  EXPECT_THAT(Recover(), ElementsAre(Field(&Job::id, lasting.id)));
}

TEST_P(JobRulesTest, ALeaseEndsWithItsLastMillisecond) {
  const Job job = Submit();
  const JobClaim claim = Claim(job.id);
  now_ += 100;
  ASSERT_TRUE(store_->Beat(claim, {}, now_, kTtl).ok());
  now_ += kTtlMs - 1;
  EXPECT_THAT(Recover(), IsEmpty());
  now_ += 1;
  EXPECT_THAT(Recover(), SizeIs(1));
}

TEST_P(JobRulesTest, AClockSetBackLosesOnlyALeaseThatItMakesTooLong) {
  const Job job = Submit();
  const JobClaim claim = Claim(job.id);
  EXPECT_THAT(Recover(), IsEmpty()) << "of just the ttl";
  now_ -= kTtlMs;
  EXPECT_THAT(Recover(), IsEmpty()) << "it was set by little";
  now_ -= 1;
  EXPECT_THAT(Recover(), SizeIs(1));
  EXPECT_EQ(store_->Beat(claim, {}, now_, kTtl).status().code(), StatusCode::kAborted);
  Claim(job.id);
  now_ -= 3'600'000;
  ASSERT_TRUE(store_->Beat({job.id, 2}, {}, now_, kTtl).ok()) << "whoever beats first keeps it";
  EXPECT_THAT(Recover(), IsEmpty());
}

TEST_P(JobRulesTest, ADeadDaemonTakesItsOwnHoldersWithItAndNoOthers) {
  for (const char* holder :
       {"owl", "owl/1", "owl/1/2", "owls/1", "owls", "o", "Owl", "owl.", "/owl"})
    Claim(Submit(holder).id, holder);
  std::vector<std::string> lost;
  for (const Job& job : Recover("owl")) lost.push_back(job.job.uuid);
  EXPECT_THAT(lost, ::testing::UnorderedElementsAre("owl", "owl/1", "owl/1/2"));
  EXPECT_THAT(Recover(""), IsEmpty()) << "nobody is called so";
  EXPECT_EQ(other_->Counts()->at(JobState::kRunning), 6);
}

// ---- telling of ends

TEST_P(JobRulesTest, WhoHasToTellOfAnEndIsKeptUntilItIsTold) {
  const Job told = Submit("told"), untold = Submit("untold");
  Move(Claim(told.id), kDone);
  Move(Claim(untold.id), kDone);
  const auto of_owl = [&] { return *other_->Jobs({.teller = "owl"}); };
  EXPECT_THAT(of_owl(), IsEmpty());
  ASSERT_TRUE(store_->SetTeller(told.id, "owl").ok());
  ASSERT_TRUE(store_->SetTeller(untold.id, "owl").ok());
  EXPECT_THAT(of_owl(), SizeIs(2));
  EXPECT_THAT(*other_->Jobs({.teller = "hawk"}), IsEmpty());
  const auto before = *other_->Transitions(told.id);
  ASSERT_TRUE(store_->SetTeller(told.id, "").ok());
  EXPECT_THAT(of_owl(), ElementsAre(Field(&Job::id, untold.id)));
  EXPECT_EQ(*other_->Transitions(told.id), before) << "no step of the job";
  EXPECT_EQ(store_->SetTeller(77, "owl").code(), StatusCode::kNotFound);
}

TEST_P(JobRulesTest, AJobIsFoundByItsUuid) {
  Submit("a");
  const Job job = Submit("b");
  EXPECT_THAT(*other_->Jobs({.uuid = "b"}), ElementsAre(job));
  EXPECT_THAT(*other_->Jobs({.uuid = "c"}), IsEmpty());
}

// ---- runs

TEST_P(JobRulesTest, SumsOverRunsNeitherFallNorCountTwice) {
  const Job job = Submit();
  for (int run = 1; run <= 3; ++run) {
    const JobClaim claim = Claim(job.id);
    for (const std::int64_t trials : {0, 4, 2, 4, 9, 8}) {
      ASSERT_TRUE(store_->Beat(claim, {trials, 100 * trials, ""}, now_, kTtl).ok());
    }
    Move(claim, kClosed, {1, 1, ""});
    EXPECT_EQ(Read(job.id).trials, 9 * run);
    EXPECT_EQ(Read(job.id).ran_ms, 900 * run);
  }
  EXPECT_THAT(*other_->RunsSince(0), Each(Field(&JobRun::trials, 9)));
}

TEST_P(JobRulesTest, RunsAreListedByTheirBeginningThenByJobAndEpoch) {
  const Job a = Submit("a"), b = Submit("b");
  Claim(b.id);
  now_ -= 20;  // a clock set back
  for (int run = 0; run < 2; ++run) Move(Claim(a.id), kClosed);
  std::vector<std::pair<std::int64_t, std::int64_t>> runs;
  const auto all = other_->RunsSince(0);
  for (const JobRun& run : *all) runs.emplace_back(run.job, run.epoch);
  EXPECT_THAT(runs, ElementsAre(std::pair(a.id, 1), std::pair(a.id, 2), std::pair(b.id, 1)));
  EXPECT_THAT(*other_->RunsSince(now_ + 1), ElementsAre(Field(&JobRun::job, b.id)));
}

// ---- forgetting

TEST_P(JobRulesTest, WhatIsForgottenTakesItsHistoryWithItAndNothingElse) {
  const Job old = Submit("old"), open = Submit("open"), held = Submit("held"),
            late = Submit("late");
  Move(Claim(old.id), kDone);
  Move(Claim(open.id), kClosed);
  Claim(held.id);
  now_ += 100;
  Move(Claim(late.id), kDone);
  EXPECT_EQ(*store_->ForgetBefore(now_), 1) << "ended before then";
  EXPECT_EQ(other_->JobOf(old.id).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(other_->Transitions(old.id).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(*other_->Jobs({}), SizeIs(3));
  EXPECT_THAT(*other_->RunsSince(0), SizeIs(3));
  for (const Job& job : {open, held, late})
    EXPECT_THAT(*other_->Transitions(job.id), SizeIs(::testing::Ge(2))) << job.job.uuid;
  EXPECT_EQ(*store_->ForgetBefore(now_), 0);
}

TEST_P(JobRulesTest, AnIdIsNotUsedAgainAndAUuidIs) {
  const Job last = Submit();
  Wish(last.id, JobWish::kCancel);
  ASSERT_EQ(*store_->ForgetBefore(now_ + 1), 1);
  const Job again = *queue_->Connect()->Submit(JobOfUuid("a"), now_);
  EXPECT_EQ(again.id, last.id + 1) << "though it was the newest";
}

TEST_P(JobRulesTest, WhatAnUnfinishedJobComesAfterIsNotForgotten) {
  const Job first = Submit("first"), other = Submit("other");
  NewJob second = JobOfUuid("second");
  second.after = {other.id, first.id};
  const Job waiting = *store_->Submit(second, now_);
  for (const Job& job : {first, other}) Move(Claim(job.id), kDone);
  EXPECT_EQ(*store_->ForgetBefore(now_ + 1), 0);
  EXPECT_EQ(Standing(first.id), "done(complete)");
  Wish(waiting.id, JobWish::kCancel);
  EXPECT_EQ(*store_->ForgetBefore(now_ + 1), 3);
}

}  // namespace
}  // namespace kiln
