// What each view answers, from a store whose trials are known.

#include <gmock/gmock.h>

#include "tests/dashboard/scene.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const Failure kTimedOut{Stage::kRun, FailureKind::kTimeout, "2 s"};

// ---- verdict

TEST(VerdictViewTest, NetworkTimeIsTheSumOverLayersAsOftenAsTheyRun) {
  Scene scene;
  scene.LookAt({{scene.Layer(16), 3}, {scene.Layer(32), 1}});
  scene.Add(scene.Layer(16), 0, 1000e3);
  scene.Add(scene.Layer(16), 2, 500e3);
  scene.Add(scene.Layer(32), 0, 200e3);
  const VerdictView view = scene.Read().verdict;
  ASSERT_THAT(view.places, SizeIs(1));
  EXPECT_DOUBLE_EQ(view.places[0].time.before_ns(), 3200e3);
  EXPECT_DOUBLE_EQ(view.places[0].time.after_ns(), 1700e3);
  EXPECT_THAT(view.headline,
              AllOf(HasSubstr("3.200 ms untuned, 1.700 ms tuned"), HasSubstr("1.88x"),
                    HasSubstr("0 of 2 confirmed"), HasSubstr("2 best configs are new")));
}

TEST(VerdictViewTest, LayerWithoutBothTimesIsSaidNotHidden) {
  Scene scene;
  scene.LookAt({{scene.Layer(16), 1}, {scene.Layer(32), 1}});
  scene.Add(scene.Layer(16), 0, 1000e3);
  EXPECT_THAT(scene.Read().verdict.headline, HasSubstr("over the 1 of 2 layers that have both"));
}

TEST(VerdictViewTest, NightThatFailedEntirelySaysSo) {
  Scene scene;
  for (std::uint64_t i = 0; i < 5; ++i) scene.AddFailure(scene.Layer(), i, kTimedOut);
  const VerdictView view = scene.Read().verdict;
  EXPECT_THAT(view.headline, HasSubstr("Nothing works yet: all of 5 trials"));
  EXPECT_EQ(view.failed, 5);
}

TEST(VerdictViewTest, EmptyStoreSaysWhatToDo) {
  Scene scene;
  EXPECT_THAT(scene.Read().verdict.headline, HasSubstr("No trials yet: `kiln tune"));
  scene.LookAt({{scene.Layer(), 1}});
  EXPECT_THAT(scene.Read().verdict.headline, HasSubstr("`kiln tune --network toy`"));
}

NewJob JobNamed(const std::string& name) {
  NewJob job;
  job.uuid = job.name = name;
  job.user = "me";
  job.target = "testbed";
  job.spec = "{}";
  return job;
}

TEST(VerdictViewTest, JobsOfTheNightAndTheirHoursAreCounted) {
  Scene scene;
  scene.Add(scene.Layer(), 0, 1000);
  const auto jobs = NewMemoryJobStore();
  const auto run = [&](const std::string& name, std::int64_t from, std::int64_t to,
                       const JobStanding& end) {
    const auto job = jobs->Submit(JobNamed(name), kTonight - 2 * kHour);
    ASSERT_TRUE(job.ok()) << job.status();
    const auto claim = jobs->Claim(job->id, "daemon", kTonight + from, std::chrono::hours(9));
    ASSERT_TRUE(claim.ok()) << claim.status();
    const Status moved = jobs->Move(*claim, end, {.trials = 1}, kTonight + to);
    ASSERT_TRUE(moved.ok()) << moved;
  };
  run("early", -2 * kHour, -kHour, {JobState::kDone, JobReason::kComplete, ""});
  run("half", -kHour, 2 * kHour, {JobState::kDone, JobReason::kComplete, ""});
  run("bad", 2 * kHour, 3 * kHour, {JobState::kFailed, JobReason::kModel, "m.tflite is gone"});
  ASSERT_TRUE(jobs->Submit(JobNamed("waiting"), kTonight).ok());
  const VerdictView view = scene.Read(jobs.get()).verdict;
  EXPECT_EQ(view.done, 1) << "what ended before the night is not of it";
  EXPECT_EQ(view.failed_jobs, 1);
  EXPECT_EQ(view.unfinished, 1);
  EXPECT_EQ(view.used_ms, 3 * kHour) << "two of the second, one of the third";
  EXPECT_THAT(view.failed_words, ElementsAre(HasSubstr("m.tflite is gone")));
}

// ---- layers

TEST(LayersViewTest, SlowestLayerOfTheNetworkIsFirst) {
  Scene scene;
  scene.LookAt({{scene.Layer(16), 1}, {scene.Layer(32), 4}, {scene.Layer(48), 1}});
  scene.Add(scene.Layer(16), 2, 300);
  scene.Add(scene.Layer(32), 2, 100);
  const LayersView view = scene.Read().layers;
  ASSERT_THAT(view.rows, SizeIs(3));
  EXPECT_EQ(view.rows[0].total_ns, 400);
  EXPECT_EQ(view.rows[0].count, 4);
  EXPECT_NEAR(*view.rows[0].share, 400.0 / 700, 1e-12);
  EXPECT_EQ(view.rows[1].total_ns, 300);
  EXPECT_EQ(view.rows[2].how, "not tried");
}

TEST(LayersViewTest, ShareOfPeakIsThatOfTheMeasuredPeak) {
  Scene scene;
  const Task task = scene.Layer();
  scene.Add(task, 0, 1000);
  ASSERT_TRUE(scene.store().AppendPeak({.target = "testbed", .gops = 1000}).ok());
  const LayersView::Row row = scene.Read().layers.rows.at(0);
  EXPECT_DOUBLE_EQ(*row.gops, 2.0 * static_cast<double>(task.workload().macs()) / 1000);
  EXPECT_DOUBLE_EQ(*row.peak_share, *row.gops / 1000);
}

TEST(LayersViewTest, RestIsCountedWithItsTime) {
  Scene scene;
  for (std::int32_t i = 1; i <= 5; ++i) scene.Add(scene.Layer(16 * i), 0, 100 * i);
  const LayersView view = MakeLayersView(scene.Layers(), 2);
  EXPECT_THAT(view.rows, SizeIs(2));
  EXPECT_EQ(view.left_out, 3u);
  EXPECT_DOUBLE_EQ(view.left_out_ns, 600);
}

TEST(LayersViewTest, TonightsGainComparesWithTheBestOfBeforeAsItIsNow) {
  Scene scene;
  scene.Add(scene.Layer(), 1, 900, -kHour);
  scene.Add(scene.Layer(), 2, 300, kHour);
  EXPECT_EQ(scene.Read().layers.rows.at(0).gain_tonight, 3);
}

// ---- failures

TEST(FailuresViewTest, CommandThatReproducesNamesTheConfigAndTheDatabase) {
  Scene scene;
  scene.scope().db = "--db 'my own.db'";
  const Task task = scene.Layer();
  scene.AddFailure(task, 3, kTimedOut);
  const FailuresView view = scene.Read().failures;
  ASSERT_THAT(view.rows, SizeIs(1));
  EXPECT_EQ(view.rows[0].command, "kiln verify --workload " + Key(task.workload()) +
                                      " --target testbed --threads 1 --config " +
                                      task.space().Id(task.space().At(3)) + " --db 'my own.db'");
  EXPECT_TRUE(view.rows[0].is_new);
}

TEST(FailuresViewTest, LongMessagesAreCutToTheirFirstLine) {
  Scene scene;
  scene.AddFailure(scene.Layer(), 3,
                   {Stage::kCompile, FailureKind::kCompileError, std::string(5000, 'x') + "\ny"});
  const std::string message = scene.Read().failures.rows.at(0).message;
  EXPECT_LT(message.size(), 220u);
  EXPECT_THAT(message, HasSubstr("..."));
}

// ---- devices

TEST(DevicesViewTest, DriftIsTheMedianOfWhatTheDeviceMeasuredAgain) {
  const std::vector<Repetition> repetitions = {{"a", kTonight - 1, 100, 400},
                                               {"a", kTonight + 1, 100, 103},
                                               {"a", kTonight + 2, 100, 101},
                                               {"a", kTonight + 3, 100, 120}};
  const DevicesView view = MakeDevicesView({{.device = "a", .measurements = 9}, {.device = "b"}},
                                           repetitions, kTonight, 10);
  ASSERT_THAT(view.rows, SizeIs(2));
  EXPECT_NEAR(*view.rows[0].drift, 1.03, 1e-9) << "of the night, not of before";
  EXPECT_EQ(view.rows[0].repeated, 3);
  EXPECT_FALSE(view.rows[1].drift);
}

TEST(DevicesViewTest, WhatNeverReachedADeviceIsNoDevice) {
  Scene scene;
  Trial trial =
      FailedTrial(scene.Layer(), 1, {Stage::kCompile, FailureKind::kCompileError, ""}, "never");
  trial.device.clear();
  ASSERT_TRUE(
      scene.store().Append(scene.Layer(), CacheState::kHot, std::vector<Trial>{trial}).ok());
  const DevicesView view = scene.Read().devices;
  EXPECT_THAT(view.rows, IsEmpty());
  EXPECT_EQ(view.never_reached, 1);
}

// ---- curves

TEST(CurvesViewTest, SpaceThatIsUsedUpIsWhyItStopped) {
  Scene scene;
  const Task task = scene.Layer();
  for (std::uint64_t i = 0; i < task.space().size(); ++i) scene.Add(task, i, 1000);
  EXPECT_THAT(scene.Read().curves.curves.at(0).why, HasSubstr("every one of its 11 legal configs"));
}

TEST(CurvesViewTest, SearchThatStillGainedSaysThatMoreMayHelp) {
  Scene scene(ManyConfigs());
  const Task task = scene.Layer();
  for (std::uint64_t i = 0; i < 20; ++i) scene.Add(task, i, 1000 - static_cast<double>(i));
  EXPECT_THAT(scene.Read().curves.curves.at(0).why, HasSubstr("more may help"));
  for (std::uint64_t i = 20; i < 60; ++i) scene.Add(task, i, 2000);
  EXPECT_THAT(scene.Read().curves.curves.at(0).why,
              HasSubstr("nothing gained in the last 40 of 60 trials"));
}

TEST(CurvesViewTest, CurveOfManyGainsIsThinnedAndKeepsBothEnds) {
  Scene scene(ManyConfigs());
  const Task task = scene.Layer();
  for (std::uint64_t i = 0; i < 700; ++i) scene.Add(task, i, 10'000 - static_cast<double>(i));
  const CurvesView::Curve curve = scene.Read().curves.curves.at(0);
  EXPECT_LE(curve.gains.size(), kMostGainPoints);
  EXPECT_EQ(curve.gains.front().x, 1);
  EXPECT_EQ(curve.gains.back().x, 700);
  EXPECT_EQ(curve.gains.back().y, 9301);
}

TEST(CurvesViewTest, LayersBeyondTheLimitAreCounted) {
  Scene scene;
  for (std::int32_t i = 1; i <= 30; ++i) scene.Add(scene.Layer(16 * i), 0, 100 * i);
  const CurvesView view = scene.Read().curves;
  EXPECT_THAT(view.curves, SizeIs(24));
  EXPECT_EQ(view.left_out, 6u);
}

// ---- store

TEST(StoreViewTest, CountsTheWholeStoreWhateverIsLookedAt) {
  Scene scene;
  scene.LookAt({{scene.Layer(16), 1}});
  scene.Add(scene.Layer(16), 0, 100);
  scene.Add(scene.Layer(32), 0, 100, -kHour);
  const StoreView view = scene.Read().store;
  EXPECT_EQ(view.tasks, 2);
  EXPECT_EQ(view.trials, 2);
  EXPECT_EQ(view.since, 1);
  EXPECT_EQ(view.file.bytes, 12'345'678);
}

}  // namespace
}  // namespace kiln
