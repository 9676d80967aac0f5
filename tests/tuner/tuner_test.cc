#include "tuner/tuner.h"

#include <gmock/gmock.h>

#include <atomic>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "tests/tuner/tuner_fixture.h"

namespace kiln::testing {
namespace {

// What was asked of the measurer, in order: all that a proposal decides.
std::vector<std::tuple<std::string, std::string, std::int64_t, std::int64_t>> Sequence(
    const FakeMeasurer& measurer) {
  std::vector<std::tuple<std::string, std::string, std::int64_t, std::int64_t>> sequence;
  for (const MeasureRequest& r : measurer.submitted()) {
    sequence.emplace_back(r.task.Key(), r.task.space().Id(r.config), r.batch, r.plan.cut_off_ns);
  }
  return sequence;
}

TEST_F(TunerTest, MakesAndStoresAsManyTrialsAsTheBudgetSays) {
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].trials + (*results)[1].trials, 120);
  EXPECT_EQ(History(0).size() + History(1).size(), 120U);
  for (std::size_t i = 0; i < 2; ++i) {
    const TaskResult& result = (*results)[i];
    EXPECT_EQ(result.ok + result.censored + result.failed, result.trials);
    ASSERT_TRUE(result.best);
    for (const Trial& trial : History(i)) {
      EXPECT_LE(*RankTime(*result.best), RankTime(trial).value_or(1e300));
    }
    EXPECT_LT(*RankTime(*result.best), *result.default_ns);
  }
}

TEST_F(TunerTest, TrialsOfOtherKindsDoNotCount) {
  budget_ = {.trials_per_task = 40};
  options_.kind = TimeKind::kEstimated;
  {
    FakeMeasurer estimator;
    const auto results = Tune(estimator);
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ((*results)[0].trials, 40);
  }
  options_.kind = TimeKind::kMeasured;
  FakeMeasurer measurer;
  auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*results)[i].trials, 40);
    EXPECT_EQ((*results)[i].resumed, 0);
    EXPECT_EQ((*results)[i].best->kind, TimeKind::kMeasured);
    EXPECT_EQ(History(i).size(), 80U);
  }
  // And the other way round: the estimates are complete.
  options_.kind = TimeKind::kEstimated;
  FakeMeasurer idle;
  results = Tune(idle);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].resumed, 40);
  EXPECT_TRUE(idle.submitted().empty());
}

TEST_F(TunerTest, MeasuringBeginsWithTheBestEstimates) {
  budget_ = {.trials_per_task = 60};
  options_.kind = TimeKind::kEstimated;
  {
    FakeMeasurer estimator;
    ASSERT_TRUE(Tune(estimator).ok());
  }
  std::vector<Trial> estimates = History(0);
  std::erase_if(estimates, [](const Trial& trial) { return !RankTime(trial); });
  std::ranges::stable_sort(estimates, {}, [](const Trial& trial) { return *RankTime(trial); });
  options_.kind = TimeKind::kMeasured;
  budget_ = {.trials_per_task = 4};
  FakeMeasurer measurer;
  ASSERT_TRUE(Tune(measurer).ok());
  std::set<Config> first;
  for (const MeasureRequest& request : measurer.submitted()) {
    if (request.task.Key() == tasks_[0].task.Key()) first.insert(request.config);
  }
  EXPECT_EQ(first.size(), 4U);
  EXPECT_TRUE(first.contains(estimates[0].config));
  EXPECT_TRUE(first.contains(estimates[1].config));
}

TEST_F(TunerTest, ACapPerTaskHolds) {
  budget_ = {.trials_per_task = 40};
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  for (const TaskResult& result : *results) EXPECT_EQ(result.trials, 40);
}

TEST_F(TunerTest, TheSequenceDoesNotDependOnTheOrderOfCompletion) {
  // The configs of the first task in the order in which their trials were done.
  const auto completions = [this] {
    std::vector<Config> configs;
    for (const Trial& trial : History(0)) configs.push_back(trial.config);
    return configs;
  };
  for (const char* policy : {"kiln", "random", "ga", "autotvm"}) {
    options_.policy = policy;
    store_ = NewMemoryStore();
    FakeMeasurer ordered;
    ASSERT_TRUE(Tune(ordered).ok());
    const std::vector<Config> completed = completions();
    store_ = NewMemoryStore();
    FakeMeasurer shuffled(FakeMeasurer::Order::kShuffled);
    ASSERT_TRUE(Tune(shuffled).ok());
    EXPECT_NE(completions(), completed) << "nothing was shuffled";
    EXPECT_EQ(Sequence(ordered), Sequence(shuffled)) << policy;
  }
}

TEST_F(TunerTest, ALaterRunMakesTheMissingTrialsAndRepeatsNone) {
  for (const std::string_view policy : SearchPolicyNames()) {
    options_.policy = policy;
    store_ = NewMemoryStore();
    budget_.trials = 50;
    FakeMeasurer first;
    ASSERT_TRUE(Tune(first).ok());
    budget_.trials = 120;
    FakeMeasurer second;
    const auto results = Tune(second);
    ASSERT_TRUE(results.ok()) << results.status();
    EXPECT_EQ(first.submitted().size(), 50U);
    EXPECT_EQ(second.submitted().size(), 70U);
    EXPECT_EQ((*results)[0].resumed + (*results)[1].resumed, 50);
    EXPECT_EQ((*results)[0].trials + (*results)[1].trials, 120);
    std::set<std::pair<std::string, Config>> distinct;
    for (const FakeMeasurer* run : {&first, &second}) {
      for (const MeasureRequest& r : run->submitted()) distinct.emplace(r.task.Key(), r.config);
    }
    EXPECT_EQ(distinct.size(), 120U) << policy;
  }
}

// First with an emulator, which is as fast here and whose times are a hundredth: nothing of it may
// count when a device measures, and the other way round.
TEST_F(TunerTest, TimesOfAnotherKindNeitherCountNorWin) {
  options_.finalists = 5;
  options_.kind = TimeKind::kEmulated;
  FakeMeasurer emulator(FakeMeasurer::Order::kSubmitted, [](const MeasureRequest& request) {
    EXPECT_EQ(request.kind, TimeKind::kEmulated);
    StatusOr<Trial> trial = FakeMeasurer::Exact(request);
    if (auto* timings = std::get_if<Timings>(&trial->outcome)) {
      for (double& ns : timings->samples_ns) ns /= 100;
    }
    return trial;
  });
  ASSERT_TRUE(Tune(emulator).ok());
  options_.kind = TimeKind::kMeasured;
  FakeMeasurer device;
  const auto results = Tune(device);
  ASSERT_TRUE(results.ok()) << results.status();
  std::unique_ptr<TuningStore> untouched = NewMemoryStore();
  std::swap(store_, untouched);
  FakeMeasurer alone;
  ASSERT_TRUE(Tune(alone).ok());
  EXPECT_EQ(Sequence(device), Sequence(alone)) << "the store with emulated times proposes the same";
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*results)[i].resumed, 0);
    EXPECT_EQ((*results)[i].best->kind, TimeKind::kMeasured);
    const auto best = BestFor(*untouched, tasks_[i].task, options_.cache);
    EXPECT_EQ((*best)->record.trial.kind, TimeKind::kMeasured);
    EXPECT_EQ(RankTime((*best)->judged), RankTime(*(*results)[i].best));
  }
}

TEST_F(TunerTest, ResumingIsRepeatable) {
  std::vector<decltype(Sequence(std::declval<const FakeMeasurer&>()))> sequences;
  for (int i = 0; i < 2; ++i) {
    store_ = NewMemoryStore();
    budget_.trials = 50;
    FakeMeasurer first;
    ASSERT_TRUE(Tune(first).ok());
    budget_.trials = 120;
    FakeMeasurer second(FakeMeasurer::Order::kShuffled);
    ASSERT_TRUE(Tune(second).ok());
    sequences.push_back(Sequence(second));
  }
  EXPECT_EQ(sequences[0], sequences[1]);
}

TEST_F(TunerTest, AFinishedRunMeasuresNothingMore) {
  options_.finalists = 5;
  FakeMeasurer first;
  const auto before = Tune(first);
  FakeMeasurer second;
  const auto after = Tune(second);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_TRUE(second.submitted().empty());
  EXPECT_EQ((*before)[0].best->config, (*after)[0].best->config);
}

// Whoever learns must have found the trial in the store.
class WatchedModel final : public CostModel {
 public:
  explicit WatchedModel(const TuningStore& store) : store_(store) {}
  void Add(const Task& task, std::span<const Trial> trials) override {
    std::set<std::string> stored;
    const std::vector<Trial> history = *store_.History(task, CacheState::kHot);
    for (const Trial& trial : history) stored.insert(trial.uuid);
    for (const Trial& trial : trials) {
      ++taught;
      if (!stored.contains(trial.uuid)) ++taught_unstored;
    }
  }
  Status Fit() override { return absl::OkStatus(); }
  std::vector<float> Predict(const Task&, std::span<const Config>) const override { return {}; }

  int taught = 0, taught_unstored = 0;

 private:
  const TuningStore& store_;
};

TEST_F(TunerTest, ATrialIsStoredBeforeAnyoneLearnsFromIt) {
  WatchedModel model(*store_);
  FakeMeasurer measurer;
  const auto scheduler = NewRoundRobinScheduler();
  Tuner tuner({measurer, expected_, *store_, model, *scheduler, *clock_}, options_, budget_);
  ASSERT_TRUE(tuner.Tune(tasks_, {}, {}).ok());
  EXPECT_GE(model.taught, 80);  // all but the batches of the end, from which nothing follows
  EXPECT_EQ(model.taught_unstored, 0);
}

TEST_F(TunerTest, StopsWhenAskedAndKeepsWhatWasMade) {
  FakeMeasurer measurer;
  std::atomic<int> trials = 0;
  const auto results = Tune(
      measurer, [&] { return trials >= 20; },
      [&](const TuneEvent& event) { trials += event.kind == TuneEvent::Kind::kTrial ? 1 : 0; });
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_LT(measurer.submitted().size(), 120U);
  EXPECT_GE(trials, 20);
  EXPECT_EQ(History(0).size() + History(1).size(), static_cast<std::size_t>(trials));
}

TEST_F(TunerTest, AStopBeforeTheFirstTrialIsNoError) {
  FakeMeasurer measurer;
  const auto results = Tune(measurer, [] { return true; });
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE(measurer.submitted().empty());
  EXPECT_EQ((*results)[0].note, "nothing was tried");
}

TEST_F(TunerTest, EndsATaskThatNoLongerGains) {
  tasks_.pop_back();
  budget_ = {.early_stop = 24};
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  const std::vector<Trial> history = History(0);
  std::size_t last_gain = 0;
  double best = 1e300;
  for (std::size_t i = 0; i < history.size(); ++i) {
    const double time = RankTime(history[i]).value_or(1e300);
    if (time < best) last_gain = i;
    best = std::min(best, time);
  }
  EXPECT_GE(history.size() - last_gain, 24U);
  EXPECT_LE(history.size() - last_gain, 24U + 2 * 16U);  // and what was under way
}

// A second per trial.
class TrialClock final : public Clock {
 public:
  SteadyTime Now() const override { return SteadyTime(std::chrono::seconds(trials.load())); }
  WallTime Today() const override { return WallTime(std::chrono::seconds(trials.load())); }
  std::atomic<int> trials = 0;
};

TEST_F(TunerTest, TheDeadlineLeavesTimeForTheFinalists) {
  TrialClock clock;
  clock_ = &clock;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [&](const MeasureRequest& request) {
    ++clock.trials;
    return FakeMeasurer::Exact(request);
  });
  tasks_.pop_back();
  options_.finalists = 5;
  budget_ = {.deadline = SteadyTime(std::chrono::seconds(400))};
  int confirmed = 0;
  const auto results = Tune(measurer, {}, [&](const TuneEvent& event) {
    confirmed += event.kind == TuneEvent::Kind::kConfirmed ? 1 : 0;
  });
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ(confirmed, 1);
  EXPECT_LE(clock.trials, 400);
  EXPECT_GE(clock.trials, 300);
}

TEST_F(TunerTest, TheIncumbentCutsSlowTrialsShort) {
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_GT((*results)[0].censored + (*results)[1].censored, 0);
  // Every cut-off is 1.25 times the time of a config that was submitted before.
  std::map<std::string, std::set<std::int64_t>> possible;
  for (const MeasureRequest& request : measurer.submitted()) {
    std::set<std::int64_t>& cut_offs = possible[request.task.Key()];
    EXPECT_TRUE(request.plan.cut_off_ns == 0 || cut_offs.contains(request.plan.cut_off_ns));
    const double time = SyntheticTime(request.task, request.config);
    if (std::isfinite(time)) cut_offs.insert(static_cast<std::int64_t>(1.25 * time));
  }
}

TEST_F(TunerTest, ReportsHowWellThePredictionsRanked) {
  FakeMeasurer measurer;
  budget_.trials = 300;
  const auto learnt = Tune(measurer);
  ASSERT_TRUE(learnt.ok()) << learnt.status();
  EXPECT_GT(*(*learnt)[0].rank_correlation, 0.3);
  options_.policy = "random";
  store_ = NewMemoryStore();
  const auto blind = Tune(measurer);
  ASSERT_TRUE(blind.ok()) << blind.status();
  EXPECT_FALSE((*blind)[0].rank_correlation);
}

TEST_F(TunerTest, UsesUpATaskAndGoesOnWithTheOther) {
  options_.policy = "grid";
  options_.batch = 128;
  tasks_ = {{SyntheticTask(64, 14, {.small = true}), 1},
            {SyntheticTask(256, 7, {.extra_values = 1, .small = true}), 1}};
  const auto size = [this](std::size_t i) {
    return static_cast<std::int64_t>(tasks_[i].task.space().size());
  };
  ASSERT_LT(2 * size(0), size(1)) << "one is used up long before the other";
  budget_ = {.trials = size(0) + size(1) + 500};
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ((*results)[0].trials, size(0));
  EXPECT_EQ((*results)[1].trials, size(1));
}

TEST_F(TunerTest, TheFinalistsAreMeasuredInTurnsAndTheStoreNamesTheSameBest) {
  options_.finalists = 5;
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    BestQuery query;
    query.workload = Key(tasks_[i].task.workload());
    const auto bests = store_->Bests(query);
    ASSERT_TRUE(bests.ok() && bests->size() == 1);
    EXPECT_TRUE(bests->front().confirmed);
    EXPECT_EQ(bests->front().record.config_id,
              tasks_[i].task.space().Id((*results)[i].best->config));
    EXPECT_EQ(std::get<Timings>((*results)[i].best->outcome).samples_ns.size(), 10U);
    const Config untuned =
        tasks_[i].task.kernel_template().Default(tasks_[i].task.spec(), tasks_[i].task.space());
    EXPECT_DOUBLE_EQ(*(*results)[i].default_ns, SyntheticTime(tasks_[i].task, untuned));
  }
}

TEST_F(TunerTest, APolicyThatNeverTriesTheDefaultIsComparedWithItAllTheSame) {
  options_.policy = "grid";
  options_.finalists = 3;
  budget_.trials = 20;
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE((*results)[0].default_ns);
  EXPECT_EQ(History(0).size() + History(1).size(), 20U);
}

TEST_F(TunerTest, AnUnknownPolicyIsAnError) {
  options_.policy = "genetic";
  FakeMeasurer measurer;
  const auto results = Tune(measurer);
  EXPECT_EQ(results.status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace kiln::testing
