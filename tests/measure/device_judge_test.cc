#include "measure/device_judge.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr bool kLastResort = true, kNotYet = false;
constexpr bool kRunning = true, kNotRunning = false;

std::shared_ptr<DeviceStanding> Device(const std::string& name, bool is_proven = false) {
  auto device = std::make_shared<DeviceStanding>(name);
  if (is_proven) device->Prove();
  return device;
}

TEST(DeviceJudgeTest, ARightResultCountsAndProvesTheDevice) {
  const auto pi4 = Device("pi4");
  TrialCase trial(1, 3);
  EXPECT_EQ(trial.OnRight(*pi4), Verdict::kCounts);
  EXPECT_TRUE(pi4->is_proven());
  EXPECT_FALSE(trial.is_suspect());
}

TEST(DeviceJudgeTest, AWrongResultIsAskedForAgainElsewhere) {
  const auto pi4 = Device("pi4", true);
  TrialCase trial(1, 3);
  EXPECT_EQ(trial.OnWrong(pi4, "byte 7", kLastResort), Verdict::kAgain);
  EXPECT_TRUE(trial.is_suspect());
  EXPECT_TRUE(trial.Shuns("pi4"));
  EXPECT_FALSE(trial.Shuns("pi5"));
}

TEST(DeviceJudgeTest, WhoIsAloneWithAWrongResultIsAccused) {
  const auto pi4 = Device("pi4", true), pi5 = Device("pi5");
  TrialCase trial(1, 3);
  trial.OnWrong(pi4, "byte 7", kNotYet);
  EXPECT_EQ(trial.OnRight(*pi5), Verdict::kCounts);
  EXPECT_EQ(pi4->blame(), "gives wrong results: byte 7, which is right on pi5");
  EXPECT_THAT(pi5->blame(), IsEmpty());
}

TEST(DeviceJudgeTest, ADeviceThatIsRightAtTheSecondTryIsNotAccusedByItself) {
  const auto pi4 = Device("pi4", true);
  TrialCase trial(1, 3);
  trial.OnWrong(pi4, "byte 7", kNotYet);
  EXPECT_EQ(trial.OnRight(*pi4), Verdict::kCounts);
  EXPECT_THAT(pi4->blame(), IsEmpty());
}

TEST(DeviceJudgeTest, WrongTwiceCountsWhereADeviceIsProven) {
  const auto pi4 = Device("pi4", true), pi5 = Device("pi5");
  TrialCase same(1, 3), other(2, 3);
  same.OnWrong(pi4, "byte 7", kNotYet);
  EXPECT_EQ(same.OnWrong(pi4, "byte 7", kNotYet), Verdict::kCounts);
  other.OnWrong(pi5, "byte 7", kNotYet);
  EXPECT_EQ(other.OnWrong(pi4, "byte 7", kNotYet), Verdict::kCounts);
}

TEST(DeviceJudgeTest, ADeviceThatIsProvenLaterIsBelieved) {
  const auto pi4 = Device("pi4");
  TrialCase trial(1, 3);
  trial.OnWrong(pi4, "byte 7", kNotYet);
  EXPECT_EQ(trial.OnWrong(pi4, "byte 7", kNotYet), Verdict::kAgain);
  pi4->Prove();
  EXPECT_EQ(trial.OnWrong(pi4, "byte 7", kNotYet), Verdict::kCounts);
}

TEST(DeviceJudgeTest, DevicesThatAreNotProvenAreBelievedOnlyWhereNothingElseIsToBeHad) {
  const auto pi4 = Device("pi4"), pi5 = Device("pi5");
  TrialCase trial(1, 3);
  trial.OnWrong(pi4, "byte 7", kNotYet);
  EXPECT_EQ(trial.OnWrong(pi5, "byte 7", kNotYet), Verdict::kAgain);
  EXPECT_EQ(trial.OnWrong(pi5, "byte 7", kLastResort), Verdict::kCounts);
}

TEST(DeviceJudgeTest, AnAccusedDeviceIsNotBelieved) {
  const auto pi4 = Device("pi4", true);
  TrialCase trial(1, 3);
  trial.OnWrong(pi4, "byte 7", kLastResort);
  pi4->Accuse("gives wrong results");
  EXPECT_EQ(trial.OnWrong(pi4, "byte 7", kLastResort), Verdict::kAgain);
  EXPECT_EQ(trial.OnWrong(pi4, "byte 7", kLastResort), Verdict::kAgain);
  EXPECT_EQ(trial.OnWrong(pi4, "byte 7", kLastResort), Verdict::kGivenUp);
  EXPECT_EQ(trial.why_given_up(), "pi4 gives wrong results: byte 7");
}

TEST(DeviceJudgeTest, ThreeTrialsThatEndBadlyCondemnADeviceThatWasNeverRight) {
  const auto pi4 = Device("pi4");
  TrialCase first(1, 3), second(2, 3), third(3, 3);
  first.OnWrong(pi4, "byte 1", kNotYet);
  first.OnWrong(pi4, "byte 1", kNotYet);
  second.OnHostKilled(*pi4, "SIGSEGV");
  EXPECT_THAT(pi4->blame(), IsEmpty()) << "of one trial it may be the kernel's fault";
  EXPECT_EQ(third.OnWrong(pi4, "byte 3", kLastResort), Verdict::kAgain);
  EXPECT_THAT(pi4->blame(), StartsWith("gives wrong results: none of 3 kernels was right"));
}

TEST(DeviceJudgeTest, AProvenDeviceIsNotCondemnedByWrongResultsAlone) {
  const auto pi4 = Device("pi4", true);
  for (std::uint64_t i = 0; i < 10; ++i) TrialCase(i, 3).OnWrong(pi4, "byte 1", kNotYet);
  EXPECT_THAT(pi4->blame(), IsEmpty());
}

TEST(DeviceJudgeTest, HostsKilledOnAProvenDeviceConvictTheKernel) {
  const auto pi4 = Device("pi4", true);
  TrialCase trial(1, 3);
  EXPECT_EQ(trial.OnHostKilled(*pi4, "killed by SIGSEGV"), Verdict::kKiller);
  EXPECT_EQ(trial.took_down(), "took down two hosts: pi4: killed by SIGSEGV");
}

TEST(DeviceJudgeTest, HostsKilledOnADeviceThatWasNeverRightSpeakAgainstTheDevice) {
  const auto pi4 = Device("pi4");
  TrialCase trial(1, 3);
  for (std::size_t i = 1; i < kMostOpinions; ++i) {
    EXPECT_EQ(trial.OnHostKilled(*pi4, "killed by SIGSEGV"), Verdict::kAgain);
  }
  EXPECT_EQ(trial.OnHostKilled(*pi4, "killed by SIGSEGV"), Verdict::kGivenUp);
  EXPECT_THAT(trial.why_given_up(), HasSubstr("pi4 lost its hosts: killed by SIGSEGV"));
}

TEST(DeviceJudgeTest, TwoDevicesThatGoDownConvictTheKernel) {
  const auto pi4 = Device("pi4"), pi5 = Device("pi5");
  TrialCase trial(1, 3);
  EXPECT_EQ(trial.OnHostKilled(*pi4, "killed by SIGSEGV"), Verdict::kAgain);
  EXPECT_TRUE(trial.Shuns("pi4"));
  EXPECT_EQ(trial.OnLost(*pi5, kRunning, "connection reset", 0), Verdict::kKiller);
  EXPECT_EQ(trial.took_down(),
            "took down two hosts: pi4: killed by SIGSEGV; pi5: connection reset");
}

TEST(DeviceJudgeTest, OneDeviceThatGoesDownTwiceConvictsOnlyIfItDidOtherWorkInBetween) {
  const auto pi4 = Device("pi4", true), back = Device("pi4"), proven = Device("pi4", true);
  TrialCase trial(1, 3);
  EXPECT_EQ(trial.OnLost(*pi4, kRunning, "reset", 0), Verdict::kAgain);
  EXPECT_EQ(trial.OnLost(*back, kRunning, "reset", 0), Verdict::kAgain);
  EXPECT_EQ(trial.OnLost(*proven, kRunning, "reset", 0), Verdict::kKiller);
}

TEST(DeviceJudgeTest, ADeviceThatIsLostBeforeItHadTheKernelIsNoEvidence) {
  TrialCase trial(1, 3);
  EXPECT_EQ(trial.OnLost(*Device("pi4", true), kNotRunning, "refused", 0), Verdict::kAgain);
  EXPECT_EQ(trial.OnLost(*Device("pi5", true), kNotRunning, "refused", 0), Verdict::kAgain);
  EXPECT_FALSE(trial.is_suspect());
}

TEST(DeviceJudgeTest, ADeviceThatFailsTheWitnessIsShunnedAndLost) {
  TrialCase trial(1, 1);
  EXPECT_EQ(trial.OnUnwell(*Device("pi4"), "byte 7", 0), Verdict::kAgain);
  EXPECT_TRUE(trial.Shuns("pi4"));
  EXPECT_FALSE(trial.is_suspect());
  EXPECT_EQ(trial.OnUnwell(*Device("pi4"), "byte 7", 0), Verdict::kGivenUp);
}

TEST(DeviceJudgeTest, ATrialIsGivenUpWhereNoDeviceAnswersAnybody) {
  TrialCase trial(1, 2);
  EXPECT_EQ(trial.OnLost(*Device("a"), kNotRunning, "refused", 5), Verdict::kAgain);
  EXPECT_EQ(trial.OnLost(*Device("b"), kNotRunning, "refused", 5), Verdict::kAgain);
  EXPECT_EQ(trial.losses_in_a_row(), 2);
  EXPECT_EQ(trial.OnLost(*Device("c"), kNotRunning, "refused", 5), Verdict::kGivenUp);
  EXPECT_EQ(trial.why_given_up(), "lost the device 3 times during one trial, last c: refused");
}

TEST(DeviceJudgeTest, WhatEndsManyLeasesAtOnceIsOneLoss) {
  TrialCase trial(1, 2);
  EXPECT_EQ(trial.OnLost(*Device("a"), kNotRunning, "over", 5), Verdict::kAgain);
  for (std::int32_t i = 0; i < 2 * kMostLosses; ++i) {
    EXPECT_EQ(trial.OnLostWithTheLast(*Device("b"), kNotRunning, "over"), Verdict::kAgain);
  }
  EXPECT_EQ(trial.losses_in_a_row(), 1);
  EXPECT_EQ(trial.OnLost(*Device("c"), kNotRunning, "over", 5), Verdict::kAgain);
  EXPECT_EQ(trial.OnLost(*Device("d"), kNotRunning, "over", 5), Verdict::kGivenUp);
}

TEST(DeviceJudgeTest, DevicesThatGoDownWithTheLastOneUnderAKernelConvictItAllTheSame) {
  TrialCase trial(1, 2);
  EXPECT_EQ(trial.OnLost(*Device("a"), kRunning, "reset", 0), Verdict::kAgain);
  EXPECT_EQ(trial.OnLostWithTheLast(*Device("b"), kRunning, "reset"), Verdict::kKiller);
}

TEST(DeviceJudgeTest, ATrialGoesOnWhileSomeDeviceAnswersSomebodyButNotForEver) {
  TrialCase trial(1, 2);
  for (std::int32_t i = 1; i < kMostLosses; ++i) {
    EXPECT_EQ(trial.OnLost(*Device("a"), kNotRunning, "refused", static_cast<std::uint64_t>(i)),
              Verdict::kAgain);
    EXPECT_EQ(trial.losses_in_a_row(), 1);
  }
  EXPECT_EQ(trial.OnLost(*Device("a"), kNotRunning, "refused", 99), Verdict::kGivenUp);
}

}  // namespace
}  // namespace kiln
