#include "ops/quantization.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "tests/ops/requantize_rows.h"

namespace kiln {
namespace {

constexpr std::int32_t kHalf = 1 << 30;  // as a multiplier: 0.5 * 2^shift
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();

std::int32_t Double(std::int32_t acc, std::int32_t multiplier, std::int32_t shift) {
  return MultiplyByQuantizedMultiplier(acc, {multiplier, shift}, Rounding::kDouble);
}
std::int32_t Single(std::int32_t acc, std::int32_t multiplier, std::int32_t shift) {
  return MultiplyByQuantizedMultiplier(acc, {multiplier, shift}, Rounding::kSingle);
}

TEST(MultiplyByQuantizedMultiplierTest, EqualsTfliteOnEveryRecordedRow) {
  const auto rows = ReadRequantizeRows();
  ASSERT_EQ(rows.size(), kRequantizeRows);
  for (const RequantizeRow& row : rows) {
    const std::int32_t result = Double(row.acc, row.multiplier, row.shift);
    ASSERT_EQ(result, row.raw_double) << row.acc << ' ' << row.multiplier << ' ' << row.shift;
    ASSERT_EQ(std::clamp<std::int64_t>(std::int64_t{result} + row.zero_point, -128, 127),
              row.expected);
    ASSERT_EQ(Single(row.acc, row.multiplier, row.shift), row.raw_single)
        << row.acc << ' ' << row.multiplier << ' ' << row.shift;
  }
}

// Worked out by hand from the rules in quantization.h.
TEST(MultiplyByQuantizedMultiplierTest, DoubleRoundsTheOuterHalfAwayFromZero) {
  EXPECT_EQ(Double(2, kHalf, -1), 1);    // 2 * 0.25: inner 1, outer 1/2
  EXPECT_EQ(Double(-2, kHalf, -1), -1);  // inner -1, outer -1/2
  EXPECT_EQ(Double(6, kHalf, -1), 2);    // inner 3, outer 3/2
  EXPECT_EQ(Double(-6, kHalf, -1), -2);
}

TEST(MultiplyByQuantizedMultiplierTest, DoubleRoundsTheInnerHalfUp) {
  EXPECT_EQ(Double(1, kHalf, 0), 1);
  EXPECT_EQ(Double(-1, kHalf, 0), 0);
  EXPECT_EQ(Double(-3, kHalf, 0), -1);
}

TEST(MultiplyByQuantizedMultiplierTest, DoubleRoundsTwice) {
  EXPECT_EQ(Double(1, kHalf, -1), 1);  // 0.25 becomes 1/2, then 1
  EXPECT_EQ(Single(1, kHalf, -1), 0);
  EXPECT_EQ(Double(-1, kHalf, -1), 0);
  EXPECT_EQ(Double(-3, kHalf, -1), -1);  // -0.75: -1, then -1/2, away from zero
}

TEST(MultiplyByQuantizedMultiplierTest, SingleRoundsHalvesUp) {
  EXPECT_EQ(Single(2, kHalf, -1), 1);
  EXPECT_EQ(Single(-2, kHalf, -1), 0);
  EXPECT_EQ(Single(-6, kHalf, -1), -1);
  EXPECT_EQ(Single(-7, kHalf, -1), -2);
}

TEST(MultiplyByQuantizedMultiplierTest, LeftShiftsMultiply) {
  EXPECT_EQ(Double(5, kHalf, 1), 5);
  EXPECT_EQ(Double(-5, kHalf, 4), -40);
  EXPECT_EQ(Single(-5, kHalf, 4), -40);
  EXPECT_EQ(Double(1, kHalf, 30), 1 << 29);
  EXPECT_EQ(Single(1, kHalf, 30), 1 << 29);
}

TEST(MultiplyByQuantizedMultiplierTest, HoldsAtTheEndsOfTheRange) {
  EXPECT_EQ(Double(kMost, kMost, 0), kMost - 1);
  EXPECT_EQ(Double(kLeast, kMost, 0), kLeast + 1);
  EXPECT_EQ(Double(kMost, kMost, -31), 1);
  EXPECT_EQ(Double(kLeast, kMost, -31), -1);
  EXPECT_EQ(Single(kMost, kMost, -31), 1);
  EXPECT_EQ(Single(kLeast, kMost, -31), -1);
  EXPECT_EQ(Double(kMost, kHalf, -31), 1);  // just below one half, which the inner rounding hides
  EXPECT_EQ(Single(kMost, kHalf, -31), 0);
  EXPECT_EQ(Double(kMost, 0, 0), 0);
}

TEST(MultiplyByQuantizedMultiplierTest, NeverDecreases) {
  Rng rng(7);
  for (int i = 0; i < 200'000; ++i) {
    const auto multiplier = static_cast<std::int32_t>(rng.Between(kHalf, kMost));
    const auto shift = static_cast<std::int32_t>(rng.Between(-31, 0));
    const auto acc = static_cast<std::int32_t>(rng.Between(kLeast, kMost - 1));
    ASSERT_LE(Double(acc, multiplier, shift), Double(acc + 1, multiplier, shift));
    ASSERT_LE(Single(acc, multiplier, shift), Single(acc + 1, multiplier, shift));
  }
}

TEST(QuantizeMultiplierTest, PowersOfTwoAreExact) {
  EXPECT_EQ(QuantizeMultiplier(1.0), (FixedPoint{kHalf, 1}));
  EXPECT_EQ(QuantizeMultiplier(0.5), (FixedPoint{kHalf, 0}));
  EXPECT_EQ(QuantizeMultiplier(0.25), (FixedPoint{kHalf, -1}));
}

TEST(QuantizeMultiplierTest, RoundsToTheNearestAndCarries) {
  EXPECT_EQ(QuantizeMultiplier(0x1.8p-3), (FixedPoint{3 << 29, -2}));
  // Half a unit below 1: rounds up to 2^31, which is 2^30 with the next shift.
  EXPECT_EQ(QuantizeMultiplier(1 - 0x1p-32), (FixedPoint{kHalf, 1}));
  EXPECT_EQ(QuantizeMultiplier(1 - 0x1p-31), (FixedPoint{kMost, 0}));
}

TEST(QuantizeMultiplierTest, TinyFactorsAreZero) {
  EXPECT_EQ(QuantizeMultiplier(0), FixedPoint{});
  EXPECT_EQ(QuantizeMultiplier(0x1p-32), (FixedPoint{kHalf, -31}));
  EXPECT_EQ(QuantizeMultiplier(0x1.8p-33), FixedPoint{});
}

TEST(QuantizeMultiplierTest, IsWithinHalfAUnit) {
  Rng rng(8);
  for (int i = 0; i < 100'000; ++i) {
    const double real = std::ldexp(1 + rng.Unit(), static_cast<int>(rng.Between(-20, 8)));
    const FixedPoint factor = QuantizeMultiplier(real);
    ASSERT_GE(factor.multiplier, kHalf);
    ASSERT_LE(std::abs(std::ldexp(factor.multiplier, factor.shift - 31) - real),
              std::ldexp(0.5, factor.shift - 31));
  }
}

TEST(MultiplyByScaleTest, RoundsHalvesToEven) {
  EXPECT_EQ(MultiplyByScale(1, 0.5f), 0);
  EXPECT_EQ(MultiplyByScale(3, 0.5f), 2);
  EXPECT_EQ(MultiplyByScale(5, 0.5f), 2);
  EXPECT_EQ(MultiplyByScale(-1, 0.5f), 0);
  EXPECT_EQ(MultiplyByScale(-3, 0.5f), -2);
}

TEST(MultiplyByScaleTest, TheAccumulatorIsRoundedToFloatFirst) {
  EXPECT_EQ(MultiplyByScale((1 << 24) + 1, 0x1p-1f), 1 << 23);
  EXPECT_EQ(MultiplyByScale((1 << 24) + 3, 0x1p-1f), (1 << 23) + 2);
}

TEST(MultiplyByScaleTest, SaturatesFarOutside) {
  EXPECT_GT(MultiplyByScale(kMost, 1e30f), 1 << 20);
  EXPECT_LT(MultiplyByScale(kLeast, 1e30f), -(1 << 20));
}

}  // namespace
}  // namespace kiln
