#include "rpc_client/back_off.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(BackOffTest, LimitDoublesUpToTheLongest) {
  BackOff pauses;
  for (const int expected : {100, 200, 400, 800, 1600, 3200, 5000, 5000}) {
    EXPECT_EQ(pauses.Next(), milliseconds(expected));
  }
  pauses.Reset();
  EXPECT_EQ(pauses.Next(), milliseconds(100));
}

TEST(BackOffTest, PausesAreAnywhereBelowTheLimit) {
  Rng rng(1);
  BackOff pauses([&] { return rng.Unit(); });
  nanoseconds least = nanoseconds::max(), most{0};
  for (int i = 0; i < 1'000; ++i) {
    const nanoseconds pause = pauses.Next();
    if (i < 10) continue;
    least = std::min(least, pause);
    most = std::max(most, pause);
  }
  EXPECT_GE(least, nanoseconds(0));
  EXPECT_LT(least, milliseconds(100));
  EXPECT_GT(most, milliseconds(4'800));
  EXPECT_LT(most, milliseconds(5'000));
}

}  // namespace
}  // namespace kiln
