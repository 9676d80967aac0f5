#include "cost_model/average_recall.h"

#include <gtest/gtest.h>

#include <vector>

namespace kiln {
namespace {

const std::vector<float> kLabels = {0.1F, 0.9F, 0.5F, 0.7F};

TEST(AverageRecallTest, ThePerfectRankingRecallsAll) {
  EXPECT_DOUBLE_EQ(AverageRecall(kLabels, kLabels, 4), 1);
}

TEST(AverageRecallTest, CountsWhatTheTopsShare) {
  // By score: rows 3, 1, 2, 0; by label: 1, 3, 2, 0. The tops of 1, 2 and 3 share 0, 2 and 3.
  const std::vector<float> scores = {0, 3, 2, 4};
  EXPECT_DOUBLE_EQ(AverageRecall(scores, kLabels, 3), (0.0 / 1 + 2.0 / 2 + 3.0 / 3) / 3);
  EXPECT_DOUBLE_EQ(AverageRecall(scores, kLabels, 1), 0);
}

TEST(AverageRecallTest, TheReverseRankingFindsTheTopLast) {
  const std::vector<float> scores = {9, 1, 5, 3};
  EXPECT_DOUBLE_EQ(AverageRecall(scores, kLabels, 4), (0.0 + 0.0 + 2.0 / 3 + 1.0) / 4);
}

TEST(AverageRecallTest, MoreThanThereIsMeansAll) {
  EXPECT_DOUBLE_EQ(AverageRecall(kLabels, kLabels, 64), 1);
  EXPECT_DOUBLE_EQ(AverageRecall({}, {}, 64), 0);
}

}  // namespace
}  // namespace kiln
