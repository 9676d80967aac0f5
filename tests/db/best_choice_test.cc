#include "db/best_choice.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace kiln {
namespace {

BestCandidate Candidate(std::string id, std::optional<double> rank_ns, bool confirmed = false) {
  static std::int64_t seq = 0;
  return {.kernel_template = "t",
          .config_id = std::move(id),
          .seq = ++seq,
          .confirmed = confirmed,
          .rank_ns = rank_ns};
}

// The id of the best, the same for every order of the candidates.
std::string Chosen(std::vector<BestCandidate> candidates) {
  std::ranges::sort(candidates, {}, &BestCandidate::seq);
  std::string chosen;
  do {
    const std::optional<std::size_t> best = ChooseBest(candidates);
    const std::string id = best ? candidates[*best].config_id : "none";
    EXPECT_TRUE(chosen.empty() || chosen == id);
    chosen = id;
  } while (std::ranges::next_permutation(candidates, {}, &BestCandidate::seq).found);
  return chosen;
}

TEST(BestChoiceTest, TheFastestThatHasATime) {
  EXPECT_EQ(Chosen({}), "none");
  EXPECT_EQ(Chosen({Candidate("a", std::nullopt)}), "none");
  EXPECT_EQ(Chosen({Candidate("a", std::nullopt), Candidate("b", 3), Candidate("c", 2)}), "c");
}

TEST(BestChoiceTest, ConfirmedBeforeFasterAndTiesByConfigId) {
  EXPECT_EQ(Chosen({Candidate("a", 1), Candidate("b", 3, true), Candidate("c", 2, true)}), "c");
  EXPECT_EQ(Chosen({Candidate("c", 1), Candidate("a", 1), Candidate("b", 1)}), "a");
  EXPECT_EQ(Chosen({Candidate("a", 1), Candidate("b", std::nullopt, true)}), "a");
}

TEST(BestChoiceTest, ConfirmedTimesWithinTheTieBandOfTheFastestAreEqual) {
  const double tied = 100 * (1 + kTieBand / 2), slower = 100 * (1 + kTieBand * 2);
  EXPECT_EQ(Chosen({Candidate("b", 100, true), Candidate("a", tied, true)}), "a");
  EXPECT_EQ(Chosen({Candidate("b", 100, true), Candidate("a", slower, true)}), "b");
  EXPECT_EQ(Chosen({Candidate("b", 100), Candidate("a", tied)}), "b") << "unconfirmed";
  EXPECT_EQ(Chosen({Candidate("b", 100, true), Candidate("a", tied)}), "b");
}

TEST(BestChoiceTest, KindsAreNeverMixed) {
  BestCandidate estimated = Candidate("a", 1, true), emulated = Candidate("b", 2, true);
  estimated.kind = TimeKind::kEstimated;
  emulated.kind = TimeKind::kEmulated;
  EXPECT_EQ(Chosen({estimated, emulated, Candidate("c", 900)}), "c");
  EXPECT_EQ(Chosen({estimated, emulated}), "b");
}

TEST(BestChoiceTest, ALaterEstimateDoesNotStandForAMeasuredConfig) {
  const BestCandidate measured = Candidate("a", 5);
  BestCandidate estimated = Candidate("a", 1);
  estimated.kind = TimeKind::kEstimated;
  const std::vector<BestCandidate> candidates = {measured, estimated, Candidate("b", 9)};
  EXPECT_EQ(ChooseBest(candidates), 0u);
  EXPECT_EQ(TrialsLike(measured, candidates), 2);
  EXPECT_EQ(TrialsLike(estimated, candidates), 1);
}

TEST(BestChoiceTest, OnlyTheLatestCodeOfAConfigCounts) {
  const BestCandidate old = Candidate("a", 1), other = Candidate("b", 3), now = Candidate("a", 2);
  EXPECT_EQ(*ChooseBest(std::vector{old, other, now}), 2u);
  EXPECT_EQ(Chosen({old, other, Candidate("a", std::nullopt)}), "b");
  BestCandidate elsewhere = Candidate("a", 9);
  elsewhere.kernel_template = "u";
  EXPECT_EQ(*ChooseBest(std::vector{old, elsewhere}), 0u) << "of another template";
}

TEST(BestChoiceTest, ARecordIsJudgedByItsLatestMeasurementUnlessItWasEverWrong) {
  TrialRecord record;
  record.trial.outcome = Timings{{10}, 1};
  EXPECT_EQ(CandidateOf(record).rank_ns, 10);
  EXPECT_FALSE(CandidateOf(record).confirmed);
  record.confirmations.resize(2);
  record.confirmations[0].outcome = Failure{Stage::kRun, FailureKind::kTimeout, ""};
  record.confirmations[1].outcome = Timings{{12}, 1};
  EXPECT_EQ(CandidateOf(record).rank_ns, 12);
  EXPECT_TRUE(CandidateOf(record).confirmed);
  record.confirmations[0].outcome = Failure{Stage::kVerify, FailureKind::kWrongResult, ""};
  EXPECT_EQ(CandidateOf(record).rank_ns, std::nullopt);
  record.confirmations = {};
  record.trial.outcome = Censored{{{10}, 1}, 10};
  EXPECT_EQ(CandidateOf(record).rank_ns, std::nullopt);
}

}  // namespace
}  // namespace kiln
