#include "proto/call_meter.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(CallMeterTest, GivesABurstAndThenSoManyASecond) {
  CallMeter meter(10, 3);
  SteadyTime now{};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(meter.Take("a", now)) << i;
  EXPECT_FALSE(meter.Take("a", now));
  now += milliseconds(99);
  EXPECT_FALSE(meter.Take("a", now));
  now += milliseconds(2);
  EXPECT_TRUE(meter.Take("a", now));
  EXPECT_FALSE(meter.Take("a", now));
  now += seconds(3600);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(meter.Take("a", now)) << i;
  EXPECT_FALSE(meter.Take("a", now)) << "no more than a burst is saved up";
}

TEST(CallMeterTest, CallersDoNotPayForEachOther) {
  CallMeter meter(1, 1);
  EXPECT_TRUE(meter.Take("a", {}));
  EXPECT_FALSE(meter.Take("a", {}));
  EXPECT_TRUE(meter.Take("b", {}));
}

TEST(CallMeterTest, TimeThatSeemsToGoBackTakesNothingAway) {
  CallMeter meter(1, 2);
  const SteadyTime now = SteadyTime() + seconds(100);
  EXPECT_TRUE(meter.Take("a", now));
  EXPECT_TRUE(meter.Take("a", now - seconds(50)));
  EXPECT_FALSE(meter.Take("a", now - seconds(50)));
}

TEST(CallMeterTest, CallersThatComeAndGoAreForgotten) {
  CallMeter meter(1, 1);
  SteadyTime now{};
  for (int i = 0; i < 100'000; ++i) {
    now += milliseconds(10);
    EXPECT_TRUE(meter.Take("caller " + std::to_string(i), now));
    ASSERT_LE(meter.callers(), 2048u);
  }
}

TEST(CallMeterTest, CallersThatAreOutOfTokensAreNotForgotten) {
  CallMeter meter(1e-9, 1);
  EXPECT_TRUE(meter.Take("greedy", {}));
  for (int i = 0; i < 5000; ++i) meter.Take("other " + std::to_string(i), {});
  EXPECT_FALSE(meter.Take("greedy", {}));
}

}  // namespace
}  // namespace kiln
