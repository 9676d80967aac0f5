#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <latch>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "measure/measurer.h"
#include "tests/tuner/synthetic_task.h"

namespace kiln::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Builds at once; the artifact's symbol is the config's id.
class FakeBuilder final : public Builder {
 public:
  using Hook = std::function<StatusOr<std::variant<Artifact, BuildFailure>>(const Config&)>;
  StatusOr<std::variant<Artifact, BuildFailure>> Build(const Task& task,
                                                       const Config& config) override {
    ++builds;
    if (hook) return hook(config);
    return std::variant<Artifact, BuildFailure>(Artifact{nullptr, task.space().Id(config), 7, 8});
  }
  std::atomic<int> builds = 0;
  Hook hook;
};

class FakePool final : public DevicePool {
 public:
  StatusOr<std::unique_ptr<Lease>> Acquire(const Target& target, TimeKind kind,
                                           std::chrono::nanoseconds timeout) override {
    std::unique_lock lock(mutex_);
    timeouts_.push_back(timeout);
    if (stopped_) {
      ++asked_in_vain_;
      return Error(StatusCode::kCancelled, "stopped waiting");
    }
    if (leased_ == devices) {
      ++refused_;
      changed_.notify_all();
      return Error(StatusCode::kDeadlineExceeded, "no device for ", target.name);
    }
    ++leased_;
    if (refusals_before_a_grant_is_known > 0) {
      // The thread that was given the device is slow to say so.
      changed_.wait_for(lock, std::chrono::seconds(30),
                        [this] { return refused_ >= refusals_before_a_grant_is_known; });
    }
    const TimeKind given = only_kind.value_or(kind);
    return std::unique_ptr<Lease>(
        new FakeLease(*this, "board" + std::to_string(acquired_++), given));
  }
  void StopWaiting() override {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  // False: nobody stops it.
  bool AwaitStop() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [this] { return stopped_; });
  }
  // False: fewer leases have been given back.
  bool AwaitReturned(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30),
                             [&] { return returned_.size() >= count; });
  }
  // False: somebody keeps a lease.
  bool AwaitReturn() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [this] { return leased_ == 0; });
  }
  // Somebody else waits for this device.
  void WantBack(std::string_view device) {
    std::lock_guard lock(mutex_);
    wanted_.emplace(device);
  }
  std::vector<std::string> returned() const {
    std::lock_guard lock(mutex_);
    return returned_;
  }
  std::vector<std::chrono::nanoseconds> timeouts() const {
    std::lock_guard lock(mutex_);
    return timeouts_;
  }
  int asked_in_vain() const {
    std::lock_guard lock(mutex_);
    return asked_in_vain_;
  }
  int leased() const {
    std::lock_guard lock(mutex_);
    return leased_;
  }
  int acquired() const {
    std::lock_guard lock(mutex_);
    return acquired_;
  }
  // What a run on a lease gives; unset: a time of 100 ns.
  std::function<StatusOr<RunResult>(Lease&, const RunRequest&)> run;
  int devices = 1;
  int refusals_before_a_grant_is_known = 0;
  std::optional<TimeKind> only_kind;  // whatever is asked for
  bool wants_all_back = false;        // from the first moment on
  bool stops_with_a_return = false;   // of a lease

 private:
  class FakeLease final : public Lease {
   public:
    FakeLease(FakePool& pool, std::string name, TimeKind kind)
        : pool_(pool), name_(std::move(name)), kind_(kind) {}
    ~FakeLease() override {
      std::lock_guard lock(pool_.mutex_);
      --pool_.leased_;
      pool_.returned_.push_back(name_);
      pool_.changed_.notify_all();
      if (pool_.stops_with_a_return) pool_.stopped_ = true;
    }
    std::string_view device() const override { return name_; }
    TimeKind kind() const override { return kind_; }
    StatusOr<RunResult> Run(const RunRequest& request) override {
      if (pool_.run) return pool_.run(*this, request);
      return RunResult{Timings{{100}, 1}, {}, {}};
    }
    bool is_wanted_back() const override {
      std::lock_guard lock(pool_.mutex_);
      return !pool_.stopped_ && (pool_.wants_all_back || pool_.wanted_.contains(name_));
    }

   private:
    FakePool& pool_;
    std::string name_;
    TimeKind kind_;
  };

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  int leased_ = 0, acquired_ = 0, refused_ = 0, asked_in_vain_ = 0;
  std::set<std::string> wanted_;
  std::vector<std::string> returned_;
  std::vector<std::chrono::nanoseconds> timeouts_;
  bool stopped_ = false;
};

class PipelineMeasurerTest : public ::testing::Test {
 protected:
  std::unique_ptr<Measurer> Make() {
    return NewPipelineMeasurer(builder_, pool_, SystemClock(), options_);
  }

  // Submits the configs and waits for all of them.
  std::vector<StatusOr<Trial>> MeasureAll(Measurer& measurer, std::span<const Config> configs) {
    std::vector<std::promise<StatusOr<Trial>>> promises(configs.size());
    for (std::size_t i = 0; i < configs.size(); ++i) {
      measurer.Submit(Request(configs[i]),
                      [&, i](StatusOr<Trial> trial) { promises[i].set_value(std::move(trial)); });
    }
    std::vector<StatusOr<Trial>> trials;
    for (auto& promise : promises) trials.push_back(promise.get_future().get());
    return trials;
  }

  MeasureRequest Request(const Config& config) const { return {task_, config, {}, {}, 0.5, 3}; }

  std::vector<Config> Configs(std::uint64_t count) const {
    std::vector<Config> configs;
    for (std::uint64_t i = 0; i < count; ++i) configs.push_back(task_.space().At(i));
    return configs;
  }

  const Task task_ = SyntheticTask();
  FakeBuilder builder_;
  FakePool pool_;
  PipelineOptions options_;
};

TEST_F(PipelineMeasurerTest, ATrialSaysWhatWasMeasuredWhereAndWhy) {
  const auto trials = MeasureAll(*Make(), Configs(3));
  std::set<std::string> uuids;
  for (std::size_t i = 0; i < trials.size(); ++i) {
    ASSERT_TRUE(trials[i].ok()) << trials[i].status();
    EXPECT_EQ(trials[i]->config, task_.space().At(i));
    EXPECT_EQ(trials[i]->code_digest, 7U);
    EXPECT_EQ(RankTime(*trials[i]), 100);
    EXPECT_EQ(trials[i]->predicted, 0.5);
    EXPECT_EQ(trials[i]->batch, 3);
    EXPECT_EQ(trials[i]->device, "board0");
    EXPECT_GT(trials[i]->measured_at_ms, 0);
    uuids.insert(trials[i]->uuid);
  }
  EXPECT_EQ(uuids.size(), 3U);
}

TEST_F(PipelineMeasurerTest, ATrialSaysHowItsDeviceWasDoing) {
  pool_.run = [](Lease&, const RunRequest&) {
    return RunResult{Timings{{100}, 1}, {}, {}, {2400, 40, 0.5}, {2300, 55, 0.75}, "a line\n"};
  };
  const auto trial = MeasureAll(*Make(), Configs(1)).front();
  ASSERT_TRUE(trial.ok()) << trial.status();
  EXPECT_EQ(trial->before.frequency_mhz, 2400);
  EXPECT_EQ(trial->after.temperature_c, 55);
  EXPECT_EQ(trial->after.load_1min, 0.75);
  EXPECT_EQ(trial->log, "a line\n");
}

// One measurer with a native and an emulated device: what it is asked for decides, and what it
// stores is what the device gives.
TEST_F(PipelineMeasurerTest, ATrialIsOfTheKindOfTheDeviceThatRanIt) {
  pool_.devices = options_.devices = 2;
  std::mutex mutex;
  std::map<std::string, std::set<std::int64_t>> time_outs;  // by kind
  pool_.run = [&](Lease& lease, const RunRequest& request) {
    const std::lock_guard lock(mutex);
    time_outs[Name(lease.kind())].insert(request.plan.time_out_ns);
    return RunResult{Timings{{lease.kind() == TimeKind::kEmulated ? 5000.0 : 100.0}, 1}, {}, {}};
  };
  std::vector<std::promise<StatusOr<Trial>>> promises(20);
  const auto measurer = Make();
  for (std::size_t i = 0; i < promises.size(); ++i) {
    MeasureRequest request = Request(task_.space().At(i));
    request.kind = i % 3 == 0 ? TimeKind::kEmulated : TimeKind::kMeasured;
    measurer->Submit(std::move(request), [&promises, i](StatusOr<Trial> trial) {
      promises[i].set_value(std::move(trial));
    });
  }
  for (std::size_t i = 0; i < promises.size(); ++i) {
    const auto trial = promises[i].get_future().get();
    ASSERT_TRUE(trial.ok()) << trial.status();
    EXPECT_EQ(trial->kind, i % 3 == 0 ? TimeKind::kEmulated : TimeKind::kMeasured);
    EXPECT_EQ(RankTime(*trial), i % 3 == 0 ? 5000 : 100);
  }
  EXPECT_THAT(time_outs["measured"], ElementsAre(MeasurePlan{}.time_out_ns));
  EXPECT_THAT(time_outs["emulated"], ElementsAre(20 * MeasurePlan{}.time_out_ns))
      << "an emulator takes longer";
}

TEST_F(PipelineMeasurerTest, ADeviceOfAnotherKindThanAskedForIsAnError) {
  pool_.only_kind = TimeKind::kEmulated;
  const auto trial = MeasureAll(*Make(), Configs(1)).front();
  EXPECT_EQ(trial.status().code(), StatusCode::kInternal);
  EXPECT_THAT(Message(trial.status()), HasSubstr("asked for measured times"));
}

TEST_F(PipelineMeasurerTest, AKernelThatDoesNotBuildIsATrialWithoutDevice) {
  builder_.hook = [](const Config&) {
    return BuildFailure{{Stage::kCompile, FailureKind::kCompileError, "expected ';'"}, 42};
  };
  const auto trial = MeasureAll(*Make(), Configs(1)).front();
  ASSERT_TRUE(trial.ok());
  EXPECT_EQ(std::get<Failure>(trial->outcome).message, "expected ';'");
  EXPECT_EQ(trial->code_digest, 42U);
  EXPECT_THAT(trial->device, IsEmpty());
  EXPECT_EQ(pool_.acquired(), 0);
}

TEST_F(PipelineMeasurerTest, ABuilderThatIsBrokenIsAnError) {
  builder_.hook = [](const Config&) { return Error(StatusCode::kInternal, "no compiler"); };
  EXPECT_EQ(MeasureAll(*Make(), Configs(1)).front().status().code(), StatusCode::kInternal);
}

TEST_F(PipelineMeasurerTest, AKernelThatFailsIsATrial) {
  pool_.run = [](Lease&, const RunRequest&) {
    return RunResult{Failure{Stage::kRun, FailureKind::kTimeout, "2 s"}, {}, {}};
  };
  const auto trial = MeasureAll(*Make(), Configs(1)).front();
  ASSERT_TRUE(trial.ok());
  EXPECT_EQ(std::get<Failure>(trial->outcome).kind, FailureKind::kTimeout);
}

TEST_F(PipelineMeasurerTest, ALostDeviceCostsARetryOnAnotherLease) {
  std::atomic<int> runs = 0;
  pool_.run = [&](Lease&, const RunRequest&) -> StatusOr<RunResult> {
    const int run = runs++;
    if (run == 0) return Error(StatusCode::kUnavailable, "connection reset");
    if (run == 1)
      return RunResult{Failure{Stage::kDevice, FailureKind::kDeviceLost, "gone"}, {}, {}};
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto trial = MeasureAll(*Make(), Configs(1)).front();
  ASSERT_TRUE(trial.ok()) << trial.status();
  EXPECT_EQ(trial->device, "board2");
  EXPECT_EQ(builder_.builds, 1);
}

TEST_F(PipelineMeasurerTest, ATrialThatLosesEveryDeviceIsGivenUp) {
  options_.device_retries = 2;
  std::atomic<int> runs = 0;
  pool_.run = [&](Lease&, const RunRequest&) -> StatusOr<RunResult> {
    ++runs;
    return Error(StatusCode::kFailedPrecondition, "stale lease");
  };
  const auto trial = MeasureAll(*Make(), Configs(1)).front();
  EXPECT_EQ(trial.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(trial.status()), HasSubstr("lost the device 3 times"));
  EXPECT_EQ(runs, 3);
}

TEST_F(PipelineMeasurerTest, WithoutAnyDeviceEverythingQueuedFails) {
  pool_.devices = 0;
  for (const auto& trial : MeasureAll(*Make(), Configs(20))) {
    EXPECT_EQ(trial.status().code(), StatusCode::kDeadlineExceeded);
    EXPECT_THAT(Message(trial.status()), HasSubstr("no device for synthetic"));
  }
}

TEST_F(PipelineMeasurerTest, OneDeviceServesAPipelineThatHopedForMore) {
  options_.devices = 3;
  for (const auto& trial : MeasureAll(*Make(), Configs(30))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
    EXPECT_EQ(trial->device, "board0");
  }
}

TEST_F(PipelineMeasurerTest, AThreadThatIsRefusedWaitsForTheOthersAnswers) {
  options_.devices = 3;
  pool_.refusals_before_a_grant_is_known = 2;
  for (const auto& trial : MeasureAll(*Make(), Configs(30))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
  }
}

TEST_F(PipelineMeasurerTest, PoolThatStopsLeavesTheWorkToTheDevicesThatAreHad) {
  options_.devices = 3;
  pool_.run = [&](Lease&, const RunRequest&) {
    pool_.StopWaiting();
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto measurer = Make();
  for (const auto& trial : MeasureAll(*measurer, Configs(30))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
  }
  EXPECT_LE(pool_.asked_in_vain(), 2) << "the other two threads ask again and again";
}

TEST_F(PipelineMeasurerTest, SeveralDevicesRunAtTheSameTime) {
  options_.devices = pool_.devices = 2;
  std::latch both(2);  // each run waits for another one on the other device
  pool_.run = [&](Lease&, const RunRequest&) {
    both.arrive_and_wait();
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto trials = MeasureAll(*Make(), Configs(2));
  ASSERT_TRUE(trials[0].ok() && trials[1].ok());
  EXPECT_NE(trials[0]->device, trials[1]->device);
}

TEST_F(PipelineMeasurerTest, BuildsGoOnWhileADeviceRuns) {
  options_.build_threads = 1;
  std::promise<void> second_built;
  builder_.hook = [&](const Config& config) {
    if (config == task_.space().At(1)) second_built.set_value();
    return std::variant<Artifact, BuildFailure>(Artifact{});
  };
  std::atomic<int> runs = 0;
  pool_.run = [&](Lease&, const RunRequest&) {
    if (runs++ == 0) second_built.get_future().wait();  // ends only if the other is built meanwhile
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  for (const auto& trial : MeasureAll(*Make(), Configs(2))) EXPECT_TRUE(trial.ok());
}

TEST_F(PipelineMeasurerTest, BuiltKernelsDoNotPileUpBeforeASlowDevice) {
  options_.build_threads = 2;
  std::promise<void> release, sixth;
  const std::shared_future<void> released = release.get_future().share();
  std::atomic<int> builds = 0;
  builder_.hook = [&](const Config&) {
    if (++builds == 6) sixth.set_value();
    return std::variant<Artifact, BuildFailure>(Artifact{});
  };
  pool_.run = [&](Lease&, const RunRequest&) {
    released.wait();
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto measurer = Make();
  std::latch done(50);
  for (const Config& config : Configs(50)) {
    measurer->Submit(Request(config), [&](const StatusOr<Trial>&) { done.count_down(); });
  }
  // One runs and 2 + 2 x 1 may lie ready: more are built only once the device is done. Building
  // takes no time here, so what has not been built after a while is not going to be.
  const std::future<void> more = sixth.get_future();
  EXPECT_EQ(more.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  release.set_value();
  done.wait();
  EXPECT_EQ(builder_.builds, 50);
}

TEST_F(PipelineMeasurerTest, AnIdleLeaseIsGivenBack) {
  options_.idle_release = std::chrono::milliseconds(1);
  const auto measurer = Make();
  ASSERT_TRUE(MeasureAll(*measurer, Configs(1)).front().ok());
  EXPECT_TRUE(pool_.AwaitReturn());
  EXPECT_TRUE(MeasureAll(*measurer, Configs(1)).front().ok());
  EXPECT_EQ(pool_.acquired(), 2);
}

TEST_F(PipelineMeasurerTest, ALeaseIsKeptAsLongAsThereIsWork) {
  const auto measurer = Make();
  for (const auto& trial : MeasureAll(*measurer, Configs(30))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
  }
  EXPECT_EQ(pool_.acquired(), 1);
}

TEST_F(PipelineMeasurerTest, ALeaseThatIsWantedBackGoesAfterTheTrialUnderWay) {
  int runs = 0;
  pool_.run = [&](Lease& lease, const RunRequest&) {
    if (++runs == 3) pool_.WantBack(lease.device());
    EXPECT_EQ(pool_.leased(), 1) << "it is gone while a trial runs";
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto measurer = Make();
  std::map<std::string, int> trials;  // by device
  for (const auto& trial : MeasureAll(*measurer, Configs(10))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
    ++trials[trial->device];
  }
  EXPECT_EQ(trials, (std::map<std::string, int>{{"board0", 3}, {"board1", 7}}));
  EXPECT_EQ(builder_.builds, 10) << "kernels that were ready are built again";
  EXPECT_THAT(pool_.returned(), ElementsAre("board0"));
}

TEST_F(PipelineMeasurerTest, OfSeveralLeasesTheOneThatIsWantedBackGoes) {
  options_.devices = pool_.devices = 2;
  std::latch both(2);
  std::atomic<int> runs = 0;
  pool_.run = [&](Lease& lease, const RunRequest&) {
    if (runs++ < 2) both.arrive_and_wait();
    if (lease.device() == "board1") pool_.WantBack("board1");
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto measurer = Make();
  for (const auto& trial : MeasureAll(*measurer, Configs(30))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
  }
  // Which does so at last even if the other one has done all the work meanwhile.
  EXPECT_TRUE(pool_.AwaitReturned(1));
  EXPECT_THAT(pool_.returned(), ElementsAre("board1"));
}

TEST_F(PipelineMeasurerTest, ALeaseMakesOneTrialHoweverSoonItIsWantedBack) {
  pool_.wants_all_back = true;
  const auto measurer = Make();
  std::set<std::string> devices;
  for (const auto& trial : MeasureAll(*measurer, Configs(10))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
    devices.insert(trial->device);
  }
  EXPECT_EQ(devices.size(), 10u);
}

TEST_F(PipelineMeasurerTest, ALeaseThatIsWantedBackDoesNotWaitForACompiler) {
  builder_.hook = [&](const Config& config) {
    if (config == task_.space().At(1)) {
      EXPECT_TRUE(pool_.AwaitReturned(1));
    }
    return std::variant<Artifact, BuildFailure>(Artifact{});
  };
  int runs = 0;
  pool_.run = [&](Lease& lease, const RunRequest&) {
    if (runs++ == 0) pool_.WantBack(lease.device());
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  for (const auto& trial : MeasureAll(*Make(), Configs(2))) {
    EXPECT_TRUE(trial.ok()) << trial.status();
  }
  EXPECT_EQ(pool_.acquired(), 2);
}

TEST_F(PipelineMeasurerTest, TheNextTurnIsWaitedForAsLongAsItTakes) {
  options_.acquire_timeout = std::chrono::seconds(7);
  int runs = 0;
  pool_.run = [&](Lease& lease, const RunRequest&) -> StatusOr<RunResult> {
    if (++runs == 1) pool_.WantBack(lease.device());
    if (runs == 3) return Error(StatusCode::kUnavailable, "connection reset");
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto measurer = Make();
  for (const auto& trial : MeasureAll(*measurer, Configs(5))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
  }
  EXPECT_THAT(pool_.timeouts(),
              ElementsAre(std::chrono::seconds(7), std::chrono::nanoseconds::max(),
                          std::chrono::seconds(7)))
      << "at the start, after it has given way, after a lost device";
}

TEST_F(PipelineMeasurerTest, APoolThatStoppedGetsNoLeaseBackBeforeTheWorkIsDone) {
  int runs = 0;
  pool_.run = [&](Lease& lease, const RunRequest&) {
    if (++runs == 3) {
      pool_.StopWaiting();
      pool_.WantBack(lease.device());
    }
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  const auto measurer = Make();
  for (const auto& trial : MeasureAll(*measurer, Configs(10))) {
    ASSERT_TRUE(trial.ok()) << trial.status();
  }
  EXPECT_EQ(pool_.acquired(), 1);
  EXPECT_EQ(pool_.asked_in_vain(), 0);
}

TEST_F(PipelineMeasurerTest, AStopBetweenTwoTurnsEndsWhatIsQueued) {
  pool_.wants_all_back = pool_.stops_with_a_return = true;
  int made = 0, cancelled = 0;
  const auto measurer = Make();
  for (const auto& trial : MeasureAll(*measurer, Configs(10))) {
    ++(trial.ok() ? made : cancelled);
    EXPECT_TRUE(trial.ok() || trial.status().code() == StatusCode::kCancelled);
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(cancelled, 9);
  EXPECT_EQ(pool_.leased(), 0);
}

TEST_F(PipelineMeasurerTest, ClosingCancelsWhatHasNotBegunAndReturnsTheLease) {
  std::promise<void> running, release;
  std::atomic<bool> first = true;
  pool_.run = [&](Lease&, const RunRequest&) {
    if (first.exchange(false)) {
      running.set_value();
      release.get_future().wait();
    }
    return RunResult{Timings{{100}, 1}, {}, {}};
  };
  auto measurer = Make();
  std::atomic<int> made = 0, cancelled = 0;
  for (const Config& config : Configs(40)) {
    measurer->Submit(Request(config), [&](const StatusOr<Trial>& trial) {
      ++(trial.ok() ? made : cancelled);
      EXPECT_TRUE(trial.ok() || trial.status().code() == StatusCode::kCancelled);
    });
  }
  running.get_future().wait();
  std::thread closer([&] { measurer.reset(); });
  EXPECT_TRUE(pool_.AwaitStop());  // it is being closed
  release.set_value();
  closer.join();
  EXPECT_EQ(made, 1) << "which had begun";
  EXPECT_EQ(cancelled, 39);
  EXPECT_EQ(pool_.leased(), 0);
}

}  // namespace
}  // namespace kiln::testing
