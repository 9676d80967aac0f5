#include "db/best_choice.h"

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"

namespace kiln {
namespace {

BestCandidate Candidate(std::string id, std::optional<double> rank_ns, bool confirmed = false) {
  static std::int64_t seq = 0;
  ++seq;
  return {.trial = static_cast<std::size_t>(seq),
          .kernel_template = "t",
          .config_id = std::move(id),
          .seq = seq,
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

// How a record did, for each device: "device rank", marked ! if confirmed; "-": no time.
std::string Judged(const TrialRecord& record) {
  std::vector<BestCandidate> candidates;
  AddCandidates(0, record, candidates);
  std::string text;
  for (const BestCandidate& c : candidates) {
    text += (text.empty() ? "" : ", ") + c.device + " " +
            (c.rank_ns ? std::to_string(std::lround(*c.rank_ns)) : "-") + (c.confirmed ? "!" : "");
  }
  return text;
}

Trial On(std::string device, Outcome outcome) {
  Trial trial;
  trial.device = std::move(device);
  trial.outcome = std::move(outcome);
  return trial;
}

TEST(BestChoiceTest, ARecordIsJudgedByItsLatestConfirmationUnlessItWasEverWrong) {
  TrialRecord record;
  record.trial = On("a", Timings{{10}, 1});
  EXPECT_EQ(Judged(record), "a 10");
  record.again.push_back({true, On("a", Failure{Stage::kRun, FailureKind::kTimeout, ""})});
  EXPECT_EQ(Judged(record), "a -!");
  record.again.push_back({true, On("a", Timings{{12}, 1})});
  EXPECT_EQ(Judged(record), "a 12!");
  record.again.push_back({false, On("a", Timings{{5}, 1})});
  EXPECT_EQ(Judged(record), "a 12!") << "what tuning measures again is not a confirmation";
  record.again[0].trial.outcome = Failure{Stage::kVerify, FailureKind::kWrongResult, ""};
  EXPECT_EQ(Judged(record), "a -!");
  record.again = {};
  record.trial.outcome = Censored{{{10}, 1}, 10};
  EXPECT_EQ(Judged(record), "a -");
}

TEST(BestChoiceTest, ARecordIsACandidateOnEveryDeviceThatMeasuredIt) {
  TrialRecord record;
  record.trial = On("a", Timings{{10}, 1});
  record.again = {{false, On("b", Timings{{20}, 1})},
                  {false, On("b", Timings{{19}, 1})},
                  {true, On("c", Timings{{30}, 1})},
                  {true, On("a", Timings{{11}, 1})}};
  EXPECT_EQ(Judged(record), "a 11!, b 20, c 30!");
  record.again.push_back({false, On("d", Failure{Stage::kVerify, FailureKind::kWrongResult, ""})});
  EXPECT_EQ(Judged(record), "a -!, b -, c -!, d -") << "wrong on one is wrong on all";
}

TEST(BestChoiceTest, OneDeviceDecides) {
  const auto on = [](BestCandidate candidate, std::string device, std::int64_t at_ms = 0) {
    candidate.device = std::move(device);
    candidate.measured_at_ms = at_ms;
    return candidate;
  };
  const std::vector<BestCandidate> slow = {on(Candidate("a", 100), "slow"),
                                           on(Candidate("b", 110), "slow")};
  const BestCandidate fast = on(Candidate("c", 10), "fast");
  EXPECT_EQ(Chosen({slow[0], slow[1], fast}), "a") << "the one that measured more";
  EXPECT_EQ(Chosen({slow[1], fast}), "c") << "of equals, the first by name";
  EXPECT_EQ(Chosen({slow[0], slow[1], on(Candidate("d", 500, true), "third", 1)}), "d")
      << "the one that confirmed";
  EXPECT_EQ(
      Chosen({on(Candidate("d", 5, true), "third", 1), on(Candidate("e", 6, true), "third", 3),
              on(Candidate("f", 1, true), "fourth", 2)}),
      "d")
      << "the one that confirmed last, by the best of all that it confirmed";
}

}  // namespace
}  // namespace kiln
