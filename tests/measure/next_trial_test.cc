#include "measure/next_trial.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <vector>

namespace kiln {
namespace {

using std::chrono::seconds;

const DeviceKind kBoard{"board", TimeKind::kMeasured};
constexpr SteadyTime kStart{seconds(1'000)};
constexpr seconds kWait{10};

HeldDevice Board(const std::string& name) { return {kBoard, name}; }

PendingTrial Fresh() { return {kBoard, TrialCase(1, 6), {}, {}, 0}; }
// One that was wrong on these, just now.
PendingTrial WrongOn(std::initializer_list<const char*> devices) {
  PendingTrial pending = Fresh();
  for (const char* device : devices) {
    pending.trial.OnWrong(std::make_shared<DeviceStanding>(device), "byte 7", false);
  }
  pending.suspect_since = kStart;
  return pending;
}

// Of "a", which is proven, on a farm where more devices than that may be had, with work to come.
class NextTrialTest : public testing::Test {
 protected:
  std::optional<std::size_t> Next(std::initializer_list<PendingTrial> trials) const {
    std::vector<const PendingTrial*> places;
    for (const PendingTrial& trial : trials) places.push_back(&trial);
    return NextTrialFor(seeker_, places, around_);
  }

  Seeker seeker_{Board("a"), true};
  Surroundings around_{.now = kStart,
                       .held = {Board("a")},
                       .most_devices = 2,
                       .refused = 0,
                       .is_last = false,
                       .proof = std::nullopt,
                       .second_opinion_wait = kWait};
};

TEST_F(NextTrialTest, TheFirstIsTheNext) {
  EXPECT_EQ(Next({}), std::nullopt);
  EXPECT_EQ(Next({Fresh(), Fresh()}), 0u);
}

TEST_F(NextTrialTest, OneThatPausesIsPassedOverUntilItsTime) {
  PendingTrial later = Fresh();
  later.not_before = kStart + kWait;
  EXPECT_EQ(Next({later}), std::nullopt);
  EXPECT_EQ(Next({later, Fresh()}), 1u);
  around_.now += kWait;
  EXPECT_EQ(Next({later, Fresh()}), 0u);
}

TEST_F(NextTrialTest, WhatOtherDevicesAreForIsTakenToGetOne) {
  PendingTrial other = Fresh();
  other.needs.times = TimeKind::kEmulated;
  EXPECT_EQ(Next({other, Fresh()}), 0u);
  seeker_ = {};
  EXPECT_EQ(Next({WrongOn({"a"})}), 0u) << "the device to come is another one";
}

TEST_F(NextTrialTest, OneThatShunsTheDeviceGivesWayToAllOthers) {
  EXPECT_EQ(Next({WrongOn({"a"}), Fresh()}), 1u);
  EXPECT_EQ(Next({WrongOn({"b"}), Fresh()}), 0u) << "it shuns another";
}

TEST_F(NextTrialTest, OneThatShunsTheDeviceIsLeftToOneThatItDoesNotShun) {
  around_.held.insert(Board("b"));
  around_.now += kWait;
  EXPECT_EQ(Next({WrongOn({"a"})}), std::nullopt);
  EXPECT_EQ(Next({WrongOn({"a", "b"})}), 0u) << "both were wrong, and there are no more";
  around_.held = {Board("a"), {{"phone", TimeKind::kMeasured}, "b"}};
  EXPECT_EQ(Next({WrongOn({"a"})}), 0u) << "that one cannot run it";
}

TEST_F(NextTrialTest, AnotherDeviceIsWaitedForWhileOneMayCome) {
  const PendingTrial wrong = WrongOn({"a"});
  EXPECT_EQ(Next({wrong}), std::nullopt);
  around_.now += kWait;
  EXPECT_EQ(Next({wrong}), 0u) << "for so long";
  around_.now = kStart;
  around_.refused = 1;
  EXPECT_EQ(Next({wrong}), 0u) << "somebody has found none since";
  around_.refused = 0;
  around_.most_devices = 1;
  EXPECT_EQ(Next({wrong}), 0u) << "nobody asks for one";
}

TEST_F(NextTrialTest, ADeviceThatIsNotProvenWaitsForWorkThatMayProveIt) {
  const PendingTrial wrong = WrongOn({"a"});
  seeker_.is_proven = false;
  around_.refused = 1;
  around_.now += kWait;
  EXPECT_EQ(Next({wrong}), std::nullopt);
  around_.proof = kBoard;
  EXPECT_EQ(Next({wrong}), 0u) << "what was right elsewhere tells";
  around_.proof = DeviceKind{"board", TimeKind::kEmulated};
  EXPECT_EQ(Next({wrong}), std::nullopt) << "not of this kind";
  around_.is_last = true;
  EXPECT_EQ(Next({wrong}), 0u) << "nothing else is to come";
  around_.now = kStart;
  EXPECT_EQ(Next({wrong}), std::nullopt) << "another device may";
}

TEST_F(NextTrialTest, ADeviceThatFailedAWitnessIsTheLastToBeAsked) {
  PendingTrial unwell = WrongOn({"b"});
  unwell.trial.OnUnwell(DeviceStanding("a"), "fails", 0);
  around_.now += kWait;
  EXPECT_EQ(Next({unwell}), 0u) << "there is no other";
  around_.held.insert(Board("b"));
  EXPECT_EQ(Next({unwell}), std::nullopt) << "b was wrong, but is well as far as is known";
}

TEST_F(NextTrialTest, TimeChangesTheAnswerAtTheEndOfPausesAndOfWaits) {
  PendingTrial later = Fresh();
  later.not_before = kStart + 2 * kWait;
  const PendingTrial fresh = Fresh(), wrong = WrongOn({"a"});
  const std::vector<const PendingTrial*> none = {&fresh}, both = {&later, &wrong, &fresh};
  EXPECT_EQ(NextChange(none, around_), std::nullopt);
  EXPECT_EQ(NextChange(both, around_), kStart + kWait);
  around_.now += kWait;
  EXPECT_EQ(NextChange(both, around_), later.not_before) << "what is over is over";
  around_.now += kWait;
  EXPECT_EQ(NextChange(both, around_), std::nullopt);
}

}  // namespace
}  // namespace kiln
