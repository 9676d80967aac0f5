#include "daemon/job_view.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "tests/base/temporary_directory.h"
#include "tests/daemon/fake_night.h"

namespace kiln {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

using Names = std::set<std::string>;

// ---- as JSON

// The words in backticks.
Names WordsOf(const std::string& text) {
  const std::regex word("`([a-z_]+)`");
  return {std::sregex_token_iterator(text.begin(), text.end(), word, 1), {}};
}

Names MembersOf(const json& object) {
  Names names;
  for (const auto& [name, value] : object.items()) names.insert(name);
  return names;
}

// What docs/night.md says: the members of a job, and those of the objects in it.
struct Documented {
  Names job, network, step, run;
};
Documented ReadDocumented() {
  const std::string page = BytesOf(KILN_SOURCE_DIR "/docs/night.md");
  const std::size_t begin = page.find("## A job as JSON");
  std::istringstream lines(page.substr(begin, page.find("\n## ", begin) - begin));
  Documented documented;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const std::size_t bar = line.find('|', 1);
    const std::string left = line.substr(0, bar), right = line.substr(bar);
    documented.job.merge(WordsOf(left));
    if (left.find("`networks`") != std::string::npos) documented.network = WordsOf(right);
    if (left.find("`history`") == std::string::npos) continue;
    const std::size_t half = right.find(';');
    documented.step = WordsOf(right.substr(0, half));
    documented.run = WordsOf(right.substr(half));
  }
  return documented;
}

// With everything that a job may have.
JobView Full() {
  Job job;
  job.id = 7;
  job.job = FakeJob("u-1");
  job.job.window = "night";
  job.job.deadline_ms = ToUnixMs(Noon(18));
  job.job.after = {3, 4};
  job.job.series = "fresh";
  job.job.occurrence = "2026-11-27";
  job.submitted_ms = ToUnixMs(Noon());
  job.since_ms = ToUnixMs(Noon(10));
  job.standing = {JobState::kRunning, JobReason::kTuning, "12 tasks"};
  job.wish = JobWish::kPause;
  job.holder = "owl/1";
  job.crashes = 1;
  job.trials = 40;
  job.ran_ms = 20'500;
  job.progress = R"({"tasks":12,"stored":50,"expected":100,"networks":[{"name":"a","tasks":12,)"
                 R"("before_ns":3000,"after_ns":1500},{"name":"b","tasks":1}]})";
  return {.job = job,
          .forecast = JobForecast{Noon(13), "1h of running left"},
          .history = {{.job = 7, .at_ms = ToUnixMs(Noon(10)), .to = job.standing, .who = "owl/1"}},
          .runs = {{.job = 7,
                    .started_ms = ToUnixMs(Noon(10)),
                    .ended_ms = ToUnixMs(Noon(11)),
                    .holder = "owl/1",
                    .trials = 40,
                    .ran_ms = 20'500}}};
}

TEST(JobJsonTest, MembersAreThoseThatAreDocumented) {
  const Documented documented = ReadDocumented();
  const json job = json::parse(JobJson(Full()));
  EXPECT_EQ(MembersOf(job), documented.job);
  EXPECT_EQ(MembersOf(job["networks"][0]), documented.network);
  EXPECT_EQ(MembersOf(job["history"][0]), documented.step);
  EXPECT_EQ(MembersOf(job["runs"][0]), documented.run);
}

TEST(JobJsonTest, ValuesAreThoseOfTheJob) {
  const json job = json::parse(JobJson(Full()));
  EXPECT_EQ(job["id"], 7);
  EXPECT_EQ(job["state"], "running");
  EXPECT_EQ(job["reason"], "tuning");
  EXPECT_EQ(job["text"], "12 tasks");
  EXPECT_EQ(job["since"], "2026-11-27T22:00:00Z");
  EXPECT_EQ(job["deadline"], "2026-11-28T06:00:00Z");
  EXPECT_EQ(job["after"], json({3, 4}));
  EXPECT_EQ(job["ran_seconds"], 20.5);
  EXPECT_EQ(job["stored"], 50);
  EXPECT_EQ(job["expected"], 100);
  EXPECT_EQ(job["wish"], "pause");
  EXPECT_EQ(job["done_by"], "2026-11-28T01:00:00Z");
  EXPECT_EQ(job["networks"][0]["gain"], 2.0);
  EXPECT_FALSE(job["networks"][1].contains("gain")) << "nothing to compare";
  EXPECT_EQ(job["spec"]["networks"][0]["network"], "mobilenet_v1");
  EXPECT_EQ(job["history"][0]["by"], "owl/1");
  EXPECT_EQ(job["runs"][0]["ended"], "2026-11-27T23:00:00Z");
}

TEST(JobJsonTest, WhatAJobDoesNotHaveIsLeftOut) {
  Job job;
  job.id = 1;
  job.job = FakeJob("u-1");
  const json text = json::parse(JobJson({job}));
  for (const char* name :
       {"deadline", "window", "after", "series", "occurrence", "stored", "expected", "networks",
        "done_by", "forecast", "holder", "wish", "crashes", "history", "runs"}) {
    EXPECT_FALSE(text.contains(name)) << name;
  }
  EXPECT_EQ(text["trials"], 0);
}

TEST(JobJsonTest, IsOneLineWhateverIsInIt) {
  JobView view = Full();
  view.job.standing.text = "two\nlines \xff";
  const std::string text = JobJson(view);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  EXPECT_TRUE(json::accept(text));
}

// ---- the forecast

// At 23:00, of a job that has made 100 of 400 trials in 100 s, and so has 300 s to go.
class ForecastOfTest : public testing::Test {
 protected:
  ForecastOfTest() { job_ = Begun(5); }

  static Job Begun(std::int64_t id, const std::string& target = "rasp4b") {
    Job job;
    job.id = id;
    job.job = FakeJob(std::to_string(id), target);
    job.trials = 100;
    job.ran_ms = 100'000;
    job.progress = R"({"stored":100,"expected":400})";
    return job;
  }
  JobForecast Forecast() const { return ForecastOf(job_, jobs_, runs_, config_, now_); }

  WallTime now_ = Noon(11);
  DaemonConfig config_ = NightConfig();
  Job job_;
  std::vector<Job> jobs_;
  std::vector<JobRun> runs_;
};

TEST_F(ForecastOfTest, PaceIsTheJobsOwn) {
  runs_ = {{.job = 1, .target = "rasp4b", .trials = 1, .ran_ms = 1'000'000}};
  EXPECT_EQ(Forecast().done, now_ + seconds(300));
  EXPECT_EQ(Forecast().why, "5m of running left");
}

TEST_F(ForecastOfTest, PaceOfItsTargetsRunsWhereItHasNone) {
  job_.trials = 7;  // too few to tell
  runs_ = {{.job = 1, .target = "rasp4b", .trials = 6, .ran_ms = 20'000},
           {.job = 2, .target = "rasp4b", .trials = 4, .ran_ms = 20'000},
           {.job = 3, .target = "pixel6", .trials = 1000, .ran_ms = 1}};
  EXPECT_EQ(Forecast().done, now_ + seconds(1200));
}

TEST_F(ForecastOfTest, NoTellingIsSaidWithItsReason) {
  job_.trials = 0;
  EXPECT_FALSE(Forecast().done);
  EXPECT_EQ(Forecast().why, "no trial of its target has been made yet that would tell the pace");
  job_.progress = "";
  EXPECT_FALSE(Forecast().done);
  EXPECT_EQ(Forecast().why, "it has no limit of trials or time, or has not begun yet");
}

TEST_F(ForecastOfTest, BeforeItHasBegunItIsMadeOfTheTrialsThatItWasGiven) {
  job_.progress = "";
  job_.trials = job_.ran_ms = 0;
  job_.job.spec = ToJson(JobSpec{.networks = {{.network = "resnet18"}}, .trials = 600});
  runs_ = {{.job = 1, .target = "rasp4b", .trials = 20, .ran_ms = 40'000}};
  EXPECT_EQ(Forecast().done, now_ + seconds(1200));
}

TEST_F(ForecastOfTest, JobsBeforeItAreDoneAsManyAtATimeAsThereIsRoom) {
  config_.jobs_per_target = 2;
  jobs_ = {Begun(1), Begun(2), job_};
  EXPECT_EQ(Forecast().done, now_ + seconds(600));
}

TEST_F(ForecastOfTest, BudgetOfTimeIsALimitOfItsOwn) {
  job_.job.spec = ToJson(JobSpec{.networks = {{.network = "resnet18"}}, .seconds = 160});
  EXPECT_EQ(Forecast().done, now_ + seconds(60)) << "100 of the 160 are used";
  job_.progress = "";
  EXPECT_EQ(Forecast().done, now_ + seconds(60)) << "also without one of trials";
  job_.job.spec = ToJson(JobSpec{.networks = {{.network = "resnet18"}}, .seconds = 5000});
  job_.progress = R"({"stored":100,"expected":400})";
  EXPECT_EQ(Forecast().done, now_ + seconds(300)) << "whichever is first";
}

TEST_F(ForecastOfTest, MadeMoreThanExpectedIsDoneNow) {
  job_.progress = R"({"stored":500,"expected":400})";
  EXPECT_EQ(Forecast().done, now_);
}

TEST_F(ForecastOfTest, JobsBeforeItInItsLaneComeFirst) {
  jobs_ = {Begun(1), Begun(9), Begun(2, "pixel6"), job_};
  EXPECT_EQ(Forecast().done, now_ + seconds(600));
  EXPECT_EQ(Forecast().why, "5m of running left, after 1 other job");
  jobs_[1].job.priority = 1;
  EXPECT_EQ(Forecast().done, now_ + seconds(900));
  EXPECT_EQ(Forecast().why, "5m of running left, after 2 other jobs");
  config_.tracker.clear();  // all are this machine's
  EXPECT_EQ(Forecast().done, now_ + seconds(1200));
}

TEST_F(ForecastOfTest, EarlierDeadlineIsBeforeItAsOnTheAgenda) {
  jobs_ = {Begun(9), job_};
  EXPECT_EQ(Forecast().done, now_ + seconds(300));
  jobs_[0].job.deadline_ms = ToUnixMs(Noon(20));
  EXPECT_EQ(Forecast().done, now_ + seconds(600));
  job_.job.deadline_ms = ToUnixMs(Noon(19));
  EXPECT_EQ(Forecast().done, now_ + seconds(300));
}

TEST_F(ForecastOfTest, WhatRunsWaitsForNobodyAndNobodyForWhatIsHeld) {
  jobs_ = {Begun(1), Begun(9), job_};
  jobs_[0].standing = {JobState::kPaused, JobReason::kHeld, "paused by hand"};
  EXPECT_EQ(Forecast().done, now_ + seconds(300));
  jobs_[1].standing = {JobState::kRunning, JobReason::kTuning, "1 task"};
  EXPECT_EQ(Forecast().done, now_ + seconds(600)) << "a later one that runs already";
  job_.standing = {JobState::kRunning, JobReason::kTuning, "1 task"};
  EXPECT_EQ(Forecast().done, now_ + seconds(300));
}

TEST_F(ForecastOfTest, WorkIsDoneInTheWindow) {
  job_.job.window = "night";
  EXPECT_EQ(Forecast().done, now_ + seconds(300));
  now_ = Noon();
  EXPECT_EQ(Forecast().done, Noon(10) + seconds(300));
  now_ = Noon(18) - minutes(2);
  EXPECT_EQ(Forecast().done, Noon(34) + minutes(3));
}

TEST_F(ForecastOfTest, WindowThatIsGoneOrNeverOpensHasNoEnd) {
  job_.job.window = "dawn";
  EXPECT_FALSE(Forecast().done);
  EXPECT_EQ(Forecast().why, "its window is gone");
  config_.windows.emplace_back(WindowRule{.name = "dawn", .from_minute = 60, .to_minute = 60},
                               config_.zone);
  EXPECT_FALSE(Forecast().done);
  EXPECT_THAT(Forecast().why, HasSubstr("its window is not open for so long within a year"));
  job_.job.deadline_ms = ToUnixMs(Noon(20));
  EXPECT_EQ(Forecast().done, Noon(20)) << "but its deadline ends it";
}

TEST_F(ForecastOfTest, DeadlineEndsItBefore) {
  job_.job.deadline_ms = ToUnixMs(now_ + seconds(299));
  EXPECT_EQ(Forecast().done, now_ + seconds(299));
  EXPECT_EQ(Forecast().why, "5m of running left; its deadline ends it before");
  job_.job.deadline_ms = ToUnixMs(now_ + seconds(301));
  EXPECT_EQ(Forecast().done, now_ + seconds(300));
  job_.progress = "";
  EXPECT_EQ(Forecast().done, now_ + seconds(301));
  EXPECT_EQ(Forecast().why, "its deadline ends it: it has no limit of trials");
}

}  // namespace
}  // namespace kiln
