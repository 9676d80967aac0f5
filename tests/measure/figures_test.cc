#include "measure/figures.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(FiguresTest, AGainIsHowManyTimesAsFast) {
  EXPECT_DOUBLE_EQ(*Gain(300, 200), 1.5);
  EXPECT_DOUBLE_EQ(*Gain(200, 400), 0.5);
  EXPECT_EQ(Gain(std::nullopt, 200), std::nullopt);
  EXPECT_EQ(Gain(300, std::nullopt), std::nullopt);
  EXPECT_EQ(Gain(300, 0), std::nullopt);
  EXPECT_EQ(Gain(0, 200), std::nullopt);
}

TEST(FiguresTest, SharesAreOfWhatIsPossible) {
  EXPECT_DOUBLE_EQ(*ShareOfPeak(30, 120), 0.25);
  EXPECT_EQ(ShareOfPeak(30, 0), std::nullopt) << "the peak was not measured";
  EXPECT_DOUBLE_EQ(*ShareOfBound(50, 200), 0.25);
  EXPECT_EQ(ShareOfBound(0, 200), std::nullopt);
  EXPECT_EQ(ShareOfBound(50, 0), std::nullopt);
}

}  // namespace
}  // namespace kiln
