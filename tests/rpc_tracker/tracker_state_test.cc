#include "rpc_tracker/tracker_state.h"

#include <gmock/gmock.h>

#include "tests/base/temporary_directory.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kPerStart = std::uint64_t{1} << 40;

TEST(TrackerStateTest, EveryStartBeginsWithHigherEpochs) {
  const TemporaryDirectory directory;
  const std::string place = directory.File("deep/state");
  for (std::uint64_t start = 1; start <= 3; ++start) {
    const auto state = OpenTrackerState(place);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_EQ((*state)->first_epoch(), start * kPerStart);
  }
}

TEST(TrackerStateTest, TwoTrackersDoNotShareADirectory) {
  const TemporaryDirectory directory;
  auto first = OpenTrackerState(directory.path());
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = OpenTrackerState(directory.path());
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(second.status()), HasSubstr("another kiln-tracker uses"));
  first->reset();
  const auto third = OpenTrackerState(directory.path());
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ((*third)->first_epoch(), 2 * kPerStart) << "who was refused has not counted";
}

TEST(TrackerStateTest, DamagedFileIsNotGuessedAt) {
  for (const std::string& text :
       {std::string(), std::string("starts"), std::string("starts 1"), std::string("starts x\n"),
        std::string("starts -1\n"), std::string("starts 1 \n"), std::string("starts 4194303\n"),
        std::string("starts 99999999999999999999\n"), std::string("starts 1\nstarts 2\n"),
        std::string(5000, 'x')}) {
    const TemporaryDirectory directory;
    const std::string path = directory.Write("tracker.state", text);
    const auto state = OpenTrackerState(directory.path());
    EXPECT_FALSE(state.ok()) << text;
    EXPECT_EQ(state.status().code(), StatusCode::kFailedPrecondition) << text;
    EXPECT_THAT(Message(state.status()), HasSubstr(path));
    EXPECT_THAT(Message(state.status()), HasSubstr("is damaged: write `starts N`"));
    EXPECT_EQ(BytesOf(path), text) << "left as it was";
  }
}

TEST(TrackerStateTest, WhatTheAdviceSaysHelps) {
  const TemporaryDirectory directory;
  directory.Write("tracker.state", "starts 1000000\n");
  const auto state = OpenTrackerState(directory.path());
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ((*state)->first_epoch(), 1'000'001 * kPerStart);
}

TEST(TrackerStateTest, DirectoryThatCannotBeMadeIsAnError) {
  EXPECT_EQ(OpenTrackerState("/proc/kiln").status().code(), StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace kiln
