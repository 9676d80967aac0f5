#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/tuner/policy_run.h"

// Statements about quality hold on average: over seeds, on a surface whose optimum is known.

namespace kiln::testing {
namespace {

constexpr std::uint64_t kSeeds = 10;
constexpr std::size_t kTrials = 160;

// Mean regret (found/best - 1) after kTrials.
double Regret(std::string_view policy) {
  static const Task task = SyntheticTask(64, 56);
  static const double best = SyntheticBest(task);
  static std::map<std::string, double, std::less<>> known;
  const auto found = known.find(policy);
  if (found != known.end()) return found->second;
  double sum = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    sum += BestSoFar(policy, task, seed, kTrials).back() / best - 1;
  }
  return known[std::string(policy)] = sum / kSeeds;
}

TEST(SearchQualityTest, KilnFindsHalfTheRegretOfRandom) {
  EXPECT_LT(Regret("kiln"), 0.5 * Regret("random"));
}
TEST(SearchQualityTest, KilnIsNotWorseThanAutotvm) { EXPECT_LE(Regret("kiln"), Regret("autotvm")); }
TEST(SearchQualityTest, KilnComesWithinTwoPerCent) { EXPECT_LT(Regret("kiln"), 0.02); }
TEST(SearchQualityTest, AutotvmBeatsRandom) { EXPECT_LT(Regret("autotvm"), Regret("random")); }
TEST(SearchQualityTest, GaIsNotWorseThanRandom) { EXPECT_LE(Regret("ga"), Regret("random")); }

TEST(SearchQualityTest, KilnBeatsRandomInASpaceTooLargeToRank) {
  const Task task = SyntheticTask(256, 14, {.extra_values = 12});
  double kiln = 0, random = 0;
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    kiln += BestSoFar("kiln", task, seed, 128).back();
    random += BestSoFar("random", task, seed, 128).back();
  }
  EXPECT_LT(kiln, 0.95 * random);
}

}  // namespace
}  // namespace kiln::testing
