#include "dashboard/curve_scale.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "base/rng.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

constexpr int kSeeds = 400;

bool IsRound(double tick, double step) {
  const double times = tick / step;
  return std::abs(times - std::round(times)) < 1e-6;
}

// 1, 2 or 5 times a power of ten.
bool IsNice(double value) {
  const double digit = value / std::pow(10, std::floor(std::log10(value) + 1e-9));
  return std::ranges::any_of(std::vector{1.0, 2.0, 5.0, 10.0},
                             [&](double nice) { return std::abs(digit / nice - 1) < 1e-6; });
}

TEST(CurveScaleTest, EndsAreAtZeroAndOneAndNothingIsBeyond) {
  const CurveScale linear{.least = 10, .most = 30};
  EXPECT_DOUBLE_EQ(linear.At(10), 0);
  EXPECT_DOUBLE_EQ(linear.At(25), 0.75);
  EXPECT_DOUBLE_EQ(linear.At(30), 1);
  EXPECT_DOUBLE_EQ(linear.At(5), 0);
  EXPECT_DOUBLE_EQ(linear.At(99), 1);
  const CurveScale log{.least = 1, .most = 10'000, .kind = ScaleKind::kLog};
  EXPECT_DOUBLE_EQ(log.At(100), 0.5);
  EXPECT_DOUBLE_EQ(log.At(0), 0);
  EXPECT_DOUBLE_EQ(log.At(1e9), 1);
}

TEST(CurveScaleTest, AScaleHoldsItsValuesBetweenRoundNumbers) {
  const CurveScale scale = NiceScale(std::vector{41.3, 88.0, 60.0}, 5);
  EXPECT_EQ(scale.kind, ScaleKind::kLinear);
  EXPECT_DOUBLE_EQ(scale.least, 40);
  EXPECT_DOUBLE_EQ(scale.most, 100);
  EXPECT_THAT(NiceTicks(scale, 4), ElementsAre(40, 60, 80, 100));
}

TEST(CurveScaleTest, ManyTimesTheSmallestIsLogarithmic) {
  const CurveScale scale = NiceScale(std::vector{3.0, 70.0, 4000.0}, 5);
  EXPECT_EQ(scale.kind, ScaleKind::kLog);
  EXPECT_DOUBLE_EQ(scale.least, 2);
  EXPECT_DOUBLE_EQ(scale.most, 5000);
  EXPECT_THAT(NiceTicks(scale, 5), ElementsAre(10, 100, 1000));
  EXPECT_EQ(NiceScale(std::vector{0.0, 4000.0}, 5).kind, ScaleKind::kLinear)
      << "0 has no logarithm";
}

TEST(CurveScaleTest, WithoutAnExtentThereIsStillAScale) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  for (const std::vector<double>& values : {std::vector<double>{},
                                            {nan},
                                            {inf, -inf},
                                            {0.0},
                                            {7.0},
                                            {7.0, 7.0, nan},
                                            {-3.0},
                                            {1e-300}}) {
    const CurveScale scale = NiceScale(values, 5);
    EXPECT_LT(scale.least, scale.most);
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      EXPECT_TRUE(scale.least <= value && value <= scale.most) << value;
    }
  }
}

TEST(CurveScaleTest, RandomScalesHaveFewRoundTicksInOrder) {
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    std::vector<double> values;
    const double size = std::pow(10, double(rng.Between(-6, 9)));
    for (std::int64_t i = rng.Between(1, 20); i > 0; --i) values.push_back(rng.Unit() * size);
    const int most = static_cast<int>(rng.Between(2, 12));
    const CurveScale scale = NiceScale(values, most);
    for (const double value : values) {
      EXPECT_LE(scale.least, value);
      EXPECT_GE(scale.most, value);
    }
    const std::vector<double> ticks = NiceTicks(scale, most);
    ASSERT_LE(ticks.size(), static_cast<std::size_t>(most));
    EXPECT_TRUE(std::ranges::is_sorted(ticks, std::less_equal()));
    for (const double tick : ticks) {
      EXPECT_GE(tick, scale.least - 1e-6 * size);
      EXPECT_LE(tick, scale.most + 1e-6 * size);
      EXPECT_TRUE(scale.kind == ScaleKind::kLinear || IsNice(tick)) << tick;
    }
    if (scale.kind == ScaleKind::kLinear && ticks.size() > 1) {
      const double step = ticks[1] - ticks[0];
      EXPECT_TRUE(IsNice(step)) << step;
      for (const double tick : ticks) EXPECT_TRUE(IsRound(tick, step)) << tick;
    }
  }
}

TEST(CurveScaleTest, TicksOfAScaleWithOddEndsLieOnIt) {
  EXPECT_THAT(NiceTicks({.least = 0, .most = 137}, 6), ElementsAre(0, 50, 100));
  EXPECT_THAT(NiceTicks({.least = 0, .most = 1}, 6), SizeIs(6));
  EXPECT_EQ(TickText(NiceTicks({.least = 0, .most = 1}, 11)[3]), "0.3")
      << "not 0.30000000000000004";
}

// A curve that falls at random places.
std::vector<CurvePoint> Falling(std::uint64_t seed, std::size_t points) {
  Rng rng(seed);
  std::vector<CurvePoint> curve;
  double y = 1e6;
  for (std::size_t i = 1; i <= points; ++i) {
    if (rng.Below(3) == 0) y *= 0.999;
    curve.push_back({static_cast<double>(i), y});
  }
  return curve;
}

// A step curve's value at x.
double ValueAt(const std::vector<CurvePoint>& curve, double x) {
  double y = curve.front().y;
  for (const CurvePoint& point : curve) {
    if (point.x <= x) y = point.y;
  }
  return y;
}

TEST(ThinCurveTest, AFlatStretchIsItsBegin) {
  EXPECT_THAT(ThinCurve(std::vector<CurvePoint>{{1, 5}, {2, 5}, {3, 5}, {4, 3}, {5, 3}, {6, 3}}),
              ElementsAre(CurvePoint{1, 5}, CurvePoint{4, 3}, CurvePoint{6, 3}));
  EXPECT_THAT(ThinCurve({}), SizeIs(0));
  EXPECT_THAT(ThinCurve(std::vector<CurvePoint>{{1, 5}}), ElementsAre(CurvePoint{1, 5}));
}

TEST(ThinCurveTest, FewStepsLoseNothing) {
  const std::vector<CurvePoint> curve = Falling(7, 900);
  const std::vector<CurvePoint> thin = ThinCurve(curve);
  EXPECT_LT(thin.size(), curve.size());
  for (const CurvePoint& point : curve) EXPECT_EQ(ValueAt(thin, point.x), point.y);
}

TEST(ThinCurveTest, ManyStepsBecomeFewOfTheSamePointsAndKeepTheEnds) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::vector<CurvePoint> curve = Falling(seed, 30'000);
    const std::vector<CurvePoint> thin = ThinCurve(curve);
    EXPECT_LE(thin.size(), kMostCurvePoints);
    EXPECT_GT(thin.size(), kMostCurvePoints / 2);
    EXPECT_EQ(thin.front(), curve.front());
    EXPECT_EQ(thin.back(), curve.back());
    EXPECT_TRUE(std::ranges::includes(curve, thin)) << "a point that is none of the curve's";
    // Never behind by more than a stretch.
    const double stretch = 30'000.0 / (kMostCurvePoints - 1) + 1;
    for (std::size_t i = 0; i < curve.size(); i += 997) {
      const double x = curve[i].x;
      EXPECT_GE(ValueAt(thin, x), ValueAt(curve, x));
      EXPECT_LE(ValueAt(thin, x), ValueAt(curve, x - stretch));
    }
  }
}

}  // namespace
}  // namespace kiln
