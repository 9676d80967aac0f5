#include "daemon/verdict.h"

#include <gmock/gmock.h>

#include "tests/daemon/fake_night.h"

namespace kiln {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TunerEnded Word(TunerOutcome outcome, const std::string& text = "it says") {
  return {.outcome = outcome, .text = text};
}

// A job of the window `night` whose tuner has ended at 23:00, after five trials.
class VerdictTest : public testing::Test {
 protected:
  VerdictTest() {
    job_.id = 4;
    job_.job = FakeJob("a");
    job_.job.window = "night";
    end_.program.how = "exited with status 0";
    end_.trials = 5;
  }
  RunVerdict Judge() const { return JudgeRun(end_, job_, config_, now_); }
  JobStanding To() const { return Judge().to; }
  // What becomes of it if its tuner ended with such an error.
  RunVerdict Error(TunerTrouble trouble) {
    end_.word = Word(TunerOutcome::kError);
    end_.word->trouble = trouble;
    return Judge();
  }
  void Deadline(WallTime at) { job_.job.deadline_ms = ToUnixMs(at); }

  WallTime now_ = Noon(11);
  DaemonConfig config_ = NightConfig();
  Job job_;
  RunEnd end_;
};

TEST_F(VerdictTest, CompleteIsDoneWhateverElseWas) {
  end_.word = Word(TunerOutcome::kComplete);
  end_.wish = JobWish::kCancel;
  end_.shutting_down = true;
  Deadline(now_);
  EXPECT_EQ(To(), (JobStanding{JobState::kDone, JobReason::kComplete, "it says"}));
  EXPECT_FALSE(Judge().crashed);
}

TEST_F(VerdictTest, CancelledKeepsItsTrials) {
  for (const JobWish wish : {JobWish::kCancel, JobWish::kCancelNow}) {
    end_.wish = wish;
    EXPECT_EQ(To(), (JobStanding{JobState::kCancelled, JobReason::kUser,
                                 "cancelled; its 5 trials are kept"}));
  }
  end_.killed = true;  // and so without a word
  EXPECT_EQ(To().state, JobState::kCancelled);
  EXPECT_FALSE(Judge().crashed);
}

TEST_F(VerdictTest, PausedByHandSaysHowItGoesOn) {
  end_.wish = JobWish::kPause;
  end_.word = Word(TunerOutcome::kStopped);
  EXPECT_EQ(To(), (JobStanding{JobState::kPaused, JobReason::kHeld,
                               "paused by hand: `kiln resume 4` lets it go on"}));
}

TEST_F(VerdictTest, DeathWithoutAWordIsACrash) {
  end_.program = {.status = -11, .how = "killed by SIGSEGV", .last_line = ""};
  EXPECT_EQ(To(), (JobStanding{JobState::kQueued, JobReason::kRecovered,
                               "its tuner died: killed by SIGSEGV; it is tried again"}));
  EXPECT_TRUE(Judge().crashed);
  end_.program.last_line = "no memory";
  EXPECT_EQ(To().text, "its tuner died: killed by SIGSEGV: no memory; it is tried again");
}

TEST_F(VerdictTest, KilledForNotStoppingIsNoCrash) {
  end_.killed = true;
  now_ = Noon(18);  // the window is closed
  EXPECT_EQ(To(), (JobStanding{JobState::kPaused, JobReason::kWindow,
                               "window night opens Sat 22:00 UTC"}));
  EXPECT_FALSE(Judge().crashed);
}

TEST_F(VerdictTest, ErrorsAreWhatTheyAreOf) {
  const auto standing = [&](TunerTrouble trouble) { return Error(trouble).to; };
  EXPECT_EQ(standing(TunerTrouble::kModel),
            (JobStanding{JobState::kFailed, JobReason::kModel, "it says"}));
  EXPECT_EQ(standing(TunerTrouble::kTarget),
            (JobStanding{JobState::kFailed, JobReason::kTarget, "it says"}));
  EXPECT_EQ(standing(TunerTrouble::kError),
            (JobStanding{JobState::kFailed, JobReason::kError, "it says"}));
  EXPECT_EQ(standing(TunerTrouble::kNone),
            (JobStanding{JobState::kFailed, JobReason::kError, "it says"}));
  EXPECT_EQ(standing(TunerTrouble::kStore),
            (JobStanding{JobState::kQueued, JobReason::kStore, "it says"}));
  EXPECT_EQ(standing(TunerTrouble::kDevice),
            (JobStanding{JobState::kQueued, JobReason::kDevice, "it says"}));
}

TEST_F(VerdictTest, StoreThatIsFullRestsTheJobAndADeviceThatIsAwayTheTarget) {
  EXPECT_EQ(Error(TunerTrouble::kStore).rest_until, now_ + minutes(5));
  EXPECT_FALSE(Error(TunerTrouble::kStore).is_device_trouble);
  EXPECT_FALSE(Error(TunerTrouble::kDevice).rest_until);
  EXPECT_TRUE(Error(TunerTrouble::kDevice).is_device_trouble);
  for (const TunerTrouble trouble : {TunerTrouble::kModel, TunerTrouble::kError}) {
    EXPECT_FALSE(Error(trouble).rest_until);
    EXPECT_FALSE(Error(trouble).is_device_trouble);
    EXPECT_FALSE(Error(trouble).crashed);
  }
}

TEST_F(VerdictTest, DeadlineEndsWhatHasTrialsAndExpiresWhatHasNone) {
  Deadline(now_);
  end_.word = Word(TunerOutcome::kStopped);
  EXPECT_EQ(To(), (JobStanding{JobState::kDone, JobReason::kDeadline, "it says"}));
  end_.word.reset();
  end_.killed = true;
  EXPECT_EQ(To(), (JobStanding{JobState::kDone, JobReason::kDeadline,
                               "its deadline ended it; 5 trials are kept"}));
  end_.trials = 0;
  EXPECT_EQ(To(), (JobStanding{JobState::kExpired, JobReason::kDeadline,
                               "its deadline came before it had made a trial: submit it again "
                               "with a later one"}));
}

// It kept time for confirming.
TEST_F(VerdictTest, TunerThatEndsBeforeTheDeadlineThatItWasGivenHasMetIt) {
  Deadline(now_ + seconds(30));
  end_.word = Word(TunerOutcome::kTime);
  end_.limit = TimeLimit::kDeadline;
  EXPECT_EQ(To().state, JobState::kDone);
  EXPECT_EQ(To().reason, JobReason::kDeadline);
  end_.limit = TimeLimit::kWindow;
  EXPECT_EQ(To().state, JobState::kQueued) << "another limit";
}

TEST_F(VerdictTest, TimeBudgetThatIsUsedUpIsDone) {
  end_.word = Word(TunerOutcome::kTime);
  end_.limit = TimeLimit::kBudget;
  EXPECT_EQ(To(), (JobStanding{JobState::kDone, JobReason::kComplete, "it says"}));
}

TEST_F(VerdictTest, ClosedWindowPausesAlsoWhenTheDaemonEnds) {
  now_ = Noon(18);
  end_.word = Word(TunerOutcome::kTime);
  end_.limit = TimeLimit::kWindow;
  end_.shutting_down = true;
  EXPECT_EQ(To(), (JobStanding{JobState::kPaused, JobReason::kWindow,
                               "window night opens Sat 22:00 UTC"}));
  job_.job.window = "dawn";
  EXPECT_EQ(To(), (JobStanding{JobState::kPaused, JobReason::kWindow,
                               "its window is no longer in the daemon's configuration"}));
}

TEST_F(VerdictTest, EndOfTheDaemonQueuesWhatRan) {
  end_.word = Word(TunerOutcome::kStopped);
  end_.shutting_down = true;
  EXPECT_EQ(To(), (JobStanding{JobState::kQueued, JobReason::kTurn,
                               "its daemon was ended; it goes on when one runs"}));
}

TEST_F(VerdictTest, WhatConfirmedJustBeforeItsWindowClosesRestsUntilThen) {
  now_ = Noon(18) - seconds(119);
  end_.word = Word(TunerOutcome::kTime);
  end_.limit = TimeLimit::kWindow;
  EXPECT_EQ(To(), (JobStanding{JobState::kPaused, JobReason::kWindow,
                               "window night closes in a moment"}));
  EXPECT_EQ(Judge().rest_until, Noon(18));
  now_ = Noon(18) - minutes(2);  // time enough for more
  EXPECT_EQ(To(),
            (JobStanding{JobState::kQueued, JobReason::kTurn, "it goes on when its turn comes"}));
  EXPECT_FALSE(Judge().rest_until);
}

TEST_F(VerdictTest, WhatWasStoppedForAnythingElseGoesOn) {
  end_.word = Word(TunerOutcome::kStopped);
  job_.job.window.clear();  // at any time
  EXPECT_EQ(To(),
            (JobStanding{JobState::kQueued, JobReason::kTurn, "it goes on when its turn comes"}));
}

}  // namespace
}  // namespace kiln
