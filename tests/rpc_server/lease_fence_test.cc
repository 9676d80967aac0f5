#include "rpc_server/lease_fence.h"

#include <gtest/gtest.h>

namespace kiln {
namespace {

TEST(LeaseFenceTest, ServesNobodyAtFirst) {
  const LeaseFence fence;
  EXPECT_EQ(fence.Check("a", 0).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(fence.Check("a", 1).code(), StatusCode::kUnavailable);
}

TEST(LeaseFenceTest, OnlyTheLatestEpochPasses) {
  LeaseFence fence;
  EXPECT_TRUE(fence.Grant({"a", "client", 3}));
  EXPECT_TRUE(fence.Check("a", 3).ok());
  EXPECT_TRUE(fence.Grant({"b", "client", 4}));
  EXPECT_EQ(fence.Check("a", 3).code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fence.Check("b", 4).ok());
  EXPECT_EQ(fence.Check("b", 5).code(), StatusCode::kUnavailable);
}

TEST(LeaseFenceTest, TheSameEpochOfAnotherLeaseIsRefused) {
  LeaseFence fence;
  EXPECT_TRUE(fence.Grant({"a", "client", 3}));
  EXPECT_EQ(fence.Check("b", 3).code(), StatusCode::kFailedPrecondition);
}

TEST(LeaseFenceTest, PastEpochsAreNotGranted) {
  LeaseFence fence;
  EXPECT_TRUE(fence.Grant({"a", "client", 3}));
  EXPECT_FALSE(fence.Grant({"b", "client", 3}));
  EXPECT_FALSE(fence.Grant({"b", "client", 2}));
  EXPECT_TRUE(fence.Check("a", 3).ok());
}

TEST(LeaseFenceTest, RevokedLeaseIsOverAndItsEpochStaysUsed) {
  LeaseFence fence;
  EXPECT_TRUE(fence.Grant({"a", "client", 3}));
  fence.Revoke(2);
  EXPECT_TRUE(fence.Check("a", 3).ok());
  fence.Revoke(3);
  EXPECT_EQ(fence.Check("a", 3).code(), StatusCode::kFailedPrecondition);
  EXPECT_FALSE(fence.held().has_value());
  EXPECT_EQ(fence.highest_epoch(), 3u);
  EXPECT_FALSE(fence.Grant({"a", "client", 3}));
}

TEST(LeaseFenceTest, TellsWheneverALeaseHasEnded) {
  LeaseFence fence;
  int ended = 0;
  fence.OnEnd([&] {
    ++ended;
    EXPECT_FALSE(fence.Check("1", 1).ok());
  });
  fence.Grant({"1", "ann", 1});
  fence.Revoke(7);
  EXPECT_EQ(ended, 0);
  fence.Grant({"2", "bob", 2});
  EXPECT_EQ(ended, 1) << "another has taken its place";
  fence.Grant({"late", "eve", 1});
  EXPECT_EQ(ended, 1);
  fence.Revoke(2);
  fence.Revoke(2);
  EXPECT_EQ(ended, 2);
  fence.Grant({"3", "ann", 3});
  fence.OnEnd(nullptr);
  fence.Revoke(3);
  EXPECT_EQ(ended, 2);
}

}  // namespace
}  // namespace kiln
