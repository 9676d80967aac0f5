#include "dashboard/paired_gain.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.h"

namespace kiln {
namespace {

TEST(PairedGainTest, FewerThanSixPairsAreTooFew) {
  const std::vector<double> five(5, 1), six(6, 1);
  EXPECT_FALSE(GainOfPairs(five, five));
  EXPECT_TRUE(GainOfPairs(six, six));
  EXPECT_FALSE(GainOfPairs(six, five)) << "not pairs";
}

TEST(PairedGainTest, TenPairsGiveTheSecondAndTheNinthRatio) {
  // P(Binomial(10, 1/2) < 2) = 11 / 1024 = 1.07%, below 3 it is 5.5%: k is 2.
  const std::vector<double> before = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, after(10, 10);
  const auto gain = GainOfPairs(before, after);
  ASSERT_TRUE(gain);
  EXPECT_DOUBLE_EQ(gain->median, 1.45);
  EXPECT_DOUBLE_EQ(gain->low, 1.1);
  EXPECT_DOUBLE_EQ(gain->high, 1.8);
  EXPECT_EQ(gain->pairs, 10);
}

TEST(PairedGainTest, SlowMinuteThatHitsBothLeavesThePairsAlone) {
  std::vector<double> before, after;
  for (int i = 0; i < 10; ++i) {
    const double slow = i < 5 ? 1 : 3;
    before.push_back(120 * slow);
    after.push_back(100 * slow);
  }
  EXPECT_NEAR(GainOfPairs(before, after)->low, 1.2, 1e-12);
}

TEST(PairedGainTest, IntervalHoldsTheMedianAsOftenAsItSays) {
  constexpr std::uint64_t kSeed = 7;
  constexpr int kTimes = 2000;
  Rng rng(kSeed);
  for (const int pairs : {6, 10, 25}) {
    int held = 0;
    for (int time = 0; time < kTimes; ++time) {
      std::vector<double> before, after(static_cast<std::size_t>(pairs), 1.0);
      for (int i = 0; i < pairs; ++i) {
        // Skewed, with the median 2.
        const double u = rng.Unit();
        before.push_back(u < 0.5 ? 1 + 2 * u : 2 + 50 * (u - 0.5));
      }
      const auto gain = GainOfPairs(before, after);
      held += gain->low <= 2 && 2 <= gain->high;
    }
    // 95% less four standard errors.
    EXPECT_GE(held, kTimes * (0.95 - 4 * 0.005)) << pairs << " pairs, seed " << kSeed;
  }
}

Trial Confirmed(double ns, const std::string& device, std::int64_t at_ms) {
  Trial trial;
  trial.outcome = Timings{std::vector<double>(10, ns), 1};
  trial.device = device;
  trial.measured_at_ms = at_ms;
  return trial;
}

TEST(PairedGainTest, MeasurementsArePairsOnlyInTurnOnOneDevice) {
  const Trial before = Confirmed(200, "a", 1000);
  EXPECT_DOUBLE_EQ(GainInTurn(before, Confirmed(100, "a", 2000))->median, 2);
  EXPECT_FALSE(GainInTurn(before, Confirmed(100, "b", 2000))) << "devices do not compare";
  EXPECT_FALSE(GainInTurn(before, Confirmed(100, "a", 3'600'000))) << "an hour later";
  Trial failed = before;
  failed.outcome = Failure{};
  EXPECT_FALSE(GainInTurn(failed, before));
}

}  // namespace
}  // namespace kiln
