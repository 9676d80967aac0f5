#include "rpc_tracker/tracker_state.h"

#include <gmock/gmock.h>

#include <chrono>
#include <optional>

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

// Of times that the test says.
class SetClock final : public Clock {
 public:
  SteadyTime Now() const override { return SteadyTime() + passed; }
  WallTime Today() const override { return WallTime() + std::chrono::hours(24 * 20'000) + passed; }
  std::chrono::milliseconds passed{0};
};

TEST(TrackerStateTest, RecordsOfDevicesSurviveARestart) {
  const TemporaryDirectory directory;
  SetClock clock;
  DeviceRecords records;
  records["pi4"] = {"@10.0.0.4", 5, "nothing answers at 10.0.0.4:9191",
                    clock.Now() + std::chrono::seconds(60)};
  records["pi5"] = {"device/pi5", 1, "", std::nullopt};
  {
    const auto state = OpenTrackerState(directory.path(), clock);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_TRUE((*state)->records().empty());
    (*state)->Keep({});
    (*state)->Keep(records);
  }
  clock.passed = std::chrono::seconds(20);  // in which no tracker ran
  const auto state = OpenTrackerState(directory.path(), clock);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ((*state)->records(), records);
}

TEST(TrackerStateTest, QuarantineThatEndedMeanwhileIsOver) {
  const TemporaryDirectory directory;
  SetClock clock;
  {
    const auto state = OpenTrackerState(directory.path(), clock);
    ASSERT_TRUE(state.ok()) << state.status();
    (*state)->Keep({{"pi4", {"@local", 3, "broken", clock.Now() + std::chrono::seconds(60)}}});
  }
  clock.passed = std::chrono::hours(9);
  const auto state = OpenTrackerState(directory.path(), clock);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_LE((*state)->records().at("pi4").until, clock.Now());
}

TEST(TrackerStateTest, DamagedRecordsAreNotGuessedAt) {
  const std::string first = "kiln-devices 1\n", last = "end\n";
  const std::string line = "device pi4 @local 3 0 broken\n";
  for (const std::string& text :
       {std::string(), first, last, line, first + line, first + "end", first + last + last,
        "kiln-devices 2\n" + last, first + line + line + last, first + "\n" + last,
        first + "device pi4 @local 0 0 broken\n" + last,
        first + "device pi4 @local -1 0 broken\n" + last,
        first + "device pi4 @local 3 -5 broken\n" + last,
        first + "device pi4 @local 3 99999999999999999999 broken\n" + last,
        first + "device pi4 @local three 0 broken\n" + last,
        first + "device pi4 @local 3 0\n" + last, first + "device  @local 3 0 broken\n" + last,
        first + "device pi4 @local 3 0 " + std::string(300, 'x') + "\n" + last,
        first + "device pi4 @local 3 0 bro\tken\n" + last}) {
    const TemporaryDirectory directory;
    const std::string path = directory.Write("devices.state", text);
    const auto state = OpenTrackerState(directory.path());
    ASSERT_FALSE(state.ok()) << text;
    EXPECT_EQ(state.status().code(), StatusCode::kFailedPrecondition) << text;
    EXPECT_THAT(Message(state.status()), HasSubstr(path + " is damaged: delete it"));
    EXPECT_EQ(BytesOf(path), text) << "left as it was";
  }
  const TemporaryDirectory directory;
  directory.Write("devices.state", first + line + last);
  EXPECT_TRUE(OpenTrackerState(directory.path()).ok());
}

TEST(TrackerStateTest, DirectoryThatCannotBeMadeIsAnError) {
  EXPECT_EQ(OpenTrackerState("/proc/kiln").status().code(), StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace kiln
