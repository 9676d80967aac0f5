// What becomes of requests that are withdrawn, in whatever stage they are.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <future>
#include <iostream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"
#include "measure/measurer.h"
#include "tests/measure/fake_farm.h"
#include "tests/tuner/synthetic_task.h"

namespace kiln::testing {
namespace {

constexpr std::chrono::seconds kPatience{60};

// The artifact's symbol is the config's id; `hook` is called with it first.
class HookedBuilder final : public Builder {
 public:
  StatusOr<std::variant<Artifact, BuildFailure>> Build(const Task& task,
                                                       const Config& config) override {
    const std::string id = task.space().Id(config);
    if (hook) hook(id);
    return std::variant<Artifact, BuildFailure>(Artifact{nullptr, id, 7, 8});
  }
  std::function<void(const std::string& id)> hook;
};

// One lease is given if there is a `run`; who asks then is told nothing before the end.
class FullPool final : public DevicePool {
 public:
  using OnRun = std::function<StatusOr<RunResult>(const RunRequest&)>;
  explicit FullPool(OnRun run = nullptr) : run_(std::move(run)), has_lease_(run_ != nullptr) {}

  StatusOr<std::unique_ptr<Lease>> Acquire(const Target&, TimeKind,
                                           std::chrono::nanoseconds) override {
    if (std::exchange(has_lease_, false)) return std::make_unique<OnlyLease>(run_);
    asked_.set_value();
    stopped_.get_future().wait();
    return Error(StatusCode::kCancelled, "stopped waiting");
  }
  void StopWaiting() override { stopped_.set_value(); }
  void AwaitAsked() { asked_.get_future().wait(); }

 private:
  class OnlyLease final : public Lease {
   public:
    explicit OnlyLease(const OnRun& run) : run_(run) {}
    std::string_view device() const override { return "only"; }
    TimeKind kind() const override { return TimeKind::kMeasured; }
    StatusOr<RunResult> Run(const RunRequest& request) override { return run_(request); }

   private:
    const OnRun& run_;
  };

  const OnRun run_;
  bool has_lease_;
  std::promise<void> asked_, stopped_;
};

// How requests ended, by the order of their submission.
class Endings {
 public:
  Completion Next() {
    const std::lock_guard lock(mutex_);
    endings_.emplace_back();
    return [this, i = endings_.size() - 1](const StatusOr<Trial>& trial) {
      const std::lock_guard guard(mutex_);
      endings_[i].push_back(trial.status().code());
      ++completions_;
      changed_.notify_all();
    };
  }
  // All codes that each request was completed with: one, if all is well.
  std::vector<std::vector<StatusCode>> all() const {
    const std::lock_guard lock(mutex_);
    return endings_;
  }
  std::size_t completions() const {
    const std::lock_guard lock(mutex_);
    return completions_;
  }
  // False: some are missing.
  bool Await(std::size_t completions) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return completions_ >= completions; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<StatusCode>> endings_;
  std::size_t completions_ = 0;
};

const std::vector<StatusCode> kMade = {StatusCode::kOk};
const std::vector<StatusCode> kWithdrawn = {StatusCode::kCancelled};

class WithdrawalTest : public ::testing::Test {
 protected:
  WithdrawalTest() {
    options_.build_threads = 1;
    options_.first_pause = options_.longest_pause = std::chrono::microseconds(1);
    options_.second_opinion_wait = std::chrono::milliseconds(1);
  }

  void Submit(Measurer& measurer, std::uint64_t config) {
    measurer.Submit({task_, task_.space().At(config), {}, {}, {}}, endings_.Next());
  }
  std::string Id(std::uint64_t config) const { return task_.space().Id(task_.space().At(config)); }

  // How a request ends that is withdrawn while it runs, if that run gives this.
  std::vector<StatusCode> EndingAfter(const StatusOr<RunResult>& result) {
    Measurer* measurer = nullptr;
    std::promise<void> ready;
    const std::shared_future<void> is_ready = ready.get_future().share();
    FakeFarm farm({"a"}, [&](const std::string&, const RunRequest&) {
      is_ready.wait();
      ++runs_;
      measurer->Withdraw();
      return result;
    });
    const auto owned = NewPipelineMeasurer(builder_, farm, SystemClock(), options_);
    measurer = owned.get();
    ready.set_value();
    Submit(*measurer, 0);
    EXPECT_TRUE(endings_.Await(1));
    return endings_.all().front();
  }

  const Task task_ = SyntheticTask();
  HookedBuilder builder_;
  PipelineOptions options_;
  Endings endings_;
  std::atomic<int> runs_ = 0;
};

TEST_F(WithdrawalTest, WithdrawEndsQueuedRequestsSoon) {
  // The first one runs, two are built, the fourth is being built, the others wait for that.
  std::promise<void> running, building, release;
  const std::shared_future<void> released = release.get_future().share();
  builder_.hook = [&](const std::string& id) {
    if (id != Id(3)) return;
    building.set_value();
    released.wait();
  };
  FakeFarm farm({"a"}, [&](const std::string&, const RunRequest& request) {
    ++runs_;
    if (request.artifact->symbol == Id(0)) {
      running.set_value();
      released.wait();
    }
    return RightResult();
  });
  const auto measurer = NewPipelineMeasurer(builder_, farm, SystemClock(), options_);
  for (std::uint64_t i = 0; i < 40; ++i) Submit(*measurer, i);
  running.get_future().wait();
  building.get_future().wait();

  measurer->Withdraw();
  EXPECT_TRUE(endings_.Await(39)) << "they wait for a build or a run";
  measurer->Withdraw();  // nothing is left to withdraw
  release.set_value();
  EXPECT_TRUE(endings_.Await(40));
  const auto endings = endings_.all();
  EXPECT_EQ(endings[0], kMade) << "which ran";
  for (std::size_t i = 1; i < 40; ++i) EXPECT_EQ(endings[i], kWithdrawn) << i;

  Submit(*measurer, 40);
  EXPECT_TRUE(endings_.Await(41));
  EXPECT_EQ(endings_.all()[40], kMade);
  EXPECT_EQ(runs_, 2) << "what was withdrawn is run";
}

TEST_F(WithdrawalTest, WithdrawDoesNotWaitForADevice) {
  FullPool pool;
  const auto measurer = NewPipelineMeasurer(builder_, pool, SystemClock(), options_);
  for (std::uint64_t i = 0; i < 10; ++i) Submit(*measurer, i);
  pool.AwaitAsked();
  measurer->Withdraw();
  EXPECT_TRUE(endings_.Await(10));
  for (const auto& ending : endings_.all()) EXPECT_EQ(ending, kWithdrawn);
}

TEST_F(WithdrawalTest, WhatRunsEndsAsUsual) {
  EXPECT_EQ(EndingAfter(RightResult()), kMade);
  EXPECT_EQ(runs_, 1);
}

TEST_F(WithdrawalTest, AKernelThatFailsMeanwhileIsStillATrial) {
  EXPECT_EQ(EndingAfter(FailedResult(FailureKind::kTimeout, "2 s")), kMade);
  EXPECT_EQ(runs_, 1);
}

TEST_F(WithdrawalTest, NoOtherDeviceIsAskedForATrialThatLosesItsOwn) {
  EXPECT_EQ(EndingAfter(Error(StatusCode::kUnavailable, "connection reset")), kWithdrawn);
  EXPECT_EQ(runs_, 1);
}

// The farm has one lease to give and no other.
TEST_F(WithdrawalTest, NoOtherDeviceIsWaitedForEither) {
  Measurer* measurer = nullptr;
  std::promise<void> ready;
  const std::shared_future<void> is_ready = ready.get_future().share();
  FullPool pool([&](const RunRequest&) {
    is_ready.wait();
    measurer->Withdraw();
    return Error(StatusCode::kUnavailable, "connection reset");
  });
  const auto owned = NewPipelineMeasurer(builder_, pool, SystemClock(), options_);
  measurer = owned.get();
  ready.set_value();
  Submit(*measurer, 0);
  EXPECT_TRUE(endings_.Await(1)) << "it waits for another device";
  EXPECT_EQ(endings_.all().front(), kWithdrawn);
}

// A kernel that was right before is run first where a trial is in doubt.
TEST_F(WithdrawalTest, ATrialIsNotBegunAfterItsWitness) {
  Measurer* measurer = nullptr;
  std::promise<void> ready;
  const std::shared_future<void> is_ready = ready.get_future().share();
  std::atomic<int> witnesses = 0, doubted = 0;
  FakeFarm farm({"a"}, [&](const std::string&, const RunRequest& request) {
    is_ready.wait();
    if (request.artifact->symbol == Id(1)) {
      ++doubted;
      return StatusOr<RunResult>(LostWhileRunning(Error(StatusCode::kUnavailable, "reset")));
    }
    if (!request.plan.time) {
      ++witnesses;
      measurer->Withdraw();
    }
    return RightResult();
  });
  const auto owned = NewPipelineMeasurer(builder_, farm, SystemClock(), options_);
  measurer = owned.get();
  Submit(*measurer, 0);
  Submit(*measurer, 1);
  ready.set_value();
  EXPECT_TRUE(endings_.Await(2));
  EXPECT_EQ(endings_.all()[1], kWithdrawn);
  EXPECT_EQ(witnesses, 1);
  EXPECT_EQ(doubted, 1) << "it is run once more";
}

TEST_F(WithdrawalTest, NoSecondOpinionIsAskedFor) {
  EXPECT_EQ(EndingAfter(FailedResult(FailureKind::kWrongResult, "byte 7")), kWithdrawn);
  EXPECT_EQ(runs_, 1);
}

// A farm on which anything may happen and takes some time, of a random length.
class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : rng_(seed) {}

  std::uint64_t Below(std::uint64_t bound) {
    const std::lock_guard lock(mutex_);
    return rng_.Below(bound);
  }
  void TakeTime() {
    for (std::uint64_t left = Below(8) == 0 ? 500 : Below(20); left > 0; --left) {
      std::this_thread::yield();
    }
  }
  StatusOr<RunResult> Run() {
    TakeTime();
    if (is_calm) return RightResult();
    switch (Below(10)) {
      case 0:
        return Error(StatusCode::kUnavailable, "connection reset");
      case 1:
        return LostWhileRunning(Error(StatusCode::kUnavailable, "connection reset"));
      case 2:
        return FailedResult(FailureKind::kWrongResult, "byte 7");
      case 3:
        return FailedResult(FailureKind::kHostKilled, "SIGKILL");
      default:
        return RightResult();
    }
  }
  std::atomic<bool> is_calm = false;

 private:
  std::mutex mutex_;
  Rng rng_;
};

TEST_F(WithdrawalTest, WhateverHappensEachRequestIsCompletedOnce) {
  const char* given = std::getenv("KILN_TEST_SEED");
  const std::uint64_t first =
      given != nullptr ? std::strtoull(given, nullptr, 10) : 1 + std::random_device()() % 1'000'000;
  const std::uint64_t histories = given != nullptr ? 1 : 200;
  std::cout << "histories from seed " << first << std::endl;
  std::size_t made = 0, withdrawn = 0;
  for (std::uint64_t seed = first; seed < first + histories; ++seed) {
    SCOPED_TRACE("KILN_TEST_SEED=" + std::to_string(seed));
    RandomWorld world(seed);
    Endings endings;
    std::vector<std::string> devices = {"a", "b", "c"};
    devices.resize(1 + world.Below(3));
    options_.devices = static_cast<std::int32_t>(devices.size());
    options_.build_threads = static_cast<std::int32_t>(1 + world.Below(3));
    options_.jitter_seed = seed;
    builder_.hook = [&](const std::string&) { world.TakeTime(); };
    FakeFarm farm(
        devices, [&](const std::string&, const RunRequest&) { return world.Run(); }, seed);
    auto measurer = NewPipelineMeasurer(builder_, farm, SystemClock(), options_);
    const auto act = [&](std::uint64_t from) {
      for (std::uint64_t i = from; i < from + 40; ++i) {
        measurer->Submit({task_, task_.space().At(i), {}, {}, {}}, endings.Next());
        if (world.Below(4) == 0) world.TakeTime();
        if (world.Below(30) == 0) measurer->Withdraw();
      }
    };
    std::thread other([&] { act(100); });
    act(0);
    other.join();
    measurer->Withdraw();
    world.is_calm = true;
    for (std::uint64_t i = 200; i < 205; ++i) {
      measurer->Submit({task_, task_.space().At(i), {}, {}, {}}, endings.Next());
    }
    ASSERT_TRUE(endings.Await(85)) << endings.completions() << " of 85";
    measurer.reset();
    const auto all = endings.all();
    for (std::size_t i = 0; i < all.size(); ++i) {
      ASSERT_EQ(all[i].size(), 1U) << "request " << i;
      if (i >= 80) {
        ASSERT_EQ(all[i], kMade) << "submitted after the last withdrawal";
      }
      made += all[i] == kMade;
      withdrawn += all[i] == kWithdrawn;
    }
  }
  std::cout << made << " made, " << withdrawn << " withdrawn" << std::endl;
  EXPECT_GT(made, 0U);
  EXPECT_GT(withdrawn, 0U);
}

}  // namespace
}  // namespace kiln::testing
