#include "measure/timed_device_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/measure/fake_farm.h"
#include "tests/measure/stepping_clock.h"

namespace kiln {
namespace {

using kiln::testing::FakeFarm;
using kiln::testing::RightResult;
using ::testing::ElementsAre;

class TimedDevicePoolTest : public ::testing::Test {
 protected:
  TimedDevicePoolTest() {
    auto farm = std::make_unique<FakeFarm>(std::vector<std::string>{"pi4"},
                                           [this](const std::string&, const RunRequest&) {
                                             clock_.Pass(std::chrono::seconds(2));
                                             return RightResult();
                                           });
    farm_ = farm.get();
    pool_ = NewTimedDevicePool(std::move(farm), clock_,
                               {.leased = [this](Nanoseconds time) { leased_.push_back(time); },
                                .ran = [this](Nanoseconds time) { ran_.push_back(time); }});
  }
  StatusOr<std::unique_ptr<Lease>> Acquire() {
    return pool_->Acquire(Target(), TimeKind::kEmulated, std::chrono::seconds(1));
  }

  SteppingClock clock_;
  std::vector<Nanoseconds> leased_, ran_;
  FakeFarm* farm_ = nullptr;
  std::unique_ptr<DevicePool> pool_;
};

TEST_F(TimedDevicePoolTest, TellsOfLeasesAndRuns) {
  const auto lease = Acquire();
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_THAT(leased_, ElementsAre(Nanoseconds(0)));
  EXPECT_TRUE((*lease)->Run({}).ok());
  EXPECT_TRUE((*lease)->Run({}).ok());
  EXPECT_THAT(ran_, ElementsAre(std::chrono::seconds(2), std::chrono::seconds(2)));
  EXPECT_FALSE(Acquire().ok()) << "the only device is leased";
  EXPECT_EQ(leased_.size(), 1u) << "a lease that was not given took no time";
}

TEST_F(TimedDevicePoolTest, IsOtherwiseTheDeviceItself) {
  {
    const auto lease = Acquire();
    ASSERT_TRUE(lease.ok()) << lease.status();
    EXPECT_EQ((*lease)->device(), "pi4");
    EXPECT_EQ((*lease)->kind(), TimeKind::kEmulated);
    (*lease)->Blame("is hot");
  }
  EXPECT_THAT(farm_->blames(), ElementsAre("pi4: is hot"));
  pool_->StopWaiting();
  EXPECT_EQ(Acquire().status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace kiln
