#include "rpc_client/device_channels.h"

#include <grpcpp/channel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace kiln {
namespace {

// Where nobody listens.
GrantedLease LeaseOf(const std::string& device, const std::string& address = "127.0.0.1:1") {
  GrantedLease lease;
  lease.device = device;
  lease.address = address;
  return lease;
}

TEST(DeviceChannelsTest, TheNextLeaseOfADeviceHasTheSameChannel) {
  DeviceChannels channels({});
  const auto first = channels.To(LeaseOf("a"));
  EXPECT_EQ(channels.To(LeaseOf("a")), first);
  EXPECT_NE(channels.To(LeaseOf("b")), first);
  EXPECT_NE(channels.To(LeaseOf("a", "127.0.0.1:2")), first);
  EXPECT_EQ(channels.To(LeaseOf("a")), first);
}

TEST(DeviceChannelsTest, WhatIsKnownOfADeviceGoesWithItsChannel) {
  DeviceChannels channels({});
  const auto first = channels.To(LeaseOf("a"));
  EXPECT_EQ(channels.Protocol(first), std::nullopt);
  channels.SetProtocol(first, 3);
  channels.SetProtocol(channels.To(LeaseOf("b")), 4);
  EXPECT_EQ(channels.Protocol(channels.To(LeaseOf("a"))), 3);
  channels.Forget(first);
  EXPECT_EQ(channels.Protocol(first), std::nullopt);
  EXPECT_EQ(channels.Protocol(channels.To(LeaseOf("a"))), std::nullopt);
}

TEST(DeviceChannelsTest, OneThatFailedACallIsNotUsedAgain) {
  DeviceChannels channels({});
  const auto first = channels.To(LeaseOf("a")), other = channels.To(LeaseOf("b"));
  channels.Forget(first);
  EXPECT_NE(channels.To(LeaseOf("a")), first);
  EXPECT_EQ(channels.To(LeaseOf("b")), other);
}

TEST(DeviceChannelsTest, OneThatFindsNobodyIsNotUsedAgain) {
  DeviceChannels channels({});
  const auto first = channels.To(LeaseOf("a"));
  const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(60);
  for (auto state = first->GetState(true); state != GRPC_CHANNEL_TRANSIENT_FAILURE;
       state = first->GetState(true)) {
    ASSERT_TRUE(first->WaitForStateChange(state, deadline));
  }
  EXPECT_NE(channels.To(LeaseOf("a")), first);
}

TEST(DeviceChannelsTest, KeepsThoseThatWereUsedLast) {
  DeviceChannels channels({});
  const auto often = channels.To(LeaseOf("often"));
  const auto once = channels.To(LeaseOf("once"));
  for (int i = 0; i < 100; ++i) {
    channels.To(LeaseOf(std::to_string(i)));
    ASSERT_EQ(channels.To(LeaseOf("often")), often);
  }
  EXPECT_NE(channels.To(LeaseOf("once")), once);
}

}  // namespace
}  // namespace kiln
