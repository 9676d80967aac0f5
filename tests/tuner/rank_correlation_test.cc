#include "tuner/rank_correlation.h"

#include <gtest/gtest.h>

#include <vector>

namespace kiln {
namespace {

TEST(RankCorrelationTest, TheSameOrderGivesOneWhateverTheScale) {
  EXPECT_DOUBLE_EQ(*RankCorrelation(std::vector{1.0, 2.0, 3.0}, std::vector{-9.0, 0.5, 1e9}), 1);
  EXPECT_DOUBLE_EQ(*RankCorrelation(std::vector{1.0, 2.0, 3.0}, std::vector{5.0, 4.0, -1.0}), -1);
}

TEST(RankCorrelationTest, AgreesWithTheTextbookFormula) {
  // 1 - 6 sum(d^2) / (n (n^2 - 1)) with d = 1, -1, 1, -1, 0.
  const std::vector<double> a = {1, 2, 3, 4, 5}, b = {2, 1, 4, 3, 5};
  EXPECT_DOUBLE_EQ(*RankCorrelation(a, b), 1 - 6.0 * 4 / (5 * 24));
}

TEST(RankCorrelationTest, TiesShareTheirMeanRank) {
  EXPECT_NEAR(*RankCorrelation(std::vector{1.0, 1.0, 2.0}, std::vector{1.0, 2.0, 3.0}), 0.8660254,
              1e-7);
}

TEST(RankCorrelationTest, SaysNothingOfTooLittle) {
  EXPECT_FALSE(RankCorrelation(std::vector{1.0, 2.0}, std::vector{1.0, 2.0}));
  EXPECT_FALSE(RankCorrelation(std::vector{1.0, 1.0, 1.0}, std::vector{1.0, 2.0, 3.0}));
}

}  // namespace
}  // namespace kiln
