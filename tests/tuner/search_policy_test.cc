#include "tuner/search_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "tests/tuner/synthetic_task.h"

namespace kiln::testing {
namespace {

// Small enough to use up, with a constraint and failures.
class TinyTemplate final : public KernelTemplate {
 public:
  std::string_view name() const override { return "conv2d.tiny"; }
  bool Supports(const TaskSpec&) const override { return true; }
  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create(
        {IntKnob("a", {1, 2, 3, 4}), IntKnob("b", {1, 2, 3, 4}), ChoiceKnob("c", {"x", "y", "z"})},
        {{"too large", {"a", "b"}, [](std::span<const std::int64_t> v) {
            return v[0] * v[1] < 9;
          }}});
  }
  StatusOr<LoopProgram> Lower(const TaskSpec&, const ConfigSpace&, const Config&) const override {
    return LoopProgram{};
  }
  Config Default(const TaskSpec&, const ConfigSpace& space) const override { return space.At(7); }
  void Features(const TaskSpec&, const ConfigSpace&, const Config& config,
                std::span<float> out) const override {
    std::ranges::fill(out, 0.0F);
    std::ranges::copy(config.choice, out.begin());
  }
};

Task TinyTask() { return *Task::Create(std::make_shared<TinyTemplate>(), TaskSpec{}); }

Trial TinyTrial(const Config& config) {
  Trial trial;
  trial.config = config;
  const double ns = 100 + 10 * config.choice[0] - 3 * config.choice[1];
  if (config.choice[2] == 2) {
    trial.outcome = Failure{Stage::kRun, FailureKind::kTimeout, "no end"};
  } else {
    trial.outcome = Timings{std::vector<double>(10, ns), 1};
  }
  return trial;
}

// What every policy promises.
class SearchPolicyContract : public ::testing::TestWithParam<std::string_view> {
 protected:
  std::unique_ptr<SearchPolicy> Make(const Task& task, std::uint64_t seed = 1) {
    return *NewSearchPolicy(GetParam(), task, *model_, {seed});
  }
  void Learn(const Task& task, SearchPolicy& policy, std::span<const Trial> trials) {
    policy.Observe(trials);
    model_->Add(task, trials);
    ASSERT_TRUE(model_->Fit().ok());
  }
  // The configs of `batches` batches of 16, each learnt before the next is proposed.
  std::vector<Config> Search(const Task& task, std::uint64_t seed, int batches) {
    model_ = NewXgboostCostModel({});
    const auto policy = Make(task, seed);
    std::vector<Config> proposed;
    for (int batch = 0; batch < batches; ++batch) {
      std::vector<Trial> trials;
      for (const Proposal& proposal : policy->Propose(batch, 16)) {
        proposed.push_back(proposal.config);
        trials.push_back(SyntheticTrial(task, proposal.config));
      }
      Learn(task, *policy, trials);
    }
    return proposed;
  }

  std::unique_ptr<CostModel> model_ = NewXgboostCostModel({});
};

TEST_P(SearchPolicyContract, ProposesLegalConfigsWithoutRepetition) {
  for (const std::int64_t extra : {0, 12}) {
    const Task task = SyntheticTask(128, 14, {.extra_values = extra});
    const std::vector<Config> proposed = Search(task, 1, 12);
    ASSERT_GE(proposed.size(), 32U);
    for (const Config& config : proposed) EXPECT_TRUE(task.space().Contains(config));
    EXPECT_EQ(std::set(proposed.begin(), proposed.end()).size(), proposed.size());
  }
}

TEST_P(SearchPolicyContract, NeverProposesMoreThanAsked) {
  const Task task = SyntheticTask();
  const auto policy = Make(task);
  for (const std::int32_t count : {1, 3, 16, 1}) {
    const auto proposals = policy->Propose(0, count);
    EXPECT_GE(proposals.size(), 1U);
    EXPECT_LE(proposals.size(), static_cast<std::size_t>(count));
  }
  EXPECT_THAT(policy->Propose(0, 0), ::testing::IsEmpty());
}

TEST_P(SearchPolicyContract, UsesUpASmallSpaceAndThenProposesNothing) {
  const Task task = TinyTask();
  const auto policy = Make(task);
  std::set<Config> proposed;
  for (std::int64_t batch = 0;; ++batch) {
    const auto proposals = policy->Propose(batch, 5);
    if (proposals.empty()) break;
    std::vector<Trial> trials;
    for (const Proposal& proposal : proposals) {
      EXPECT_TRUE(proposed.insert(proposal.config).second);
      trials.push_back(TinyTrial(proposal.config));
    }
    Learn(task, *policy, trials);
  }
  EXPECT_EQ(proposed.size(), task.space().size());
  EXPECT_THAT(policy->Propose(99, 5), ::testing::IsEmpty());
}

TEST_P(SearchPolicyContract, UsesUpASmallSpaceWithoutEverBeingTold) {
  const Task task = TinyTask();
  const auto policy = Make(task);
  std::set<Config> proposed;
  for (std::int64_t batch = 0; batch < 200; ++batch) {
    for (const Proposal& proposal : policy->Propose(batch, 5)) proposed.insert(proposal.config);
  }
  EXPECT_EQ(proposed.size(), task.space().size());
}

TEST_P(SearchPolicyContract, DoesNotProposeWhatItObserved) {
  const Task task = TinyTask();
  const auto policy = Make(task);
  std::vector<Trial> history;
  for (std::uint64_t i = 0; i < task.space().size(); i += 2) {
    history.push_back(TinyTrial(task.space().At(i)));
  }
  Learn(task, *policy, history);
  std::set<Config> proposed;
  for (std::int64_t batch = 3; batch < 40; ++batch) {
    for (const Proposal& proposal : policy->Propose(batch, 4)) proposed.insert(proposal.config);
  }
  EXPECT_EQ(proposed.size(), task.space().size() - history.size());
  for (const Trial& trial : history) EXPECT_FALSE(proposed.contains(trial.config));
}

TEST_P(SearchPolicyContract, RepeatsItselfWithTheSameSeedAndObservations) {
  for (const std::int64_t extra : {0, 12}) {
    const Task task = SyntheticTask(128, 14, {.extra_values = extra});
    EXPECT_EQ(Search(task, 7, 8), Search(task, 7, 8));
  }
}

TEST_P(SearchPolicyContract, AnotherSeedSearchesDifferently) {
  if (GetParam() == "grid") GTEST_SKIP() << "the grid has no seed";
  const Task task = SyntheticTask();
  EXPECT_NE(Search(task, 1, 2), Search(task, 2, 2));
}

TEST_P(SearchPolicyContract, SurvivesATaskOnWhichNothingWorks) {
  const Task task = SyntheticTask();
  const auto policy = Make(task);
  std::set<Config> proposed;
  for (std::int64_t batch = 0; batch < 14; ++batch) {
    std::vector<Trial> trials;
    for (const Proposal& proposal : policy->Propose(batch, 16)) {
      EXPECT_TRUE(proposed.insert(proposal.config).second);
      Trial trial;
      trial.config = proposal.config;
      trial.outcome = Failure{Stage::kCompile, FailureKind::kCompileError, "no"};
      trials.push_back(trial);
    }
    Learn(task, *policy, trials);
  }
  EXPECT_GE(proposed.size(), 14U);
}

INSTANTIATE_TEST_SUITE_P(All, SearchPolicyContract, ::testing::ValuesIn(SearchPolicyNames()),
                         [](const auto& name) { return std::string(name.param); });

TEST(SearchPolicyTest, AnUnknownNameIsAnsweredWithTheKnownOnes) {
  const auto model = NewNullCostModel();
  const auto policy = NewSearchPolicy("annealing", TinyTask(), *model, {});
  ASSERT_EQ(policy.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(Message(policy.status()), ::testing::HasSubstr("kiln, autotvm, ga, random, grid"));
}

TEST(GridPolicyTest, WalksTheSpaceInItsOrder) {
  const Task task = TinyTask();
  const auto model = NewNullCostModel();
  const auto policy = *NewSearchPolicy("grid", task, *model, {});
  const auto proposals = policy->Propose(0, 10);
  ASSERT_EQ(proposals.size(), 10U);
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    EXPECT_EQ(proposals[i].config, task.space().At(i));
  }
}

TEST(RandomPolicyTest, ABatchDoesNotDependOnTheSizeOfTheBatchesBefore) {
  const Task task = SyntheticTask(128, 14, {.extra_values = 12});
  const auto model = NewNullCostModel();
  const auto once = *NewSearchPolicy("random", task, *model, {5});
  const auto twice = *NewSearchPolicy("random", task, *model, {5});
  (void)once->Propose(0, 1);
  (void)twice->Propose(0, 2);
  EXPECT_EQ(once->Propose(1, 1).front().config, twice->Propose(1, 1).front().config);
}

TEST(KilnPolicyTest, TheDefaultConfigComesFirst) {
  const Task task = SyntheticTask();
  const auto model = NewNullCostModel();
  const auto policy = *NewSearchPolicy("kiln", task, *model, {});
  EXPECT_EQ(policy->Propose(0, 16).front().config,
            task.kernel_template().Default(task.spec(), task.space()));
}

TEST(KilnPolicyTest, ProposalsCarryThePredictionThatTheyWereChosenBy) {
  const Task task = SyntheticTask();
  const auto model = NewXgboostCostModel({});
  const auto policy = *NewSearchPolicy("kiln", task, *model, {});
  std::vector<Trial> trials;
  Rng rng(1);
  for (int i = 0; i < 64; ++i) trials.push_back(SyntheticTrial(task, task.space().Sample(rng)));
  policy->Observe(trials);
  model->Add(task, trials);
  ASSERT_TRUE(model->Fit().ok());
  const auto proposals = policy->Propose(20, 16);
  ASSERT_EQ(proposals.size(), 16U);
  for (const Proposal& proposal : proposals) {
    ASSERT_TRUE(proposal.predicted.has_value());
    EXPECT_FLOAT_EQ(static_cast<float>(*proposal.predicted),
                    model->Predict(task, {&proposal.config, 1}).front());
  }
}

TEST(AutotvmPolicyTest, The64FirstAreRandomAndAPlanOfTheModelFollows) {
  const Task task = SyntheticTask();
  const auto model = NewNullCostModel();
  const auto policy = *NewSearchPolicy("autotvm", task, *model, {3});
  std::size_t random = 0, planned = 0;
  for (std::int64_t batch = 0; batch < 8; ++batch) {
    std::vector<Trial> trials;
    for (const Proposal& proposal : policy->Propose(batch, 16)) {
      ++(proposal.predicted ? planned : random);
      EXPECT_TRUE(batch >= 4 || !proposal.predicted);
      trials.push_back(SyntheticTrial(task, proposal.config));
    }
    policy->Observe(trials);
  }
  EXPECT_EQ(random, 64U + 3U);  // 5% of the plan stay random
  EXPECT_EQ(planned, 61U);
}

TEST(GaPolicyTest, AGenerationIsProposedBeforeTheNextIsBred) {
  const Task task = SyntheticTask();
  const auto model = NewNullCostModel();
  const auto policy = *NewSearchPolicy("ga", task, *model, {3});
  std::size_t proposed = 0;
  for (std::int64_t batch = 0; proposed < 100; ++batch) {
    std::vector<Trial> trials;
    for (const Proposal& proposal : policy->Propose(batch, 16)) {
      trials.push_back(SyntheticTrial(task, proposal.config));
    }
    proposed += trials.size();
    policy->Observe(trials);
  }
  EXPECT_EQ(proposed, 100U);
}

}  // namespace
}  // namespace kiln::testing
