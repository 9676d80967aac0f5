// What the measurer does when devices are lost, lie, or are taken down by a kernel.

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <iostream>
#include <latch>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "measure/measurer.h"
#include "tests/measure/fake_farm.h"
#include "tests/tuner/synthetic_task.h"

namespace kiln::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class FailingDevicesTest : public ::testing::Test {
 protected:
  FailingDevicesTest() {
    options_.first_pause = options_.longest_pause = std::chrono::microseconds(1);
    options_.second_opinion_wait = std::chrono::milliseconds(1);
    options_.build_threads = 1;
  }
  // As long as there is another device to be had, it is waited for.
  void UseTwoDevices() {
    options_.devices = 2;
    options_.second_opinion_wait = std::chrono::minutes(5);
  }

  // Measures the first configs of the space, in order, on a farm of these devices.
  std::vector<StatusOr<Trial>> MeasureOn(std::vector<std::string> devices, std::size_t count,
                                         FakeFarm::Run run, bool is_verification = false) {
    FakeFarm farm(std::move(devices), std::move(run));
    const auto measurer = NewPipelineMeasurer(builder_, farm, SystemClock(), options_);
    std::vector<std::promise<StatusOr<Trial>>> promises(count);
    for (std::size_t i = 0; i < count; ++i) {
      MeasureRequest request{task_, task_.space().At(i), {}, {}, {}};
      request.is_verification = is_verification;
      measurer->Submit(std::move(request),
                       [&, i](StatusOr<Trial> trial) { promises[i].set_value(std::move(trial)); });
    }
    std::vector<StatusOr<Trial>> trials;
    for (auto& promise : promises) trials.push_back(promise.get_future().get());
    blames_ = farm.blames();
    return trials;
  }

  // Whether this is the config number `index`.
  bool Is(const RunRequest& request, std::uint64_t index) const {
    return request.artifact->symbol == task_.space().Id(task_.space().At(index));
  }
  static const Failure& FailureOf(const StatusOr<Trial>& trial) {
    static const Failure kNone{Stage::kRun, FailureKind::kInvalidConfig, "none"};
    EXPECT_TRUE(trial.ok()) << trial.status();
    const auto* failure = trial.ok() ? std::get_if<Failure>(&trial->outcome) : nullptr;
    return failure == nullptr ? kNone : *failure;
  }

  const Task task_ = SyntheticTask();
  InstantBuilder builder_;
  PipelineOptions options_;
  std::vector<std::string> blames_;  // when the last trial had come
};

TEST_F(FailingDevicesTest, ADeviceThatNeverAnswersCostsNoTrialWhileAnotherWorks) {
  UseTwoDevices();
  options_.device_retries = 1;
  std::atomic<int> answers = 0;
  const auto run = [&](const std::string& device, const RunRequest&) -> StatusOr<RunResult> {
    const int before = answers;
    if (device == "works" || before >= 20) {
      ++answers;
      return RightResult();
    }
    while (answers == before) std::this_thread::yield();
    return Error(StatusCode::kUnavailable, "no route to host");
  };
  for (const auto& trial : MeasureOn({"gone", "works"}, 40, run)) {
    ASSERT_TRUE(trial.ok()) << trial.status();
  }
}

TEST_F(FailingDevicesTest, WhateverErrorADeviceAnswersTheTrialGoesElsewhere) {
  std::mutex mutex;
  std::vector<StatusCode> codes = {StatusCode::kInternal, StatusCode::kUnknown,
                                   StatusCode::kResourceExhausted, StatusCode::kPermissionDenied};
  const auto run = [&](const std::string&, const RunRequest&) -> StatusOr<RunResult> {
    const std::lock_guard lock(mutex);
    if (codes.empty()) return RightResult();
    const StatusCode code = codes.back();
    codes.pop_back();
    return Error(code, "nonsense");
  };
  EXPECT_TRUE(MeasureOn({"a"}, 1, run).front().ok());
}

TEST_F(FailingDevicesTest, ARequestThatIsRefusedIsNotTriedAgain) {
  std::atomic<int> runs = 0;
  const auto run = [&](const std::string&, const RunRequest&) -> StatusOr<RunResult> {
    ++runs;
    return Error(StatusCode::kInvalidArgument, "too many threads");
  };
  EXPECT_EQ(MeasureOn({"a"}, 1, run).front().status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(runs, 1);
}

TEST_F(FailingDevicesTest, ATrialThatLosesEveryDeviceKeepsNoOtherWaiting) {
  std::mutex mutex;
  std::vector<bool> order;  // whether it was that trial's turn
  const auto run = [&](const std::string&, const RunRequest& request) -> StatusOr<RunResult> {
    const std::lock_guard lock(mutex);
    order.push_back(Is(request, 0));
    if (Is(request, 0)) return Error(StatusCode::kUnavailable, "lost it");
    return RightResult();
  };
  options_.devices = 1;
  const auto trials = MeasureOn({"a"}, 30, run);
  EXPECT_EQ(trials[0].status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Message(trials[0].status()), HasSubstr("times during one trial"));
  for (std::size_t i = 1; i < trials.size(); ++i) EXPECT_TRUE(trials[i].ok());
  EXPECT_LE(std::ranges::count(order, true), 16);
}

TEST_F(FailingDevicesTest, AWrongResultOfOneDeviceIsCheckedByAnother) {
  UseTwoDevices();
  std::atomic<bool> is_first = true;
  std::string liar;
  const auto run = [&](const std::string& device, const RunRequest& request) {
    if (Is(request, 0) && is_first.exchange(false)) {
      liar = device;
      return FailedResult(FailureKind::kWrongResult, "byte 7");
    }
    return RightResult();
  };
  const auto trials = MeasureOn({"a", "b"}, 1, run);
  ASSERT_TRUE(trials[0].ok()) << trials[0].status();
  EXPECT_EQ(RankTime(*trials[0]), 100);
  EXPECT_NE(trials[0]->device, liar);
}

TEST_F(FailingDevicesTest, TheDeviceThatIsAloneWithAWrongResultIsBlamedAndGivenBack) {
  UseTwoDevices();
  std::atomic<int> lies = 0;
  const auto run = [&](const std::string& device, const RunRequest&) {
    if (device == "liar") {
      ++lies;
      return FailedResult(FailureKind::kWrongResult, "byte 7");
    }
    // The others wait until it had its say.
    while (lies == 0) std::this_thread::yield();
    return RightResult();
  };
  for (const auto& trial : MeasureOn({"liar", "b"}, 20, run)) {
    ASSERT_TRUE(trial.ok()) << trial.status();
    EXPECT_EQ(RankTime(*trial), 100);
  }
  EXPECT_LE(lies, 4) << "it is kept";
  ASSERT_FALSE(blames_.empty());
  EXPECT_THAT(blames_[0], StartsWith("liar: gives wrong results: "));
}

TEST_F(FailingDevicesTest, AKernelThatIsWrongOnTwoDevicesIsWrong) {
  UseTwoDevices();
  std::atomic<int> runs = 0;
  const auto run = [&](const std::string&, const RunRequest& request) {
    if (!Is(request, 3)) return RightResult();
    ++runs;
    return FailedResult(FailureKind::kWrongResult, "byte 7");
  };
  const auto trials = MeasureOn({"a", "b"}, 10, run);
  EXPECT_EQ(FailureOf(trials[3]).kind, FailureKind::kWrongResult);
  EXPECT_EQ(runs, 2);
  EXPECT_THAT(blames_, IsEmpty());
}

TEST_F(FailingDevicesTest, AKernelThatIsWrongTwiceOnTheOnlyDeviceIsWrong) {
  std::atomic<int> runs = 0;
  const auto run = [&](const std::string&, const RunRequest&) {
    ++runs;
    return FailedResult(FailureKind::kWrongResult, "byte 7");
  };
  EXPECT_EQ(FailureOf(MeasureOn({"a"}, 1, run)[0]).kind, FailureKind::kWrongResult);
  EXPECT_EQ(runs, 2);
  for (const auto& trial : MeasureOn({"a"}, 2, run)) {
    EXPECT_EQ(FailureOf(trial).kind, FailureKind::kWrongResult);
  }
  EXPECT_EQ(runs, 6);
}

TEST_F(FailingDevicesTest, WhoVerifiesTakesTheFirstAnswer) {
  std::atomic<int> runs = 0;
  const auto run = [&](const std::string&, const RunRequest&) {
    ++runs;
    return FailedResult(FailureKind::kWrongResult, "byte 7");
  };
  for (const auto& trial : MeasureOn({"a"}, 10, run, true)) {
    EXPECT_EQ(FailureOf(trial).kind, FailureKind::kWrongResult);
  }
  EXPECT_EQ(runs, 10);
}

TEST_F(FailingDevicesTest, ADeviceThatIsNeverRightRecordsNothing) {
  const auto run = [&](const std::string&, const RunRequest&) {
    return FailedResult(FailureKind::kWrongResult, "byte 7");
  };
  for (const auto& trial : MeasureOn({"liar"}, 6, run)) {
    ASSERT_FALSE(trial.ok());
    EXPECT_THAT(Message(trial.status()), HasSubstr("liar gives wrong results: byte 7"));
  }
  ASSERT_FALSE(blames_.empty());
  EXPECT_THAT(blames_[0], StartsWith("liar: gives wrong results: none of 3 kernels was right"));
}

TEST_F(FailingDevicesTest, AKernelThatKillsHostsOfADeviceThatIsWellIsRecordedAtOnce) {
  std::atomic<int> kills = 0;
  const auto run = [&](const std::string&, const RunRequest& request) {
    if (!Is(request, 3)) return RightResult();
    ++kills;
    return FailedResult(FailureKind::kHostKilled, "killed by SIGSEGV");
  };
  const auto trials = MeasureOn({"pi4"}, 10, run);
  EXPECT_EQ(FailureOf(trials[3]).kind, FailureKind::kHostKilled);
  EXPECT_EQ(FailureOf(trials[3]).message, "took down two hosts: pi4: killed by SIGSEGV");
  EXPECT_EQ(trials[3]->device, "pi4");
  EXPECT_EQ(kills, 1);
}

TEST_F(FailingDevicesTest, AKernelThatTakesDownADeviceTwiceIsRecorded) {
  std::atomic<int> losses = 0;
  const auto run = [&](const std::string&, const RunRequest& request) -> StatusOr<RunResult> {
    if (!Is(request, 3)) return RightResult();
    ++losses;
    return LostWhileRunning(Error(StatusCode::kUnavailable, "connection reset"));
  };
  const auto trials = MeasureOn({"pi4"}, 10, run);
  EXPECT_EQ(FailureOf(trials[3]).kind, FailureKind::kHostKilled);
  EXPECT_EQ(FailureOf(trials[3]).message,
            "took down two hosts: pi4: connection reset; pi4: connection reset");
  EXPECT_EQ(losses, 2);
}

TEST_F(FailingDevicesTest, AKernelThatIsKnownToTakeHostsDownIsNotRunAgain) {
  std::atomic<int> kills = 0;
  FakeFarm farm({"pi4"}, [&](const std::string&, const RunRequest& request) {
    if (!Is(request, 1)) return RightResult();
    ++kills;
    return FailedResult(FailureKind::kHostKilled, "killed by SIGSEGV");
  });
  const auto measurer = NewPipelineMeasurer(builder_, farm, SystemClock(), options_);
  for (const std::uint64_t index : {0, 1, 1, 1}) {
    std::promise<StatusOr<Trial>> made;
    measurer->Submit({task_, task_.space().At(index), {}, {}, {}},
                     [&](StatusOr<Trial> trial) { made.set_value(std::move(trial)); });
    const StatusOr<Trial> trial = made.get_future().get();
    if (index == 1) {
      EXPECT_EQ(FailureOf(trial).kind, FailureKind::kHostKilled);
    }
  }
  EXPECT_EQ(kills, 1);
}

// Where nothing but the suspect is left, what was right before shows whether the device is well.
TEST_F(FailingDevicesTest, TheLastTrialIsJudgedWithTheHelpOfAnEarlierOne) {
  std::atomic<int> losses = 0, witnesses = 0;
  const auto run = [&](const std::string&, const RunRequest& request) -> StatusOr<RunResult> {
    if (!Is(request, 1)) {
      if (!request.plan.time) ++witnesses;
      return RightResult();
    }
    ++losses;
    return LostWhileRunning(Error(StatusCode::kUnavailable, "connection reset"));
  };
  EXPECT_EQ(FailureOf(MeasureOn({"pi4"}, 2, run)[1]).kind, FailureKind::kHostKilled);
  EXPECT_EQ(losses, 2);
  EXPECT_EQ(witnesses, 1);
}

TEST_F(FailingDevicesTest, ADeviceThatFailsTheWitnessIsBlamedAndTheTrialGoesElsewhere) {
  // It works, and is broken from the first loss on.
  std::atomic<bool> is_broken = false;
  const auto run = [&](const std::string& device, const RunRequest& request) {
    if (device == "b") return RightResult();
    if (is_broken) return FailedResult(FailureKind::kWrongResult, "byte 7");
    if (!Is(request, 1)) return RightResult();
    is_broken = true;
    return StatusOr<RunResult>(LostWhileRunning(Error(StatusCode::kUnavailable, "reset")));
  };
  const auto trials = MeasureOn({"a", "b"}, 2, run);
  ASSERT_TRUE(trials[1].ok()) << trials[1].status();
  EXPECT_EQ(trials[1]->device, "b");
  ASSERT_EQ(blames_.size(), 1U);
  EXPECT_THAT(blames_[0], HasSubstr("a: gives wrong results: WRONG_RESULT of a kernel that was "
                                    "right on a: byte 7"));
}

TEST_F(FailingDevicesTest, ALossBeforeTheKernelWasThereIsNoEvidence) {
  std::atomic<int> losses = 0;
  const auto run = [&](const std::string&, const RunRequest& request) -> StatusOr<RunResult> {
    if (!Is(request, 3) || ++losses > 3) return RightResult();
    return Error(StatusCode::kUnavailable, "connection refused");
  };
  const auto trials = MeasureOn({"a"}, 10, run);
  ASSERT_TRUE(trials[3].ok()) << trials[3].status();
  EXPECT_EQ(RankTime(*trials[3]), 100);
}

// This is a farm that leases nothing for as long as `is_open` says.
class ClosedFarm final : public DevicePool {
 public:
  ClosedFarm(FakeFarm& farm, std::function<bool()> is_open)
      : farm_(farm), is_open_(std::move(is_open)) {}
  StatusOr<std::unique_ptr<Lease>> Acquire(const Target& target, TimeKind kind,
                                           std::chrono::nanoseconds timeout) override {
    if (is_open_()) return farm_.Acquire(target, kind, timeout);
    std::this_thread::yield();
    return Error(StatusCode::kDeadlineExceeded, "no tracker");
  }
  void StopWaiting() override { farm_.StopWaiting(); }

 private:
  FakeFarm& farm_;
  const std::function<bool()> is_open_;
};

// As after a client that was stopped for longer than its leases live, while the tracker is away.
TEST_F(FailingDevicesTest, ATrialOutlivesAllLeasesThatHaveEndedAtOnce) {
  const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f", "g", "h"};
  const auto count = static_cast<std::ptrdiff_t>(names.size());
  options_.devices = static_cast<std::int32_t>(count);
  options_.device_retries = 1;
  options_.idle_release = std::chrono::minutes(5);
  std::latch all_are_leased(count);
  std::mutex mutex;
  bool have_ended = false;
  std::set<std::string> over(names.begin(), names.end());
  FakeFarm farm(names, [&](const std::string& device, const RunRequest&) -> StatusOr<RunResult> {
    {
      const std::lock_guard lock(mutex);
      if (have_ended && over.erase(device) != 0) {
        return Error(StatusCode::kFailedPrecondition, "the lease is over");
      }
      if (have_ended) return RightResult();
    }
    all_are_leased.arrive_and_wait();
    return RightResult();
  });
  ClosedFarm closed(farm, [&] {
    const std::lock_guard lock(mutex);
    return !have_ended || over.empty();
  });
  const auto measurer = NewPipelineMeasurer(builder_, closed, SystemClock(), options_);
  const auto measure = [&](std::size_t trials) {
    std::vector<std::promise<StatusOr<Trial>>> promises(trials);
    for (std::size_t i = 0; i < trials; ++i) {
      measurer->Submit({task_, task_.space().At(i), {}, {}, {}},
                       [&, i](StatusOr<Trial> trial) { promises[i].set_value(std::move(trial)); });
    }
    std::vector<Status> statuses;
    for (auto& promise : promises) statuses.push_back(promise.get_future().get().status());
    return statuses;
  };
  for (const Status& status : measure(names.size())) ASSERT_TRUE(status.ok()) << status;
  {
    const std::lock_guard lock(mutex);
    have_ended = true;
  }
  const Status lone = measure(1).front();
  EXPECT_TRUE(lone.ok()) << lone;
}

// Histories on a farm where anything may happen but that its last good device goes for good.
class RandomFarm {
 public:
  enum class Nature : std::uint8_t { kGood, kLosesLeases, kNonsense, kBad };
  enum class Kernel : std::uint8_t { kRight, kWrong, kKillsHosts, kKillsDevices };

  RandomFarm(const Task& task, std::uint64_t seed) : rng_(seed) {
    const auto count = static_cast<std::size_t>(rng_.Between(2, 4));
    for (std::size_t i = 0; i < count; ++i) {
      names_.push_back("d" + std::to_string(i));
      natures_[names_.back()] = i == 0 ? Nature::kGood : static_cast<Nature>(rng_.Below(4));
    }
    for (std::size_t i = 0; i < kTrials; ++i) {
      // Some right ones come first: before that there is nothing that proves a device.
      const std::uint64_t dice = i < 8 ? 19 : rng_.Below(20);
      const Kernel kernel = dice == 0   ? Kernel::kWrong
                            : dice == 1 ? Kernel::kKillsHosts
                            : dice == 2 ? Kernel::kKillsDevices
                                        : Kernel::kRight;
      kernels_[task.space().Id(task.space().At(i))] = kernel;
    }
  }

  StatusOr<RunResult> Run(const std::string& device, const RunRequest& request) {
    const std::lock_guard lock(mutex_);
    const Nature nature = natures_.at(device);
    const bool is_unlucky = rng_.Below(10) < 3;
    if (nature == Nature::kLosesLeases && is_unlucky) {
      return Error(StatusCode::kFailedPrecondition, "the lease is over");
    }
    if (nature == Nature::kNonsense && is_unlucky) {
      constexpr StatusCode kCodes[] = {StatusCode::kInternal, StatusCode::kUnknown,
                                       StatusCode::kDeadlineExceeded, StatusCode::kNotFound,
                                       StatusCode::kResourceExhausted};
      return Error(kCodes[rng_.Below(std::size(kCodes))], "nonsense");
    }
    const std::string& id = request.artifact->symbol;
    switch (kernels_.at(id)) {
      case Kernel::kKillsHosts:
        ++costs_[id];
        return FailedResult(FailureKind::kHostKilled, "killed by SIGSEGV");
      case Kernel::kKillsDevices:
        ++costs_[id];
        return LostWhileRunning(Error(StatusCode::kUnavailable, "connection reset"));
      case Kernel::kWrong:
        return FailedResult(FailureKind::kWrongResult, "byte 7");
      case Kernel::kRight:
        break;
    }
    // The power fails under a good kernel, but not twice.
    if (rng_.Below(50) == 0 && unlucky_.insert(id).second) {
      return LostWhileRunning(Error(StatusCode::kUnavailable, "power failure"));
    }
    if (nature == Nature::kBad) return FailedResult(FailureKind::kWrongResult, "byte 3");
    return RightResult();
  }

  static constexpr std::size_t kTrials = 24;
  const std::vector<std::string>& names() const { return names_; }
  Kernel kernel(const std::string& id) const { return kernels_.at(id); }
  int cost(const std::string& id) const {
    const auto found = costs_.find(id);
    return found == costs_.end() ? 0 : found->second;
  }

 private:
  std::mutex mutex_;
  Rng rng_;
  std::vector<std::string> names_;
  std::map<std::string, Nature> natures_;
  std::map<std::string, Kernel> kernels_;  // by config id
  std::map<std::string, int> costs_;       // hosts and devices that a kernel took down
  std::set<std::string> unlucky_;
};

TEST_F(FailingDevicesTest, WhateverDevicesDoTheVerdictsAreRight) {
  const char* given = std::getenv("KILN_TEST_SEED");
  const std::uint64_t first =
      given != nullptr ? std::strtoull(given, nullptr, 10) : 1 + std::random_device()() % 1'000'000;
  const std::uint64_t histories = given != nullptr ? 1 : 300;
  options_.device_retries = 12;
  std::cout << "histories from seed " << first << std::endl;
  for (std::uint64_t seed = first; seed < first + histories; ++seed) {
    SCOPED_TRACE("KILN_TEST_SEED=" + std::to_string(seed));
    RandomFarm world(task_, seed);
    FakeFarm farm(
        world.names(),
        [&](const std::string& device, const RunRequest& request) {
          return world.Run(device, request);
        },
        seed);
    options_.second_opinion_wait = std::chrono::minutes(5);
    options_.devices = static_cast<std::int32_t>(world.names().size());
    options_.jitter_seed = seed;
    std::latch gate(1);  // all is submitted before anything is measured
    builder_.gate = &gate;
    auto measurer = NewPipelineMeasurer(builder_, farm, SystemClock(), options_);
    std::mutex mutex;
    std::map<std::string, std::vector<StatusOr<Trial>>> trials;  // by config id
    std::latch missing(RandomFarm::kTrials);
    for (std::size_t i = 0; i < RandomFarm::kTrials; ++i) {
      const Config config = task_.space().At(i);
      measurer->Submit({task_, config, {}, {}, {}}, [&, config](StatusOr<Trial> trial) {
        {
          const std::lock_guard lock(mutex);
          trials[task_.space().Id(config)].push_back(std::move(trial));
        }
        missing.count_down();
      });
    }
    gate.count_down();
    missing.wait();
    measurer.reset();
    ASSERT_EQ(trials.size(), RandomFarm::kTrials);
    for (const auto& [id, made] : trials) {
      ASSERT_EQ(made.size(), 1U) << id;
      ASSERT_TRUE(made[0].ok()) << made[0].status();
      const auto* failure = std::get_if<Failure>(&made[0]->outcome);
      const std::string outcome = failure == nullptr ? "right" : Name(failure->kind);
      switch (world.kernel(id)) {
        case RandomFarm::Kernel::kRight:
          ASSERT_EQ(outcome, "right") << failure->message << " on " << made[0]->device;
          break;
        case RandomFarm::Kernel::kWrong:
          ASSERT_EQ(outcome, "WRONG_RESULT");
          break;
        case RandomFarm::Kernel::kKillsHosts:
        case RandomFarm::Kernel::kKillsDevices:
          ASSERT_EQ(outcome, "HOST_KILLED");
          ASSERT_LE(world.cost(id), 2);
          break;
      }
    }
  }
}

}  // namespace
}  // namespace kiln::testing
