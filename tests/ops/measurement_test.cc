#include "ops/measurement.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(TimingsTest, RankTimeIsTheMinimumOfTheFirstTenSamples) {
  Timings timings;
  timings.samples_ns = {9, 8, 7, 6, 5, 6, 7, 8, 9, 10, 1};
  EXPECT_EQ(timings.min_ns(), 5);
}

TEST(TimingsTest, FewerThanTenSamplesAllCount) {
  Timings timings;
  timings.samples_ns = {3, 2};
  EXPECT_EQ(timings.min_ns(), 2);
}

TEST(TimingsTest, MedianIsTheMiddleOrTheMeanOfTheTwoInTheMiddle) {
  Timings timings;
  timings.samples_ns = {9, 1, 4};
  EXPECT_EQ(timings.median_ns(), 4);
  timings.samples_ns = {9, 1, 4, 6};
  EXPECT_EQ(timings.median_ns(), 5);
}

TEST(TimingsTest, WithoutSamplesBothAreZero) {
  EXPECT_EQ(Timings{}.min_ns(), 0);
  EXPECT_EQ(Timings{}.median_ns(), 0);
}

TEST(MeasurementNamesTest, AreTheStoredWords) {
  EXPECT_STREQ(Name(FailureKind::kInvalidConfig), "INVALID_CONFIG");
  EXPECT_STREQ(Name(FailureKind::kWrongResult), "WRONG_RESULT");
  EXPECT_STREQ(Name(FailureKind::kDeviceLost), "DEVICE_LOST");
  EXPECT_STREQ(Name(Stage::kLower), "lower");
  EXPECT_STREQ(Name(Stage::kDevice), "device");
  EXPECT_STREQ(Name(CacheState::kCold), "cold");
}

}  // namespace
}  // namespace kiln
