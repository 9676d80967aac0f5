#include "apps/serving/log_limiter.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LogLimiterTest : public testing::Test {
 protected:
  int Admitted(int lines, LogClass kind, const std::string& text) {
    int admitted = 0;
    for (int i = 0; i < lines; ++i) admitted += limiter_.Admit(now_, kind, text);
    return admitted;
  }
  std::vector<std::string> Sums() {
    std::vector<std::string> texts;
    for (const auto& sum : limiter_.TakeSums(now_)) texts.push_back(sum.text);
    return texts;
  }

  SteadyTime now_ = SteadyTime(std::chrono::hours(1));
  LogLimiter limiter_{{}};
};

TEST_F(LogLimiterTest, RefusalsAreWrittenInABurstThenAtARate) {
  EXPECT_EQ(Admitted(5000, LogClass::kWarning, "device a refused"), 100);
  int admitted = 0;
  for (int i = 0; i < 10'000; ++i) {
    now_ += milliseconds(1);
    admitted += Admitted(1, LogClass::kWarning, "device a refused");
  }
  EXPECT_NEAR(admitted, 200, 1);
  now_ += std::chrono::hours(1);
  EXPECT_EQ(Admitted(5000, LogClass::kWarning, "device a refused"), 100);
}

TEST_F(LogLimiterTest, WhatIsLeftOutIsSummedUpWhenItCalmsDown) {
  Admitted(1334, LogClass::kWarning, "device a\n refused");
  EXPECT_THAT(Sums(), testing::IsEmpty());
  EXPECT_EQ(limiter_.NextSum(), now_ + seconds(1));
  now_ += seconds(1);
  EXPECT_THAT(Sums(), testing::ElementsAre("1,234 more lines like this: device a\\n refused"));
  EXPECT_THAT(Sums(), testing::IsEmpty());
  EXPECT_EQ(limiter_.NextSum(), std::nullopt);
}

TEST_F(LogLimiterTest, AFloodIsSummedUpWhileItGoesOn) {
  std::size_t sums = 0;
  for (int i = 0; i < 600; ++i) {
    now_ += milliseconds(100);
    Admitted(100, LogClass::kWarning, "device a refused");
    sums += Sums().size();
  }
  EXPECT_THAT(sums, testing::AllOf(testing::Ge(4u), testing::Le(6u)));
}

TEST_F(LogLimiterTest, AFloodHidesNoLinesOfOtherKinds) {
  Admitted(5000, LogClass::kWarning, "device a refused");
  EXPECT_EQ(Admitted(1, LogClass::kWarning, "measurement refused"), 1);
  EXPECT_EQ(Admitted(1, LogClass::kNote, "device a registered"), 1);
}

TEST_F(LogLimiterTest, ErrorsAreNeverLeftOut) {
  EXPECT_EQ(Admitted(100'000, LogClass::kError, "device a lies"), 100'000);
}

TEST_F(LogLimiterTest, AllDevicesOfALargeFarmMayComeBackAtOnce) {
  EXPECT_EQ(Admitted(10'000, LogClass::kNote, "device a registered"), 10'000);
  EXPECT_LT(Admitted(100'000, LogClass::kNote, "device a registered"), 20'000)
      << "one that comes and goes in a loop fills the disk";
}

TEST_F(LogLimiterTest, KindsThatSomebodyInventsAreBounded) {
  int admitted = 0;
  for (int i = 0; i < 100'000; ++i) {
    admitted += Admitted(1, LogClass::kWarning, std::to_string(i) + " refused");
  }
  EXPECT_LE(admitted, 32 + 100);
}

}  // namespace
}  // namespace kiln
