#include "cost_model/cost_model.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "tests/tuner/synthetic_task.h"

namespace kiln::testing {
namespace {

std::vector<Trial> RandomTrials(const Task& task, int count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Trial> trials;
  for (int i = 0; i < count; ++i) {
    trials.push_back(SyntheticTrial(task, task.space().Sample(rng)));
  }
  return trials;
}

std::vector<Config> Working(const Task& task, int count, std::uint64_t seed) {
  std::vector<Config> configs;
  for (const Trial& trial : RandomTrials(task, count, seed)) {
    if (RankTime(trial)) configs.push_back(trial.config);
  }
  return configs;
}

// The share of pairs of configs, none of them learnt, that the model puts in their true order.
double PairwiseAccuracy(const CostModel& model, const Task& task) {
  const std::vector<Config> configs = Working(task, 200, 99);
  const std::vector<float> scores = model.Predict(task, configs);
  if (scores.size() != configs.size()) return 0;
  int right = 0, pairs = 0;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k, ++pairs) {
      const bool faster = SyntheticTime(task, configs[i]) < SyntheticTime(task, configs[k]);
      right += faster == (scores[i] > scores[k]) ? 1 : 0;
    }
  }
  return static_cast<double>(right) / pairs;
}

std::unique_ptr<CostModel> Learnt(const Task& task, std::span<const Trial> trials,
                                  const XgboostOptions& options = {}) {
  auto model = NewXgboostCostModel(options);
  model->Add(task, trials);
  EXPECT_TRUE(model->Fit().ok());
  return model;
}

TEST(XgboostCostModelTest, RanksConfigsThatItHasNotSeen) {
  const Task task = SyntheticTask();
  const auto trials = RandomTrials(task, 200, 1);
  for (const auto objective :
       {XgboostOptions::Objective::kPairwise, XgboostOptions::Objective::kLogRatio}) {
    EXPECT_GT(PairwiseAccuracy(*Learnt(task, trials, {.objective = objective}), task), 0.85);
  }
}

TEST(XgboostCostModelTest, LearnsWithEverySeed) {
  const Task task = SyntheticTask();
  const auto trials = RandomTrials(task, 40, 1);
  for (const std::uint64_t seed :
       {std::uint64_t{1}, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{0} >> 1}) {
    for (const auto& model : {NewXgboostCostModel({.seed = seed}),
                              NewAutotvmCostModel({.max_rounds = 2, .seed = seed})}) {
      model->Add(task, trials);
      EXPECT_TRUE(model->Fit().ok()) << seed;
    }
  }
}

TEST(XgboostCostModelTest, WhatItLearnsFromTasksCarriesToAnother) {
  const auto model = NewXgboostCostModel({});
  for (const int channels : {32, 64, 256}) {
    const Task task = SyntheticTask(channels, 14);
    model->Add(task, RandomTrials(task, 200, 1));
  }
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_GT(PairwiseAccuracy(*model, SyntheticTask(128, 14)), 0.8);
}

TEST(XgboostCostModelTest, HasNoOpinionBeforeItHasSeenEnough) {
  const Task task = SyntheticTask();
  const auto configs = Working(task, 10, 5);
  const auto model = NewXgboostCostModel({.min_rows = 8});
  EXPECT_TRUE(model->Predict(task, configs).empty());
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_TRUE(model->Predict(task, configs).empty());
  model->Add(task, RandomTrials(task, 4, 1));
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_TRUE(model->Predict(task, configs).empty());
  model->Add(task, RandomTrials(task, 40, 2));
  EXPECT_TRUE(model->Predict(task, configs).empty()) << "not fitted yet";
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_EQ(model->Predict(task, configs).size(), configs.size());
}

TEST(XgboostCostModelTest, PutsConfigsThatFailBehindThoseThatWork) {
  const Task task = SyntheticTask();
  const auto model = Learnt(task, RandomTrials(task, 400, 1));
  double failing = 0, working = 0;
  int failures = 0, others = 0;
  const auto fresh = RandomTrials(task, 300, 2);
  for (const Trial& trial : fresh) {
    const float score = model->Predict(task, {&trial.config, 1}).front();
    const bool works = RankTime(trial).has_value();
    (works ? working : failing) += score;
    ++(works ? others : failures);
  }
  ASSERT_GT(failures, 5);
  EXPECT_LT(failing / failures, working / others - 1);
}

TEST(XgboostCostModelTest, ACensoredTrialTeachesThatItsConfigIsSlow) {
  const Task task = SyntheticTask();
  auto trials = RandomTrials(task, 300, 1);
  double best = 1e300;
  for (const Trial& trial : trials) best = std::min(best, RankTime(trial).value_or(1e300));
  int censored = 0;
  for (Trial& trial : trials) {
    if (RankTime(trial).value_or(0) <= 2 * best) continue;
    trial.outcome = Censored{{}, 2 * best};
    ++censored;
  }
  ASSERT_GT(censored, 50);
  const auto model = Learnt(task, trials);
  double fast = 0, slow = 0;
  int fast_count = 0, slow_count = 0;
  for (const Config& config : Working(task, 300, 2)) {
    const bool is_slow = SyntheticTime(task, config) > 2 * best;
    (is_slow ? slow : fast) += model->Predict(task, {&config, 1}).front();
    ++(is_slow ? slow_count : fast_count);
  }
  EXPECT_LT(slow / slow_count, fast / fast_count - 0.5);
}

// As if somebody who counts in other units had made them.
std::vector<Trial> AsEstimates(std::vector<Trial> trials, double unit) {
  for (Trial& trial : trials) {
    trial.kind = TimeKind::kEstimated;
    auto* timings = std::get_if<Timings>(&trial.outcome);
    if (timings == nullptr) continue;
    for (double& ns : timings->samples_ns) ns *= unit;
  }
  return trials;
}

TEST(XgboostCostModelTest, EstimatesTeachTheirOrderWhateverTheirUnit) {
  const Task task = SyntheticTask();
  const auto estimates = RandomTrials(task, 200, 1), measured = RandomTrials(task, 20, 2);
  for (const double unit : {1.0, 1000.0}) {
    const auto model = NewXgboostCostModel({});
    model->Add(task, AsEstimates(estimates, unit));
    ASSERT_TRUE(model->Fit().ok());
    EXPECT_GT(PairwiseAccuracy(*model, task), 0.85) << "estimates alone";
    model->Add(task, measured);
    ASSERT_TRUE(model->Fit().ok());
    EXPECT_GT(PairwiseAccuracy(*model, task), 0.85) << "beside measured times, times " << unit;
  }
}

TEST(XgboostCostModelTest, EstimatesAreForgottenOnceEnoughIsMeasured) {
  const Task task = SyntheticTask();
  auto misleading = AsEstimates(RandomTrials(task, 200, 1), 1);
  for (Trial& trial : misleading) {
    auto* timings = std::get_if<Timings>(&trial.outcome);
    if (timings == nullptr) continue;
    for (double& ns : timings->samples_ns) ns = 1e12 / ns;
  }
  const auto model = NewXgboostCostModel({});
  model->Add(task, misleading);
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_LT(PairwiseAccuracy(*model, task), 0.3);
  model->Add(task, RandomTrials(task, 100, 2));
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_GT(PairwiseAccuracy(*model, task), 0.8);
}

TEST(XgboostCostModelTest, ScoresAreRelativeToTheFirstTrialOfTheTask) {
  const Task task = SyntheticTask(128, 14, {.failures = false});
  const auto trials = RandomTrials(task, 100, 1);
  const auto model = Learnt(task, trials);
  EXPECT_FLOAT_EQ(model->Predict(task, {&trials.front().config, 1}).front(), 0);
}

TEST(XgboostCostModelTest, TheSameTrialsGiveTheSameScores) {
  const Task task = SyntheticTask();
  const auto trials = RandomTrials(task, 300, 1);
  const auto configs = Working(task, 100, 2);
  EXPECT_EQ(Learnt(task, trials)->Predict(task, configs),
            Learnt(task, trials)->Predict(task, configs));
}

TEST(XgboostCostModelTest, ForgetsTheOldestTrialsFirst) {
  const Task task = SyntheticTask(128, 14, {.failures = false});
  const auto model = NewXgboostCostModel({.max_rows = 200});
  std::vector<Trial> lies = RandomTrials(task, 200, 1);
  for (Trial& trial : lies) {
    trial.outcome = Timings{{1e9 / SyntheticTime(task, trial.config)}, 1};
  }
  model->Add(task, lies);
  model->Add(task, RandomTrials(task, 200, 2));
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_GT(PairwiseAccuracy(*model, task), 0.8);
}

TEST(XgboostCostModelTest, RanksWhileItIsFittedOnAnotherThread) {
  const Task task = SyntheticTask();
  const auto model = Learnt(task, RandomTrials(task, 100, 1));
  const auto configs = Working(task, 50, 2);
  std::atomic<int> begun = 0, ended = 0;  // fits
  std::atomic<bool> enough = false;
  std::thread learner([&] {
    while (!enough) {
      model->Add(task, RandomTrials(task, 50, static_cast<std::uint64_t>(ended)));
      ++begun;
      EXPECT_TRUE(model->Fit().ok());
      ++ended;
    }
  });
  int within_a_fit = 0;
  for (int i = 0; i < 100; ++i) {
    const int fit = ended;
    const bool is_under_way = begun > fit;
    EXPECT_EQ(model->Predict(task, configs).size(), configs.size());
    within_a_fit += is_under_way && ended == fit ? 1 : 0;
  }
  enough = true;
  learner.join();
  EXPECT_GT(within_a_fit, 20) << "ranking waits for the end of a fit";
}

TEST(AutotvmCostModelTest, RanksConfigsThatItHasNotSeen) {
  const Task task = SyntheticTask();
  const auto model = NewAutotvmCostModel({});
  model->Add(task, RandomTrials(task, 256, 1));
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_GT(PairwiseAccuracy(*model, task), 0.8);
}

TEST(AutotvmCostModelTest, HasNoOpinionUntilSomethingWorked) {
  const Task task = SyntheticTask();
  const auto model = NewAutotvmCostModel({});
  Trial failure = SyntheticTrial(task, task.space().At(0));
  failure.outcome = Failure{};
  model->Add(task, {&failure, 1});
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_TRUE(model->Predict(task, {&failure.config, 1}).empty());
}

TEST(NullCostModelTest, NeverHasAnOpinion) {
  const Task task = SyntheticTask();
  const auto model = NewNullCostModel();
  model->Add(task, RandomTrials(task, 100, 1));
  ASSERT_TRUE(model->Fit().ok());
  EXPECT_TRUE(model->Predict(task, Working(task, 5, 2)).empty());
}

}  // namespace
}  // namespace kiln::testing
