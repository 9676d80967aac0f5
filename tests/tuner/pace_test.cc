#include "tuner/pace.h"

#include <gtest/gtest.h>

namespace kiln::testing {
namespace {

using std::chrono::seconds;

class FakeClock final : public Clock {
 public:
  SteadyTime Now() const override { return now; }
  WallTime Today() const override { return WallTime(); }
  SteadyTime now{seconds(1000)};
};

class PaceTest : public ::testing::Test {
 protected:
  // The run is to end in 100 s.
  Pace Make(std::int64_t confirming) const {
    return Pace(clock_, clock_.now + seconds(100), confirming);
  }

  void MakeTrials(Pace& pace, int count, seconds each) {
    for (int i = 0; i < count; ++i) {
      clock_.now += each;
      pace.Count();
    }
  }

  FakeClock clock_;
};

TEST_F(PaceTest, EverythingFitsWithoutDeadline) {
  Pace pace(clock_, std::nullopt, 35);
  MakeTrials(pace, 10, seconds(1000));
  EXPECT_EQ(pace.Fitting(16, 100), 16);
  EXPECT_FALSE(pace.IsOutOfTime());
}

TEST_F(PaceTest, EverythingFitsAsLongAsThereIsNoPace) {
  Pace pace = Make(35);
  clock_.now += seconds(99);
  EXPECT_EQ(pace.Fitting(16, 16), 16);
  EXPECT_FALSE(pace.IsOutOfTime());
  clock_.now += seconds(1);
  EXPECT_TRUE(pace.IsOutOfTime());
}

TEST_F(PaceTest, AsManyFitAsTheTimeThatIsLeftAllows) {
  Pace pace = Make(0);
  MakeTrials(pace, 40, seconds(2));
  EXPECT_EQ(pace.Fitting(16, 0), 10);
  EXPECT_EQ(pace.Fitting(9, 0), 9);
  EXPECT_EQ(pace.Fitting(16, 6), 4) << "what is under way needs its time as well";
  EXPECT_EQ(pace.Fitting(16, 11), 0);
}

TEST_F(PaceTest, OneFitsWhereNothingIsUnderWay) {
  Pace pace = Make(0);
  MakeTrials(pace, 3, seconds(30));
  EXPECT_EQ(pace.Fitting(16, 1), 0);
  EXPECT_EQ(pace.Fitting(16, 0), 1);
  EXPECT_EQ(pace.Fitting(0, 0), 0);
}

TEST_F(PaceTest, TheTimeForTheFinalistsIsKept) {
  Pace pace = Make(3);
  MakeTrials(pace, 40, seconds(2));
  EXPECT_EQ(pace.Fitting(16, 0), 7);
  MakeTrials(pace, 6, seconds(2));
  EXPECT_FALSE(pace.IsOutOfTime());
  MakeTrials(pace, 1, seconds(2));
  EXPECT_TRUE(pace.IsOutOfTime());
}

TEST_F(PaceTest, TheFinalistsGetATenthOfTheTimeAtMost) {
  Pace pace = Make(35);
  MakeTrials(pace, 40, seconds(2));
  EXPECT_EQ(pace.Fitting(16, 0), 5);
}

}  // namespace
}  // namespace kiln::testing
