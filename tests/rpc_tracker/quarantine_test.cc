#include "rpc_tracker/quarantine.h"

#include <gtest/gtest.h>

#include <limits>
#include <utility>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using Standing = Quarantine::Standing;

constexpr milliseconds kTime{1'000}, kLongest{3'000}, kMoment{1};

class QuarantineTest : public testing::Test {
 protected:
  static Quarantine With(DeviceRecords former, SteadyTime start = {}) {
    return {
        {.tolerated_failures = 3, .time = kTime, .longest = kLongest}, std::move(former), start};
  }
  std::optional<milliseconds> Fail(Quarantine& quarantine, const std::string& reason = "broken") {
    return quarantine.CountFailure(now_, "pi4", "ann", reason);
  }
  std::optional<milliseconds> Fail(const std::string& reason = "broken") {
    return Fail(quarantine_, reason);
  }
  void FailTwice() {
    for (int i = 0; i < 2; ++i) EXPECT_EQ(Fail(), std::nullopt);
  }

  SteadyTime now_{};
  Quarantine quarantine_ = With({});
};

TEST_F(QuarantineTest, NothingIsKnownOfADeviceThatIsWell) {
  EXPECT_EQ(quarantine_.Find("pi4"), nullptr);
  EXPECT_EQ(quarantine_.StandingOf(now_, "pi4"), Standing::kAdmitted);
  EXPECT_EQ(quarantine_.Forget("pi4"), std::nullopt);
  quarantine_.Explain("pi4", "broken");
  EXPECT_TRUE(quarantine_.records().empty());
  EXPECT_EQ(quarantine_.changes(), 0u);
}

TEST_F(QuarantineTest, TheLastToleratedFailureKeepsADeviceApart) {
  FailTwice();
  EXPECT_EQ(quarantine_.StandingOf(now_, "pi4"), Standing::kAdmitted);
  EXPECT_EQ(Fail("third"), kTime);
  EXPECT_EQ(*quarantine_.Find("pi4"), (DeviceRecord{"ann", 3, "third", now_ + kTime}));
  EXPECT_EQ(quarantine_.StandingOf(now_ + kTime - kMoment, "pi4"), Standing::kApart);
  EXPECT_EQ(quarantine_.StandingOf(now_, "pi5"), Standing::kAdmitted) << "another one";
}

TEST_F(QuarantineTest, ItsEndIsToldOnceAndIsOfProbation) {
  FailTwice();
  Fail();
  now_ += kTime;
  EXPECT_EQ(quarantine_.StandingOf(now_, "pi4"), Standing::kReadmitted);
  EXPECT_EQ(quarantine_.StandingOf(now_, "pi4"), Standing::kAdmitted);
  EXPECT_EQ(*quarantine_.Find("pi4"), (DeviceRecord{"ann", 3, "broken", std::nullopt}));
}

TEST_F(QuarantineTest, EachFurtherFailureDoublesTheTimeUpToTheLongest) {
  FailTwice();
  for (const milliseconds expected : {kTime, 2 * kTime, kLongest, kLongest}) {
    EXPECT_EQ(Fail(), expected);
    now_ += expected;
    EXPECT_EQ(quarantine_.StandingOf(now_, "pi4"), Standing::kReadmitted);
  }
}

TEST_F(QuarantineTest, SuccessForgetsEverything) {
  FailTwice();
  const auto forgotten = quarantine_.Forget("pi4");
  ASSERT_TRUE(forgotten);
  EXPECT_EQ(forgotten->failures, 2);
  EXPECT_EQ(quarantine_.Find("pi4"), nullptr);
  FailTwice();
  EXPECT_EQ(Fail(), kTime) << "from the beginning";
}

TEST_F(QuarantineTest, BetterWordsAreNoFurtherFailure) {
  FailTwice();
  quarantine_.Explain("pi4", "its memory is broken");
  EXPECT_EQ(*quarantine_.Find("pi4"), (DeviceRecord{"ann", 2, "its memory is broken"}));
}

TEST_F(QuarantineTest, WhatAFormerOneLeftGoesOnWithinReason) {
  now_ += std::chrono::hours(1);
  Quarantine next = With({{"pi4", {"ann", 2, "broken"}},
                          {"soon", {"ann", 3, "broken", now_ + kMoment}},
                          {"tomorrow", {"ann", 3, "broken", now_ + std::chrono::hours(24)}}},
                         now_);
  EXPECT_EQ(Fail(next), kTime);
  EXPECT_EQ(next.Find("soon")->until, now_ + kMoment);
  EXPECT_EQ(next.Find("tomorrow")->until, now_ + kLongest);
}

TEST_F(QuarantineTest, FailuresAreCountedWithoutOverflow) {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  Quarantine full = With({{"pi4", {"ann", kMost, "broken"}}});
  EXPECT_EQ(Fail(full), kLongest);
  EXPECT_EQ(full.Find("pi4")->failures, kMost);
}

TEST_F(QuarantineTest, EveryChangeOfTheRecordsIsCounted) {
  std::uint64_t changes = quarantine_.changes();
  const auto changed = [&] {
    const std::uint64_t before = std::exchange(changes, quarantine_.changes());
    return changes > before;
  };
  FailTwice();
  EXPECT_TRUE(changed());
  Fail();
  EXPECT_TRUE(changed());
  quarantine_.Explain("pi4", "its memory is broken");
  EXPECT_TRUE(changed());
  quarantine_.StandingOf(now_, "pi4");
  EXPECT_FALSE(changed());
  quarantine_.StandingOf(now_ + kTime, "pi4");
  EXPECT_TRUE(changed());
  quarantine_.Forget("pi4");
  EXPECT_TRUE(changed());
}

}  // namespace
}  // namespace kiln
