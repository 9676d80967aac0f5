#include "daemon/agenda.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <tuple>

#include "base/rng.h"
#include "tests/daemon/fake_night.h"

namespace kiln {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A queue of jobs, and what is decided about it at 23:00, when the window `night` is open.
class AgendaTest : public testing::Test {
 protected:
  Job& Add(const std::string& target = "rasp4b", const std::string& user = "ann") {
    Job job;
    job.id = static_cast<std::int64_t>(jobs_.size()) + 1;
    job.job = FakeJob(std::to_string(job.id), target);
    job.job.user = user;
    return jobs_.emplace_back(std::move(job));
  }
  Job& AddRunning(const std::string& target = "rasp4b", const std::string& user = "ann") {
    Job& job = Add(target, user);
    job.standing = {JobState::kRunning, JobReason::kTuning, "12 tasks"};
    return job;
  }
  void Used(const std::string& user, std::int64_t ms) {
    runs_.push_back({.job = 90, .user = user, .target = "rasp4b", .ran_ms = ms});
  }

  Agenda Make() {
    list_.assign(jobs_.begin(), jobs_.end());
    AgendaInput input{.config = config_, .now = now_, .jobs = list_, .runs = runs_};
    input.ended = ended_;
    input.trouble = trouble_;
    input.rests = rests_;
    input.check_target = [](const std::string& target) {
      return target == "rasp9" ? Error(StatusCode::kNotFound, "no target rasp9") : Status();
    };
    return MakeAgenda(input);
  }
  std::vector<std::int64_t> Starts() {
    std::vector<std::int64_t> ids;
    for (const Job& job : Make().start) ids.push_back(job.id);
    return ids;
  }
  // Of the one job that waits or ends.
  JobStanding Why() { return WhyOf(1); }
  JobStanding WhyOf(std::int64_t id) {
    for (const auto& each : Make().explain) {
      if (each.seen.id == id) return each.to;
    }
    ADD_FAILURE() << "nothing is said of job " << id;
    return {};
  }

  WallTime now_ = Noon(11);
  DaemonConfig config_ = NightConfig();
  std::deque<Job> jobs_;  // references stay good
  std::vector<Job> list_;
  std::vector<JobRun> runs_;
  std::map<std::int64_t, JobState> ended_;
  std::map<std::string, std::string> trouble_;
  std::map<std::int64_t, AgendaInput::Rest> rests_;
};

// ---- order

TEST_F(AgendaTest, PriorityComesFirst) {
  config_.jobs_per_target = 10;
  Add();
  Add().job.priority = 5;
  Add().job.priority = -5;
  EXPECT_THAT(Starts(), ElementsAre(2, 1, 3));
}

TEST_F(AgendaTest, DeadlineComesSecond) {
  config_.jobs_per_target = 10;
  Add();
  Add().job.deadline_ms = ToUnixMs(Noon(20));
  Add().job.deadline_ms = ToUnixMs(Noon(15));
  Job& urgent = Add();
  urgent.job.priority = 1;
  EXPECT_THAT(Starts(), ElementsAre(4, 3, 2, 1));
}

TEST_F(AgendaTest, WhoseUserHasFewerRunningComesThirdAsJobsBegin) {
  config_.jobs_per_target = 10;
  Add("rasp4b", "ann");
  Add("rasp4b", "ann");
  Add("rasp4b", "bob");
  EXPECT_THAT(Starts(), ElementsAre(1, 3, 2));
}

TEST_F(AgendaTest, WhoseUserHasUsedLessComesFourth) {
  config_.jobs_per_target = 10;
  Used("ann", 10'000);
  Add("rasp4b", "ann");
  Add("rasp4b", "bob");
  Add("rasp4b", "cem");
  EXPECT_THAT(Starts(), ElementsAre(2, 3, 1));
}

// ---- room

// Each that begins changes whose turn is next: against the plain way to say that.
TEST_F(AgendaTest, OrderIsThatOfTakingTheFirstAgainAndAgain) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed);
    jobs_.clear();
    config_.jobs_per_target = static_cast<std::int32_t>(rng.Between(1, 4));
    config_.jobs_per_user = static_cast<std::int32_t>(rng.Between(0, 2));
    const auto any = [&](std::vector<std::string> of) { return of[rng.Below(of.size())]; };
    for (int i = 0; i < 12; ++i) {
      Job& job = Add(any({"rasp4b", "pixel6"}), any({"ann", "bob", "cleo"}));
      job.job.priority = static_cast<std::int32_t>(rng.Below(2));
    }
    std::map<std::string, int> of_target, of_user;
    std::vector<Job> waiting(jobs_.begin(), jobs_.end());
    std::vector<std::int64_t> expected;
    while (!waiting.empty()) {
      const auto next = std::ranges::min_element(waiting, {}, [&](const Job& job) {
        return std::tuple(-job.job.priority, of_user[job.job.user], job.id);
      });
      const Job job = *next;
      waiting.erase(next);
      if (of_target[job.job.target] >= config_.jobs_per_target) continue;
      if (config_.jobs_per_user > 0 && of_user[job.job.user] >= config_.jobs_per_user) continue;
      ++of_target[job.job.target];
      ++of_user[job.job.user];
      expected.push_back(job.id);
    }
    EXPECT_EQ(Starts(), expected) << "seed " << seed;
  }
}

TEST_F(AgendaTest, TargetsTakeAsManyAsTheConfigurationSays) {
  config_.jobs_per_target = 2;
  for (int i = 0; i < 3; ++i) Add("rasp4b");
  Add("pixel6");
  EXPECT_THAT(Starts(), ElementsAre(1, 2, 4));
  EXPECT_EQ(WhyOf(3),
            (JobStanding{JobState::kQueued, JobReason::kTurn, "job 1 (ann) has rasp4b now"}));
}

TEST_F(AgendaTest, ThisMachineTakesOneWhateverItsTarget) {
  config_.tracker.clear();
  config_.jobs_per_target = 2;
  Add("rasp4b");
  Add("pixel6");
  Add("pixel6");
  EXPECT_THAT(Starts(), ElementsAre(1));
  EXPECT_EQ(WhyOf(2).text, "job 1 (ann) has this machine now");
  EXPECT_EQ(WhyOf(3).text, "job 1 (ann) has this machine now; 1 job before this one");
}

TEST_F(AgendaTest, WhatRunsHoldsItsPlaceAndIsNotExplained) {
  AddRunning("rasp4b", "bob");
  Add();
  const Agenda agenda = Make();
  EXPECT_THAT(agenda.start, IsEmpty());
  ASSERT_EQ(agenda.explain.size(), 1u);
  EXPECT_EQ(agenda.explain[0].to.text, "job 1 (bob) has rasp4b now");
}

TEST_F(AgendaTest, UserAtTheQuotaWaitsAndOthersGoOn) {
  config_.jobs_per_user = 1;
  AddRunning("pixel6");
  Add();
  Add("rasp4b", "bob");
  EXPECT_THAT(Starts(), ElementsAre(3));
  Job& alone = jobs_[1];
  alone.job.priority = 10;  // before bob's
  EXPECT_EQ(WhyOf(2), (JobStanding{JobState::kQueued, JobReason::kQuota,
                                   "ann has 1 job running, as many as one may"}));
}

// ---- obstacles, each with all that come after it in the way too

TEST_F(AgendaTest, FirstObstacleIsTheOneThatIsSaid) {
  Job& job = Add("rasp9");
  job.job.deadline_ms = ToUnixMs(now_);
  job.job.after = {7};
  job.job.window = "night";
  now_ = Noon();  // it is closed
  trouble_ = {{"rasp9", "no device"}, {"rasp4b", "no device"}};
  rests_ = {{1, {Noon(1), {JobState::kQueued, JobReason::kStore, "the disk is full"}}}};
  ended_ = {{7, JobState::kFailed}};
  job.job.deadline_ms = ToUnixMs(now_);
  EXPECT_EQ(Why().reason, JobReason::kDeadline);
  job.job.deadline_ms.reset();
  EXPECT_EQ(Why(), (JobStanding{JobState::kFailed, JobReason::kTarget, "no target rasp9"}));
  job.job.target = "rasp4b";
  EXPECT_EQ(Why().reason, JobReason::kDependency);
  ended_ = {{7, JobState::kDone}};
  EXPECT_EQ(Why(), (JobStanding{JobState::kQueued, JobReason::kWindow,
                                "window night opens Fri 22:00 UTC"}));
  job.job.window.clear();
  EXPECT_EQ(Why(), (JobStanding{JobState::kQueued, JobReason::kStore, "the disk is full"}));
  rests_.clear();
  EXPECT_EQ(Why(), (JobStanding{JobState::kQueued, JobReason::kDevice, "no device"}));
  trouble_.clear();
  EXPECT_THAT(Starts(), ElementsAre(1));
}

TEST_F(AgendaTest, WhatHasBegunWaitsAsPaused) {
  Job& job = Add();
  job.standing = {JobState::kPaused, JobReason::kWindow, "window night opens"};
  trouble_ = {{"rasp4b", "no device"}};
  EXPECT_EQ(Why(), (JobStanding{JobState::kPaused, JobReason::kDevice, "no device"}));
  trouble_.clear();
  EXPECT_THAT(Starts(), ElementsAre(1));
}

TEST_F(AgendaTest, WhatAPersonPausedStaysUntilItsDeadline) {
  Job& job = Add();
  job.standing = {JobState::kPaused, JobReason::kHeld, "paused by hand"};
  EXPECT_THAT(Make().explain, IsEmpty());
  EXPECT_THAT(Starts(), IsEmpty());
  job.job.deadline_ms = ToUnixMs(now_);
  EXPECT_EQ(Why(), (JobStanding{JobState::kExpired, JobReason::kDeadline,
                                "its deadline, Fri 2026-11-27 23:00 UTC, came before it could "
                                "begin (paused by hand): submit it again with a later one"}));
}

TEST_F(AgendaTest, DeadlineIsTheEndOfWhatHasTrials) {
  Job& job = Add();
  job.job.deadline_ms = ToUnixMs(now_);
  job.trials = 1;
  EXPECT_EQ(Why(), (JobStanding{JobState::kDone, JobReason::kDeadline,
                                "its deadline, Fri 2026-11-27 23:00 UTC, ended it after 1 trial"}));
  job.trials = 2;
  EXPECT_THAT(Why().text, HasSubstr("after 2 trials"));
}

TEST_F(AgendaTest, PredecessorsAreNamedWithWhatToDo) {
  Job& job = Add();
  AddRunning("pixel6");
  job.job.after = {2};
  EXPECT_EQ(Why().text, "comes after job 2, which is running");
  job.job.after = {5};
  EXPECT_EQ(Why().text, "comes after job 5, which is forgotten: cancel this one");
  ended_ = {{5, JobState::kCancelled}};
  EXPECT_EQ(Why().text,
            "comes after job 5, which ended as cancelled: cancel this one, or submit it again "
            "without --after");
  ended_ = {{5, JobState::kDone}, {6, JobState::kDone}};
  job.job.after = {5, 6, 2};
  EXPECT_EQ(Why().text, "comes after job 2, which is running") << "all must be done";
  job.job.after = {5, 6};
  EXPECT_THAT(Starts(), ElementsAre(1));
}

TEST_F(AgendaTest, WindowThatIsNotConfiguredIsClosed) {
  Add().job.window = "dawn";
  EXPECT_EQ(Why(), (JobStanding{JobState::kQueued, JobReason::kWindow,
                                "its window `dawn` is not in the daemon's configuration: add it "
                                "there, or submit again with another --window"}));
}

TEST_F(AgendaTest, NothingBeginsThatWouldHaveToStopAtOnce) {
  Add().job.window = "night";
  now_ = Noon(18) - seconds(9);
  EXPECT_EQ(Why().text, "window night closes in a moment");
  now_ = Noon(18) - seconds(10);
  EXPECT_THAT(Starts(), ElementsAre(1));
}

TEST_F(AgendaTest, RestThatIsOverIsNoObstacle) {
  Add();
  rests_ = {{1, {now_, {JobState::kQueued, JobReason::kStore, "the disk is full"}}}};
  EXPECT_THAT(Starts(), ElementsAre(1));
}

// ---- when it may be otherwise

TEST_F(AgendaTest, LooksAgainAfterAMinuteAtTheLatest) {
  EXPECT_EQ(Make().until, now_ + minutes(1));
  Add().job.window = "night";
  EXPECT_EQ(Make().until, now_ + minutes(1));
}

TEST_F(AgendaTest, LooksAgainAtTheNextBoundDeadlineOrEndOfARest) {
  Job& job = Add();
  job.job.window = "night";
  now_ = Noon(10) - seconds(40);
  EXPECT_EQ(Make().until, Noon(10));
  job.job.deadline_ms = ToUnixMs(now_ + seconds(30));
  EXPECT_EQ(Make().until, now_ + seconds(30));
  now_ = Noon(11);
  job.job.deadline_ms.reset();
  rests_ = {{1, {now_ + seconds(20), {JobState::kQueued, JobReason::kStore, "full"}}}};
  EXPECT_EQ(Make().until, now_ + seconds(20));
  // Also of what nobody but a person lets go on.
  rests_.clear();
  job.standing = {JobState::kPaused, JobReason::kHeld, "paused"};
  job.job.deadline_ms = ToUnixMs(now_ + seconds(5));
  EXPECT_EQ(Make().until, now_ + seconds(5));
}

// ---- the end of a job

TEST_F(AgendaTest, EndIsThatOfTheWindowOrTheDeadline) {
  Job& job = Add();
  EXPECT_FALSE(EndOf(config_, job, now_));
  job.job.window = "night";
  EXPECT_EQ(EndOf(config_, job, now_)->at, Noon(18));
  EXPECT_FALSE(EndOf(config_, job, now_)->is_deadline);
  job.job.deadline_ms = ToUnixMs(Noon(17));
  EXPECT_EQ(EndOf(config_, job, now_)->at, Noon(17));
  EXPECT_TRUE(EndOf(config_, job, now_)->is_deadline);
  job.job.deadline_ms = ToUnixMs(Noon(19));
  EXPECT_EQ(EndOf(config_, job, now_)->at, Noon(18));
  // It is closed, or gone: at once.
  EXPECT_EQ(EndOf(config_, job, Noon(20))->at, Noon(20));
  job.job.window = "dawn";
  EXPECT_EQ(EndOf(config_, job, now_)->at, now_);
  job.job.window.clear();
  EXPECT_EQ(EndOf(config_, job, now_)->at, Noon(19));
}

}  // namespace
}  // namespace kiln
