#include "tuner/confirmation.h"

#include <gtest/gtest.h>

#include "tests/tuner/fake_measurer.h"

namespace kiln::testing {
namespace {

class ConfirmationTest : public ::testing::Test {
 protected:
  const Task task_ = SyntheticTask();
  const std::vector<Config> configs_ = {task_.space().At(3), task_.space().At(1),
                                        task_.space().At(2)};
  const MeasureRequest request_{task_, {}, {}, MeasurePlan{.cut_off_ns = 1}, std::nullopt, 0};
};

TEST_F(ConfirmationTest, ConfigsTakeTurns) {
  FakeMeasurer measurer;
  ASSERT_TRUE(MeasureInTurns(measurer, request_, configs_).ok());
  const auto submitted = measurer.submitted();
  ASSERT_EQ(submitted.size(), configs_.size() * kConfirmationRounds);
  for (std::size_t i = 0; i < submitted.size(); ++i) {
    EXPECT_EQ(submitted[i].config, configs_[i % configs_.size()]);
    EXPECT_EQ(submitted[i].plan.cut_off_ns, 0);
  }
}

TEST_F(ConfirmationTest, EachHasTheSamplesOfOneTrialInAll) {
  FakeMeasurer measurer(FakeMeasurer::Order::kShuffled);
  const auto trials = MeasureInTurns(measurer, request_, configs_);
  ASSERT_TRUE(trials.ok());
  ASSERT_EQ(trials->size(), configs_.size());
  for (std::size_t i = 0; i < configs_.size(); ++i) {
    EXPECT_EQ((*trials)[i].config, configs_[i]);
    EXPECT_EQ(std::get<Timings>((*trials)[i].outcome).samples_ns.size(), 10U);
  }
}

TEST_F(ConfirmationTest, OneFailureInAnyTurnIsTheOutcome) {
  int turn = 0;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [&](const MeasureRequest& request) {
    auto trial = FakeMeasurer::Exact(request);
    if (++turn == 8) trial->outcome = Failure{Stage::kVerify, FailureKind::kWrongResult, "once"};
    return trial;
  });
  const auto trials = MeasureInTurns(measurer, request_, configs_);
  ASSERT_TRUE(trials.ok());
  EXPECT_TRUE(RankTime((*trials)[0]).has_value());
  EXPECT_FALSE(RankTime((*trials)[1]).has_value());  // the 8th turn is the second config's third
}

TEST_F(ConfirmationTest, TurnsOnDifferentDevicesAreNotJoined) {
  int turn = 0;
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [&](const MeasureRequest& request) {
    auto trial = FakeMeasurer::Exact(request);
    trial->device = turn++ < 6 ? "board-1" : "board-2";
    return trial;
  });
  const auto trials = MeasureInTurns(measurer, request_, configs_);
  ASSERT_TRUE(trials.ok());
  ASSERT_EQ(trials->size(), 2 * configs_.size());
  for (std::size_t i = 0; i < trials->size(); ++i) {
    const Trial& trial = (*trials)[i];
    EXPECT_EQ(trial.config, configs_[i / 2]);
    EXPECT_EQ(trial.device, i % 2 == 0 ? "board-1" : "board-2");
    EXPECT_EQ(std::get<Timings>(trial.outcome).samples_ns.size(), i % 2 == 0 ? 4U : 6U);
  }
}

TEST_F(ConfirmationTest, AMeasurerThatCannotMeasureIsAnError) {
  FakeMeasurer measurer(FakeMeasurer::Order::kSubmitted, [](const MeasureRequest&) {
    return StatusOr<Trial>(Error(StatusCode::kUnavailable, "gone"));
  });
  EXPECT_EQ(MeasureInTurns(measurer, request_, configs_).status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace kiln::testing
