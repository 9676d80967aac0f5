// The daemon's decisions, with a clock, tuners and a reactor of the test's.

#include "daemon/night_daemon.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/daemon/fake_night.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// What the observer was told.
class Recorder final : public NightObserver {
 public:
  void OnTransition(const Job& job) override { ended_ += IsFinal(job.standing.state); }
  void OnTunerEvent(const Job&, const TunerEvent&) override {}
  void OnTick() override { ++ticks_; }
  int ended() const { return ended_; }
  int ticks() const { return ticks_; }

 private:
  int ended_ = 0, ticks_ = 0;
};

class NightDaemonTest : public ::testing::Test {
 protected:
  explicit NightDaemonTest(WallTime start = Noon(11)) : clock_(start) {}  // 23:00

  void StartDaemon() {
    night_ = NightDaemon::Create(
        {.reactor = reactor_,
         .clock = clock_,
         .store = lockable_,
         .tuners = tuners_,
         .observer = &recorder_,
         .check_target =
             [this](const std::string& target) {
               if (!lookup_.ok()) return lookup_;
               return target == "rasp9"
                          ? Error(StatusCode::kNotFound, "unknown target rasp9: see `kiln targets`")
                          : Status();
             }},
        config_, "/db", "owl/" + std::to_string(++instance_));
    night_->Start();
    reactor_.RunDue();
  }

  Job Submit(NewJob job) {
    const auto submitted = store_->Submit(job, ToUnixMs(clock_.Today()));
    EXPECT_TRUE(submitted.ok()) << submitted.status();
    if (night_) night_->Evaluate();
    return *store_->JobOf(submitted->id);
  }
  Job SubmitNightly(const std::string& uuid, const std::string& target = "rasp4b") {
    NewJob job = FakeJob(uuid, target);
    job.window = "night";
    return Submit(job);
  }
  JobStanding Standing(std::int64_t id) { return store_->JobOf(id)->standing; }
  void Wish(std::int64_t id, JobWish wish) {
    ASSERT_TRUE(store_->Wish(id, wish, "ann", ToUnixMs(clock_.Today())).ok());
    night_->Evaluate();
  }
  void Step(std::chrono::nanoseconds by) {
    clock_.Step(by);
    night_->Evaluate();
  }
  static TunerEnded Complete(std::int64_t made = 10) {
    return {.outcome = TunerOutcome::kComplete, .text = "all trials made", .made = made};
  }
  static TunerEnded Stopped(std::int64_t made = 10) {
    return {.outcome = TunerOutcome::kStopped, .text = "stopped", .made = made};
  }
  static TunerEnded Error(TunerTrouble trouble, const std::string& text) {
    return {.outcome = TunerOutcome::kError, .trouble = trouble, .text = text};
  }
  template <typename... Parts>
  static Status Error(StatusCode code, const Parts&... parts) {
    return kiln::Error(code, parts...);
  }

  FakeClock clock_;
  FakeReactor reactor_{clock_};
  FakeTuners tuners_{reactor_};
  std::unique_ptr<JobStore> store_ = NewMemoryJobStore();
  LockableJobStore lockable_{*store_};
  Status lookup_;  // of targets
  Recorder recorder_;
  DaemonConfig config_ = NightConfig();
  int instance_ = 0;
  std::shared_ptr<NightDaemon> night_;
};

class NightDaemonAtNoonTest : public NightDaemonTest {
 protected:
  NightDaemonAtNoonTest() : NightDaemonTest(Noon()) {}
};

TEST_F(NightDaemonAtNoonTest, JobWaitsForItsWindowAndBeginsWithIt) {
  StartDaemon();
  const Job job = SubmitNightly("a");
  EXPECT_EQ(job.standing.reason, JobReason::kWindow);
  EXPECT_THAT(job.standing.text, HasSubstr("window night opens Fri 22:00"));
  EXPECT_THAT(tuners_.Running(), IsEmpty());
  reactor_.Run(hours(10) - seconds(1));
  EXPECT_THAT(tuners_.Running(), IsEmpty());
  reactor_.Run(seconds(1));
  EXPECT_THAT(tuners_.Running(), ElementsAre(job.id));
  // All of the window.
  EXPECT_NEAR(*tuners_.Of(job.id)->order.seconds, 8 * 3600, 1);
}

TEST_F(NightDaemonTest, JobOfAClosedWindowIsStoppedAndGoesOnTheNextNight) {
  StartDaemon();
  const Job job = SubmitNightly("a");
  const auto tuner = tuners_.Of(job.id);
  ASSERT_NE(tuner, nullptr);
  reactor_.Run(hours(7));  // 06:00
  EXPECT_TRUE(tuner->stopped);
  tuner->End(Stopped());
  EXPECT_EQ(Standing(job.id).state, JobState::kPaused);
  EXPECT_EQ(Standing(job.id).reason, JobReason::kWindow);
  reactor_.Run(hours(15));
  EXPECT_THAT(tuners_.Running(), IsEmpty());
  reactor_.Run(hours(1));  // 22:00
  EXPECT_THAT(tuners_.Running(), ElementsAre(job.id));
  tuners_.Of(job.id)->Say(TunerBegun{.tasks = 3});
  tuners_.Of(job.id)->End(Complete(7));
  EXPECT_EQ(Standing(job.id).state, JobState::kDone);
  EXPECT_EQ(store_->JobOf(job.id)->trials, 17);
  EXPECT_EQ(recorder_.ended(), 1);
}

TEST_F(NightDaemonTest, TunerThatDoesNotStopIsKilledAfterTheGrace) {
  StartDaemon();
  const Job job = SubmitNightly("a");
  const auto tuner = tuners_.Of(job.id);
  reactor_.Run(hours(7));
  EXPECT_TRUE(tuner->stopped);
  reactor_.Run(seconds(29));
  EXPECT_FALSE(tuner->killed);
  reactor_.Run(seconds(2));
  EXPECT_TRUE(tuner->killed);
  EXPECT_EQ(Standing(job.id).state, JobState::kPaused);
  EXPECT_EQ(store_->JobOf(job.id)->crashes, 0);  // it was asked to go
}

// While a tuner ends its trials there is nothing to look at but its time of grace.
TEST_F(NightDaemonTest, LooksRarelyAtWhatIsEnding) {
  config_.grace = hours(1);
  StartDaemon();
  SubmitNightly("a");
  reactor_.Run(hours(7) + seconds(1));
  const int before = recorder_.ticks();
  reactor_.Run(minutes(10));
  EXPECT_LE(recorder_.ticks() - before, 60 + 10) << "signs of life, and once a minute";
}

TEST_F(NightDaemonTest, TunerThatConfirmedInTimeRestsUntilTheNextNight) {
  StartDaemon();
  const Job job = SubmitNightly("a");
  reactor_.Run(hours(7) - seconds(20));
  tuners_.Of(job.id)->End({.outcome = TunerOutcome::kTime, .text = "", .made = 5});
  EXPECT_EQ(Standing(job.id).state, JobState::kPaused);
  reactor_.Run(seconds(19));
  EXPECT_THAT(tuners_.Running(), IsEmpty());
}

TEST_F(NightDaemonTest, ClockThatIsSetOpensAndClosesWindows) {
  StartDaemon();
  const Job job = SubmitNightly("a");
  const auto tuner = tuners_.Of(job.id);
  Step(hours(8));  // 07:00
  EXPECT_TRUE(tuner->stopped);
  tuner->End(Stopped());
  EXPECT_EQ(Standing(job.id).reason, JobReason::kWindow);
  Step(-hours(8));
  EXPECT_THAT(tuners_.Running(), ElementsAre(job.id));
}

TEST_F(NightDaemonTest, LeaseOfOneThatRunsOutlivesAClockThatIsSet) {
  StartDaemon();
  const Job job = Submit(FakeJob("a"));
  for (const int hour : {1, -2, 3}) Step(hours(hour));
  reactor_.Run(minutes(5));
  EXPECT_THAT(tuners_.Running(), ElementsAre(job.id));
  EXPECT_EQ(store_->JobOf(job.id)->epoch, 1);
}

TEST_F(NightDaemonTest, PriorityThenDeadlineThenFairShareThenArrival) {
  NewJob first = FakeJob("first"), second = FakeJob("second"), urgent = FakeJob("urgent"),
         due = FakeJob("due"), other = FakeJob("other");
  urgent.priority = 5;
  due.deadline_ms = ToUnixMs(clock_.Today() + hours(2));
  other.user = "bob";
  std::vector<std::int64_t> ids;
  for (const NewJob& job : {first, second, urgent, due, other}) ids.push_back(Submit(job).id);
  StartDaemon();
  std::vector<std::string> order;
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(tuners_.Running().size(), 1u);
    const std::int64_t id = tuners_.Running().front();
    order.push_back(store_->JobOf(id)->job.uuid);
    reactor_.Run(minutes(10));
    tuners_.Of(id)->End(Complete());
    reactor_.RunDue();
  }
  // Ann has had twenty minutes when bob's is looked at.
  EXPECT_THAT(order, ElementsAre("urgent", "due", "other", "first", "second"));
}

TEST_F(NightDaemonTest, TargetsOfAFarmRunBesideEachOther) {
  StartDaemon();
  const Job a = Submit(FakeJob("a")), b = Submit(FakeJob("b", "pixel")), c = Submit(FakeJob("c"));
  EXPECT_THAT(tuners_.Running(), UnorderedElementsAre(a.id, b.id));
  EXPECT_EQ(Standing(c.id).reason, JobReason::kTurn);
  EXPECT_EQ(Standing(c.id).text, "job 1 (ann) has rasp4b now");
}

TEST_F(NightDaemonTest, ThisMachineTakesOneJob) {
  config_.tracker = "";
  StartDaemon();
  const Job a = Submit(FakeJob("a")), b = Submit(FakeJob("b", "pixel"));
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
  EXPECT_EQ(Standing(b.id).text, "job 1 (ann) has this machine now");
}

TEST_F(NightDaemonTest, QuotaOfAUser) {
  config_.jobs_per_user = 1;
  StartDaemon();
  Submit(FakeJob("a"));
  const Job b = Submit(FakeJob("b", "pixel"));
  EXPECT_EQ(Standing(b.id).reason, JobReason::kQuota);
  EXPECT_THAT(Standing(b.id).text, HasSubstr("ann has 1 job running"));
}

TEST_F(NightDaemonTest, JobAfterAnotherWaitsForItsEnd) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  NewJob follower = FakeJob("b", "pixel");
  follower.after = {a.id};
  const Job b = Submit(follower);
  EXPECT_EQ(Standing(b.id).reason, JobReason::kDependency);
  EXPECT_EQ(Standing(b.id).text, "comes after job 1, which is running");
  tuners_.Of(a.id)->End(Complete());
  reactor_.RunDue();
  EXPECT_THAT(tuners_.Running(), ElementsAre(b.id));
}

TEST_F(NightDaemonTest, JobAfterOneThatFailedSaysSo) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  NewJob follower = FakeJob("b", "pixel");
  follower.after = {a.id};
  const Job b = Submit(follower);
  tuners_.Of(a.id)->End(Error(TunerTrouble::kModel, "m.tflite is gone"));
  reactor_.RunDue();
  EXPECT_EQ(Standing(a.id),
            (JobStanding{JobState::kFailed, JobReason::kModel, "m.tflite is gone"}));
  EXPECT_THAT(Standing(b.id).text, HasSubstr("comes after job 1, which ended as failed: cancel"));
}

TEST_F(NightDaemonTest, UnknownTargetFailsAtOnce) {
  StartDaemon();
  EXPECT_EQ(Standing(Submit(FakeJob("a", "rasp9")).id),
            (JobStanding{JobState::kFailed, JobReason::kTarget,
                         "unknown target rasp9: see `kiln targets`"}));
  EXPECT_EQ(recorder_.ended(), 1);
}

TEST_F(NightDaemonTest, DeviceThatIsAwayIsTriedAgainAndHoldsUpItsTargetAlone) {
  StartDaemon();
  const Job a = Submit(FakeJob("a")), b = Submit(FakeJob("b"));
  tuners_.Of(a.id)->End(Error(TunerTrouble::kDevice, "no rasp4b device is registered at farm:1"));
  reactor_.RunDue();
  for (const Job& job : {a, b}) {
    EXPECT_EQ(Standing(job.id), (JobStanding{JobState::kQueued, JobReason::kDevice,
                                             "no rasp4b device is registered at farm:1"}));
  }
  const Job c = Submit(FakeJob("c", "pixel"));
  EXPECT_THAT(tuners_.Running(), ElementsAre(c.id));
  reactor_.Run(seconds(31));
  EXPECT_THAT(tuners_.Running(), UnorderedElementsAre(a.id, c.id));
}

TEST_F(NightDaemonTest, DatabaseThatTakesNoMoreIsTriedAgain) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  tuners_.Of(a.id)->End(Error(TunerTrouble::kStore, "/db: disk full: free some space"));
  reactor_.RunDue();
  EXPECT_EQ(Standing(a.id),
            (JobStanding{JobState::kQueued, JobReason::kStore, "/db: disk full: free some space"}));
  reactor_.Run(minutes(6));
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
}

TEST_F(NightDaemonTest, DatabaseThatIsLockedForLongCostsNoJob) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  lockable_.refusal = Error(StatusCode::kUnavailable, "/db has been locked by another program");
  reactor_.Run(minutes(5));
  EXPECT_EQ(night_->store_trouble(), "/db has been locked by another program");
  lockable_.refusal = Status();
  reactor_.Run(minutes(1));
  EXPECT_EQ(night_->store_trouble(), "");
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
  EXPECT_EQ(tuners_.all.size(), 1u);
  EXPECT_EQ(store_->JobOf(a.id)->epoch, 1);
  EXPECT_EQ(store_->JobOf(a.id)->crashes, 0);
}

// Each question to a locked database waits for it, with clients and the watchdog behind it.
TEST_F(NightDaemonTest, DatabaseThatIsLockedIsAskedOnceATick) {
  config_.jobs_per_target = 8;
  StartDaemon();
  for (int i = 0; i < 8; ++i) Submit(FakeJob(std::to_string(i)));
  ASSERT_EQ(tuners_.Running().size(), 8u);
  lockable_.refusal = Error(StatusCode::kUnavailable, "/db has been locked by another program");
  night_->Evaluate();
  for (int tick = 0; tick < 5; ++tick) {
    const int before = lockable_.refusals;
    night_->Evaluate();
    EXPECT_EQ(lockable_.refusals - before, 1);
  }
  lockable_.refusal = Status();
  reactor_.Run(seconds(2));
  EXPECT_EQ(night_->store_trouble(), "") << "it is soon asked again";
}

TEST_F(NightDaemonTest, TunerThatDoesNotGoAfterItsLastWordIsKilledAndItsWordCounts) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  const auto tuner = tuners_.Of(a.id);
  tuner->Say(Complete(9));
  reactor_.Run(seconds(29));
  EXPECT_FALSE(tuner->killed);
  reactor_.Run(seconds(12));
  EXPECT_TRUE(tuner->killed);
  EXPECT_EQ(Standing(a.id),
            (JobStanding{JobState::kDone, JobReason::kComplete, "all trials made"}));
  EXPECT_EQ(store_->JobOf(a.id)->trials, 9);
}

// With a lease that is longer than ours.
TEST_F(NightDaemonTest, ClockThatIsSetTakesNothingFromAnotherDaemonThatLives) {
  StartDaemon();
  const Job a = Submit(FakeJob("a", "pixel6"));
  tuners_.Of(a.id)->End(Complete());
  const Job b = *store_->Submit(FakeJob("b"), ToUnixMs(clock_.Today()));
  const auto claim = store_->Claim(b.id, "hawk/1", ToUnixMs(clock_.Today()), minutes(10));
  ASSERT_TRUE(claim.ok());
  Step(hours(1));
  for (int minute = 0; minute < 9; ++minute) {
    reactor_.Run(minutes(1));
    EXPECT_EQ(store_->JobOf(b.id)->holder, "hawk/1") << minute;
  }
  reactor_.Run(minutes(3));
  EXPECT_EQ(store_->JobOf(b.id)->holder, "owl/1") << "it has had its time to say so";
}

TEST_F(NightDaemonTest, RestEndsWithAClockThatIsSetBack) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  tuners_.Of(a.id)->End(Error(TunerTrouble::kStore, "/db: disk full"));
  reactor_.RunDue();
  EXPECT_THAT(tuners_.Running(), IsEmpty());
  Step(-hours(10));
  reactor_.Run(minutes(2));
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
}

TEST_F(NightDaemonTest, TargetThatCannotBeLookedUpNowIsNoUnknownOne) {
  lookup_ = Error(StatusCode::kResourceExhausted, "too many open files");
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  EXPECT_EQ(Standing(a.id),
            (JobStanding{JobState::kQueued, JobReason::kDevice, "too many open files"}));
  lookup_ = Status();
  reactor_.Run(minutes(2));
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
}

TEST_F(NightDaemonTest, TunerThatCrashesThreeTimesIsPoison) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  for (int crash = 1; crash <= 3; ++crash) {
    ASSERT_THAT(tuners_.Running(), ElementsAre(a.id)) << crash;
    tuners_.Of(a.id)->Die({.status = -11, .how = "killed by SIGSEGV", .last_line = "oh"});
    reactor_.RunDue();
  }
  EXPECT_EQ(Standing(a.id).state, JobState::kFailed);
  EXPECT_EQ(Standing(a.id).reason, JobReason::kPoison);
  EXPECT_THAT(Standing(a.id).text, HasSubstr("killed by SIGSEGV: oh"));
  EXPECT_THAT(tuners_.Running(), IsEmpty());
}

TEST_F(NightDaemonTest, DaemonThatDiesIsFollowedByOneThatGoesOn) {
  StartDaemon();
  const Job a = SubmitNightly("a");
  night_.reset();  // as SIGKILL does it: nothing is written
  reactor_.Run(seconds(3));
  StartDaemon();
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
  const Job now = *store_->JobOf(a.id);
  EXPECT_EQ(now.epoch, 2);
  EXPECT_EQ(now.crashes, 1);
}

TEST_F(NightDaemonTest, JobOfADaemonThatIsGoneIsTakenOverWhenItsLeaseEnds) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  night_.reset();
  tuners_.all.clear();
  config_.name = "hawk";
  night_ = NightDaemon::Create(
      {.reactor = reactor_, .clock = clock_, .store = *store_, .tuners = tuners_}, config_, "/db",
      "hawk/1");
  night_->Start();
  reactor_.Run(seconds(25));
  EXPECT_THAT(tuners_.Running(), IsEmpty());
  reactor_.Run(seconds(40));
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
}

TEST_F(NightDaemonTest, TwoDaemonsShareAQueue) {
  StartDaemon();
  DaemonConfig other = config_;
  other.name = "hawk";
  const auto hawk = NightDaemon::Create(
      {.reactor = reactor_, .clock = clock_, .store = *store_, .tuners = tuners_}, other, "/db",
      "hawk/1");
  hawk->Start();
  const Job a = Submit(FakeJob("a"));
  hawk->Evaluate();
  reactor_.Run(minutes(10));
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
  EXPECT_EQ(tuners_.all.size(), 1u);
}

TEST_F(NightDaemonTest, PauseStopsAndResumeGoesOn) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  const auto tuner = tuners_.Of(a.id);
  Wish(a.id, JobWish::kPause);
  EXPECT_TRUE(tuner->stopped);
  tuner->End(Stopped());
  reactor_.Run(hours(1));
  EXPECT_EQ(Standing(a.id), (JobStanding{JobState::kPaused, JobReason::kHeld,
                                         "paused by hand: `kiln resume 1` lets it go on"}));
  Wish(a.id, JobWish::kNone);
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
}

TEST_F(NightDaemonTest, CancelStopsAndCancelNowKills) {
  StartDaemon();
  const Job a = Submit(FakeJob("a")), b = Submit(FakeJob("b", "pixel"));
  Wish(a.id, JobWish::kCancel);
  EXPECT_TRUE(tuners_.Of(a.id)->stopped);
  EXPECT_FALSE(tuners_.Of(a.id)->killed);
  Wish(b.id, JobWish::kCancelNow);
  EXPECT_TRUE(tuners_.Of(b.id)->killed);
  reactor_.RunDue();
  EXPECT_EQ(Standing(b.id).state, JobState::kCancelled);
  tuners_.Of(a.id)->End(Stopped());
  EXPECT_EQ(Standing(a.id).state, JobState::kCancelled);
  EXPECT_EQ(store_->JobOf(a.id)->trials, 10);
}

TEST_F(NightDaemonTest, DeadlineEndsWhatRunsAndExpiresWhatNeverDid) {
  StartDaemon();
  NewJob job = FakeJob("a"), late = FakeJob("b");
  job.deadline_ms = late.deadline_ms = ToUnixMs(clock_.Today() + hours(1));
  const Job a = Submit(job), b = Submit(late);
  EXPECT_NEAR(*tuners_.Of(a.id)->order.seconds, 3600, 1);
  reactor_.Run(hours(1));
  EXPECT_TRUE(tuners_.Of(a.id)->stopped);
  tuners_.Of(a.id)->Say(TunerTrial{.made = 4});
  tuners_.Of(a.id)->End(Stopped(4));
  reactor_.RunDue();
  EXPECT_EQ(Standing(a.id).state, JobState::kDone);
  EXPECT_EQ(Standing(a.id).reason, JobReason::kDeadline);
  EXPECT_EQ(Standing(b.id).state, JobState::kExpired);
  EXPECT_THAT(Standing(b.id).text, HasSubstr("came before it could begin"));
}

TEST_F(NightDaemonTest, TimeBudgetCountsOverRuns) {
  StartDaemon();
  NewJob job = FakeJob("a");
  job.spec = ToJson(
      JobSpec{.networks = {{.network = "mobilenet_v1"}}, .target = "rasp4b", .seconds = 600});
  const Job a = Submit(job);
  EXPECT_NEAR(*tuners_.Of(a.id)->order.seconds, 600, 1);
  reactor_.Run(minutes(4));
  Wish(a.id, JobWish::kPause);
  tuners_.Of(a.id)->End(Stopped());
  Wish(a.id, JobWish::kNone);
  EXPECT_NEAR(*tuners_.Of(a.id)->order.seconds, 360, 2);
  reactor_.Run(minutes(6));
  tuners_.Of(a.id)->End({.outcome = TunerOutcome::kTime, .text = "time is up", .made = 3});
  EXPECT_EQ(Standing(a.id), (JobStanding{JobState::kDone, JobReason::kComplete, "time is up"}));
}

TEST_F(NightDaemonAtNoonTest, SeriesHasOneJobANight) {
  NewJob job = FakeJob("");
  job.window = "night";
  ASSERT_TRUE(store_->PutSeries({"fresh", job, "05:00", 0}).ok());
  StartDaemon();
  EXPECT_THAT(*store_->Jobs({}), IsEmpty());
  for (int night = 0; night < 3; ++night) {
    reactor_.Run(hours(10) + minutes(1));
    const std::vector<Job> jobs = *store_->Jobs({});
    ASSERT_EQ(jobs.size(), static_cast<std::size_t>(night + 1));
    EXPECT_EQ(jobs[0].job.occurrence, "2026-11-" + std::to_string(27 + night));
    EXPECT_EQ(*jobs[0].job.deadline_ms, ToUnixMs(Noon(17 + 24 * night)));
    Step(hours(1));  // neither one more nor one less for a clock that is set
    Step(-hours(1));
    tuners_.Of(jobs[0].id)->End(Complete());
    night_.reset();
    StartDaemon();
    reactor_.Run(hours(14) - minutes(1));
  }
  EXPECT_EQ(store_->Jobs({})->size(), 3u);
}

TEST_F(NightDaemonAtNoonTest, SeriesWhoseJobIsNotDoneGoesOnWithIt) {
  NewJob job = FakeJob("");
  job.window = "night";
  ASSERT_TRUE(store_->PutSeries({"fresh", job, "", 0}).ok());
  StartDaemon();
  reactor_.Run(hours(18));
  tuners_.Of(1)->End(Stopped());
  reactor_.Run(hours(24));
  EXPECT_EQ(store_->Jobs({})->size(), 1u);
}

TEST_F(NightDaemonTest, EndOfTheDaemonLetsJobsGoOnLater) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  bool done = false;
  night_->Stop([&done] { done = true; });
  EXPECT_TRUE(tuners_.Of(a.id)->stopped);
  EXPECT_FALSE(done);
  tuners_.Of(a.id)->End(Stopped());
  EXPECT_TRUE(done);
  EXPECT_EQ(Standing(a.id), (JobStanding{JobState::kQueued, JobReason::kTurn,
                                         "its daemon was ended; it goes on when one runs"}));
  EXPECT_EQ(store_->JobOf(a.id)->crashes, 0);
}

TEST_F(NightDaemonTest, ConfirmingIsFinishing) {
  StartDaemon();
  const Job a = Submit(FakeJob("a"));
  tuners_.Of(a.id)->Say(TunerWaiting{"waiting for a rasp4b device: 0 registered"});
  EXPECT_EQ(Standing(a.id), (JobStanding{JobState::kRunning, JobReason::kStarting,
                                         "waiting for a rasp4b device: 0 registered"}));
  tuners_.Of(a.id)->Say(TunerWaiting{""});
  tuners_.Of(a.id)->Say(TunerBegun{.tasks = 12});
  EXPECT_EQ(Standing(a.id), (JobStanding{JobState::kRunning, JobReason::kTuning, "12 tasks"}));
  tuners_.Of(a.id)->Say(TunerWaiting{"waiting for a rasp4b device: 1 registered, 1 leased by bob"});
  EXPECT_THAT(Standing(a.id).text, HasSubstr("leased by bob"));
  tuners_.Of(a.id)->Say(TunerWaiting{""});
  EXPECT_EQ(Standing(a.id).text, "12 tasks");
  tuners_.Of(a.id)->Say(TunerPhase{.confirming = true});
  EXPECT_EQ(Standing(a.id).state, JobState::kFinishing);
}

TEST_F(NightDaemonTest, ReloadedConfigurationClosesItsWindows) {
  StartDaemon();
  const Job a = SubmitNightly("a");
  DaemonConfig without = config_;
  without.windows.clear();
  night_->Reload(without);
  EXPECT_TRUE(tuners_.Of(a.id)->stopped);
  tuners_.Of(a.id)->End(Stopped());
  reactor_.RunDue();
  EXPECT_THAT(Standing(a.id).text, HasSubstr("is not in the daemon's configuration"));
  night_->Reload(config_);
  EXPECT_THAT(tuners_.Running(), ElementsAre(a.id));
}

TEST_F(NightDaemonTest, WindowThatNeverOpensSaysSo) {
  config_.windows.emplace_back(
      WindowRule{.name = "never", .from_minute = 22 * 60, .to_minute = 22 * 60}, config_.zone);
  StartDaemon();
  NewJob job = FakeJob("a");
  job.window = "never";
  EXPECT_THAT(Standing(Submit(job).id).text,
              HasSubstr("window never never opens: 22:00-22:00 is empty"));
}

}  // namespace
}  // namespace kiln
