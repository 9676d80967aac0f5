#include "kernel_host/guarded_buffer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>

namespace kiln {
namespace {

using Sharing = GuardedBuffer::Sharing;

const std::size_t kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

std::uint8_t Read(const std::uint8_t* at) { return *static_cast<const volatile std::uint8_t*>(at); }

TEST(GuardedBufferTest, LowPlacementFaultsBeforeItsFirstByte) {
  const GuardedBuffer buffer = GuardedBuffer::Map(100, 1, Sharing::kPrivate);
  ASSERT_TRUE(buffer.mapped());
  EXPECT_EQ(Read(buffer.At(Placement::kLow)), 0);
  EXPECT_DEATH(Read(buffer.At(Placement::kLow) - 1), "");
}

TEST(GuardedBufferTest, HighPlacementFaultsPastItsLastByte) {
  for (const std::size_t size : {std::size_t{1}, std::size_t{100}, kPage, kPage + 1}) {
    const GuardedBuffer buffer = GuardedBuffer::Map(size, 1, Sharing::kShared);
    ASSERT_TRUE(buffer.mapped());
    EXPECT_EQ(Read(buffer.At(Placement::kHigh) + size - 1), 0);
    EXPECT_DEATH(Read(buffer.At(Placement::kHigh) + size), "") << size;
  }
}

TEST(GuardedBufferTest, AlignedContentIsPlacedHighUpToItsAlignment) {
  const GuardedBuffer buffer = GuardedBuffer::Map(100, 64, Sharing::kPrivate);
  const auto address = reinterpret_cast<std::uintptr_t>(buffer.At(Placement::kHigh));
  EXPECT_EQ(address % 64, 0u);
  EXPECT_EQ((address + 128) % kPage, 0u);
}

TEST(GuardedBufferTest, EmptyBufferHasNoAccessibleByte) {
  const GuardedBuffer buffer = GuardedBuffer::Map(0, 64, Sharing::kPrivate);
  ASSERT_TRUE(buffer.mapped());
  for (const Placement placement : {Placement::kLow, Placement::kHigh}) {
    EXPECT_DEATH(Read(buffer.At(placement)), "");
    EXPECT_TRUE(buffer.SlackHolds(placement, 1));
  }
}

TEST(GuardedBufferTest, SlackShowsWritesBesideTheContent) {
  const GuardedBuffer buffer = GuardedBuffer::Map(100, 64, Sharing::kPrivate);
  for (const Placement placement : {Placement::kLow, Placement::kHigh}) {
    std::uint8_t* content = buffer.At(placement);
    buffer.Fill(7);
    for (int i = 0; i < 100; ++i) content[i] = 1;
    EXPECT_TRUE(buffer.SlackHolds(placement, 7));
    content[100] = 1;
    EXPECT_FALSE(buffer.SlackHolds(placement, 7));
    buffer.Fill(7);
    if (placement == Placement::kHigh) {
      content[-1] = 1;
      EXPECT_FALSE(buffer.SlackHolds(placement, 7));
    }
  }
}

TEST(GuardedBufferTest, SecondViewSeesWritesAndAllowsNone) {
  GuardedBuffer writable, view;
  ASSERT_TRUE(GuardedBuffer::MapTwice(100, 64, writable, view));
  writable.At(Placement::kHigh)[3] = 9;
  EXPECT_EQ(view.At(Placement::kHigh)[3], 9);
  EXPECT_DEATH(view.At(Placement::kHigh)[3] = 1, "");
}

TEST(GuardedBufferTest, ReadOnlyContentRefusesWrites) {
  const GuardedBuffer buffer = GuardedBuffer::Map(10, 1, Sharing::kShared);
  buffer.Fill(5);
  ASSERT_TRUE(buffer.ProtectReadOnly());
  EXPECT_EQ(Read(buffer.At(Placement::kLow)), 5);
  EXPECT_DEATH(*buffer.At(Placement::kLow) = 1, "");
}

TEST(GuardedBufferTest, MoreThanTheAddressSpaceIsNotMapped) {
  EXPECT_FALSE(GuardedBuffer::Map(std::size_t{1} << 60, 1, Sharing::kPrivate).mapped());
}

}  // namespace
}  // namespace kiln
