// Pools, leases and runs against a real tracker and real device services in this process, over
// loopback sockets; only the kernels are faked.

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/digest.h"
#include "rpc_client/rpc_client.h"
#include "rpc_server/tracker_link.h"
#include "rpc_tracker/tracker_service.h"
#include "tests/rpc_server/fake_device.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr seconds kPatience{30};

Target TargetNamed(const std::string& name) {
  Target target;
  target.name = name;
  return target;
}

Workload AnyWorkload() {
  Workload workload;
  workload.op = OpKind::kDense;
  workload.c = 8;
  workload.o = 4;
  return workload;
}

Artifact ObjectOf(const std::string& bytes) {
  return {std::make_shared<const std::string>(bytes), "kiln_1", 1, Digest(bytes)};
}

// A device whose kernels wait until the test lets them run. It must, before this goes.
struct WaitingDevice {
  void Resume() { resume.set_value(); }

  std::promise<void> resume;
  const std::shared_future<void> resumed = resume.get_future().share();
  FakeDevice device{[this](const HostRequest& request) {
    resumed.wait();
    return SampleReply(request);
  }};
};

class RemotePoolTest : public testing::Test {
 protected:
  void StartTracker(const std::string& address = "127.0.0.1:0", milliseconds ttl = seconds(30)) {
    LeaseTableOptions options;
    options.ttl = ttl;
    tracker_ = NewTrackerService(*reactor_, SystemClock(), *peers_, options);
    auto server = Listen({address}, {&tracker_->service()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void StopTracker() {
    server_.reset();
    tracker_.reset();
  }
  std::unique_ptr<TrackerLink> Register(FakeDevice& device) {
    return NewTrackerLink(*reactor_, device.fence(),
                          {server_->address(), {}, device.address(), device.identity()});
  }
  std::unique_ptr<DevicePool> Pool(std::int32_t priority = 0) {
    auto pool = ConnectTracker(*reactor_, server_->address(), {"tester", priority});
    EXPECT_TRUE(pool.ok()) << pool.status();
    return *std::move(pool);
  }
  static std::unique_ptr<Lease> MustLease(DevicePool& pool) {
    auto lease = pool.Acquire(TargetNamed("t"), TimeKind::kMeasured, kPatience);
    EXPECT_TRUE(lease.ok()) << lease.status();
    return *std::move(lease);
  }
  // Asks again and again, since a tracker tells nobody who waits: false after kPatience.
  template <typename Condition>
  static bool Becomes(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }
  StatusOr<RunResult> Run(Lease& lease, const Artifact& artifact) {
    RunRequest request;
    request.artifact = &artifact;
    request.workload = AnyWorkload();
    request.cases.resize(1);
    return lease.Run(request);
  }
  // The one sample of a run: SampleReply() makes it the size of the object.
  double Sample(Lease& lease, const Artifact& artifact) {
    const auto result = Run(lease, artifact);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok() || !std::holds_alternative<Timings>(result->outcome)) return -1;
    return std::get<Timings>(result->outcome).samples_ns.at(0);
  }

  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  const std::unique_ptr<PeerCheck> peers_ = *NewPeerCheck({}, SystemClock());
  std::unique_ptr<TrackerService> tracker_;
  std::unique_ptr<RpcServer> server_;
};

TEST_F(RemotePoolTest, LeasesADeviceAndRunsOnIt) {
  StartTracker();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  EXPECT_EQ(lease->device(), "fake");
  const Artifact artifact = ObjectOf("12345");
  EXPECT_EQ(Sample(*lease, artifact), 5);
  EXPECT_EQ(Sample(*lease, artifact), 5);
  // This time without sending it: bytes that do not have their digest would be refused.
  Artifact not_sent = ObjectOf("other bytes");
  not_sent.object_digest = artifact.object_digest;
  EXPECT_EQ(Sample(*lease, not_sent), 5);
  EXPECT_EQ(Sample(*lease, ObjectOf("123")), 3);
}

TEST_F(RemotePoolTest, RunsOfOneLeaseMayOverlap) {
  StartTracker();
  WaitingDevice waiting;
  FakeDevice& device = waiting.device;
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  std::vector<std::future<double>> samples;
  for (std::size_t size = 1; size <= 6; ++size) {
    samples.push_back(std::async(std::launch::async, [&, size] {
      return Sample(*lease, ObjectOf(std::string(size, 'x')));
    }));
  }
  // The next one is there while the first one runs.
  EXPECT_TRUE(device.queue().AwaitJobs(2));
  waiting.Resume();
  for (std::size_t i = 0; i < samples.size(); ++i) EXPECT_EQ(samples[i].get(), i + 1);
}

TEST_F(RemotePoolTest, ReleasedDeviceGoesToTheNext) {
  StartTracker("127.0.0.1:0", std::chrono::minutes(10));  // so that no lease ends by itself
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  auto first = MustLease(*pool);
  auto second = std::async(std::launch::async, [&] { return MustLease(*pool); });
  first.reset();
  const auto lease = second.get();
  ASSERT_TRUE(lease);
  EXPECT_EQ(Sample(*lease, ObjectOf("1")), 1);
}

TEST_F(RemotePoolTest, HeartbeatsKeepTheLeaseBeyondItsTtl) {
  StartTracker("127.0.0.1:0", seconds(2));
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  // Another waits longer than the ttl for the device, and does not get it.
  const auto other = pool->Acquire(TargetNamed("t"), TimeKind::kMeasured, seconds(3));
  EXPECT_EQ(other.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(Message(other.status()), HasSubstr("1 leased by tester"));
  EXPECT_EQ(Sample(*lease, ObjectOf("1")), 1);
}

TEST_F(RemotePoolTest, EvictedObjectIsSentAgain) {
  StartTracker();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  constexpr std::size_t kLarge = 15 << 20;
  const Artifact first = ObjectOf(std::string(kLarge, 'a'));
  EXPECT_EQ(Sample(*lease, first), kLarge);
  for (const char c : {'b', 'c', 'd', 'e'}) {  // more than the device keeps
    EXPECT_EQ(Sample(*lease, ObjectOf(std::string(kLarge, c))), kLarge);
  }
  EXPECT_EQ(Sample(*lease, first), kLarge);
}

TEST_F(RemotePoolTest, WhatAKernelDoesIsAResult) {
  StartTracker();
  FakeDevice device([](const HostRequest&) {
    HostReply reply;
    reply.outcome = Failure{Stage::kRun, FailureKind::kRuntimeError, "SIGSEGV"};
    return reply;
  });
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  const auto result = Run(*lease, ObjectOf("1"));
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_TRUE(std::holds_alternative<Failure>(result->outcome));
  EXPECT_EQ(std::get<Failure>(result->outcome).kind, FailureKind::kRuntimeError);
}

TEST_F(RemotePoolTest, RefusedRequestIsInvalidAndTheLeaseGoesOn) {
  StartTracker();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  const Artifact artifact = ObjectOf("1");
  RunRequest request;
  request.artifact = &artifact;
  request.workload = AnyWorkload();
  request.cases.resize(1);
  request.plan.threads = 64;
  EXPECT_EQ(lease->Run(request).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Sample(*lease, artifact), 1);
}

TEST_F(RemotePoolTest, LostDeviceIsUnavailable) {
  StartTracker();
  auto device = std::make_unique<FakeDevice>();
  auto link = Register(*device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  EXPECT_EQ(Sample(*lease, ObjectOf("1")), 1);
  link.reset();
  device.reset();
  const auto result = Run(*lease, ObjectOf("1"));
  EXPECT_EQ(result.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Message(result.status()), HasSubstr("device fake"));
}

TEST_F(RemotePoolTest, DeviceThatGoesDownUnderAKernelIsToldFromOneThatWasNeverReached) {
  StartTracker();
  WaitingDevice waiting;
  FakeDevice& device = waiting.device;
  const auto link = Register(device);
  const auto pool = Pool();
  auto lease = MustLease(*pool);
  auto lost = std::async(std::launch::async, [&] { return Run(*lease, ObjectOf("1")).status(); });
  EXPECT_TRUE(device.queue().AwaitJobs(1));
  auto down = std::async(std::launch::async, [&] { device.Shutdown(); });
  const Status under_way = lost.get();
  waiting.Resume();
  down.get();
  EXPECT_EQ(under_way.code(), StatusCode::kUnavailable) << under_way;
  EXPECT_TRUE(IsLostWhileRunning(under_way)) << under_way;
  EXPECT_THAT(Message(under_way), HasSubstr("device fake at "));
  const Status never = Run(*lease, ObjectOf("2")).status();
  EXPECT_EQ(never.code(), StatusCode::kUnavailable) << never;
  EXPECT_FALSE(IsLostWhileRunning(never)) << never;
}

TEST_F(RemotePoolTest, FencedOffLeaseIsAFailedPrecondition) {
  StartTracker();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  device.fence().Grant({"another", "thief", device.fence().highest_epoch() + 1});
  EXPECT_EQ(Run(*lease, ObjectOf("1")).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(RemotePoolTest, MeasuringGoesOnWhileTheTrackerRestarts) {
  StartTracker();
  const std::string address = server_->address();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  const auto lease = MustLease(*pool);
  StopTracker();
  EXPECT_EQ(Sample(*lease, ObjectOf("1")), 1);
  StartTracker(address);
  // The device brings the lease back with it, so that nobody else gets the device...
  const auto other = pool->Acquire(TargetNamed("t"), TimeKind::kMeasured, seconds(5));
  EXPECT_EQ(other.status().code(), StatusCode::kDeadlineExceeded) << other.status();
  // ...and the holder keeps it.
  EXPECT_EQ(Sample(*lease, ObjectOf("12")), 2);
  const auto farm = ListDevices(address);
  ASSERT_TRUE(farm.ok()) << farm.status();
  ASSERT_EQ(farm->devices.size(), 1u);
  EXPECT_EQ(farm->devices[0].state, "leased");
}

TEST_F(RemotePoolTest, AcquireOutlivesARestartOfTheTracker) {
  StartTracker("127.0.0.1:0", seconds(2));
  const std::string address = server_->address();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool(), other = Pool();
  auto holder = MustLease(*pool);
  auto lease = std::async(std::launch::async, [&] { return MustLease(*other); });
  ASSERT_TRUE(Becomes([&] {
    const auto farm = ListDevices(address);
    return farm.ok() && farm->waiting == 1;
  }));
  StopTracker();
  StartTracker(address, seconds(2));
  holder.reset();
  EXPECT_TRUE(lease.get());
}

TEST_F(RemotePoolTest, NobodyAtTheAddressIsUnavailable) {
  StartTracker();
  const std::string address = server_->address();
  StopTracker();
  const auto pool = ConnectTracker(*reactor_, address, {"tester"});
  EXPECT_EQ(pool.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(Message(pool.status()), HasSubstr(address));
}

TEST_F(RemotePoolTest, DevicesAreListed) {
  StartTracker();
  FakeDevice a(SampleReply, "a"), b(SampleReply, "b");
  const auto link_a = Register(a);
  const auto link_b = Register(b);
  const auto pool = Pool();
  const auto one = MustLease(*pool);
  const auto two = MustLease(*pool);
  EXPECT_NE(one->device(), two->device());
  const auto farm = ListDevices(server_->address());
  ASSERT_TRUE(farm.ok()) << farm.status();
  ASSERT_EQ(farm->devices.size(), 2u);
  const DeviceInfo& info = farm->devices[0];
  EXPECT_EQ(info.name, "a");
  EXPECT_EQ(info.target, "t");
  EXPECT_EQ(info.address, a.address());
  EXPECT_EQ(info.build, "test");
  EXPECT_EQ(info.cores, 2);
  EXPECT_THAT(info.isa, ElementsAre("avx2"));
  EXPECT_EQ(info.labels.at("rack"), "4");
  EXPECT_EQ(info.state, "leased");
  EXPECT_EQ(info.client, "tester");
  EXPECT_GT(info.epoch, 0u);
}

TEST_F(RemotePoolTest, DeadHoldersDeviceComesFreeWithinATtl) {
  StartTracker("127.0.0.1:0", seconds(2));
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  // A holder that does nothing any more: its reactor, which beats its heart, has stopped.
  auto stopped = NewReactor();
  auto dead_pool = ConnectTracker(*stopped, server_->address(), {"dead"});
  ASSERT_TRUE(dead_pool.ok());
  auto dead = MustLease(**dead_pool);
  std::promise<void> resume, blocked;
  stopped->Post([&] {
    blocked.set_value();
    resume.get_future().wait();
  });
  blocked.get_future().wait();
  const auto lease = MustLease(*pool);
  EXPECT_EQ(Sample(*lease, ObjectOf("1")), 1);
  EXPECT_EQ(Run(*dead, ObjectOf("1")).status().code(), StatusCode::kFailedPrecondition);
  resume.set_value();
}

TEST_F(RemotePoolTest, EmulatedDeviceIsLeasedByThoseAloneWhoAskForOne) {
  StartTracker();
  FakeDevice real(SampleReply, "real"), emulated(SampleReply, "emulated", TimeKind::kEmulated);
  const auto link = Register(emulated);
  const auto pool = Pool();
  EXPECT_EQ(pool->Acquire(TargetNamed("t"), TimeKind::kMeasured, milliseconds(200)).status().code(),
            StatusCode::kDeadlineExceeded);
  const auto lease = pool->Acquire(TargetNamed("t"), TimeKind::kEmulated, kPatience);
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ((*lease)->device(), "emulated");
  EXPECT_EQ((*lease)->kind(), TimeKind::kEmulated);
  const auto real_link = Register(real);
  EXPECT_EQ(MustLease(*pool)->kind(), TimeKind::kMeasured);
  const auto farm = ListDevices(server_->address());
  ASSERT_TRUE(farm.ok()) << farm.status();
  ASSERT_EQ(farm->devices.size(), 2u);
  EXPECT_EQ(farm->devices[0].time_kind, TimeKind::kEmulated);
  EXPECT_EQ(farm->devices[1].time_kind, TimeKind::kMeasured);
}

// What the tracker knows of a device once the lease has been given back.
class RemoteFaultTest : public RemotePoolTest {
 protected:
  DeviceInfo AfterwardsKnown(std::unique_ptr<Lease> lease) {
    lease.reset();
    DeviceInfo known;
    EXPECT_TRUE(Becomes([&] {
      const auto farm = ListDevices(server_->address());
      if (!farm.ok() || farm->devices.size() != 1) return false;
      known = farm->devices[0];
      return known.state == "free";
    }));
    return known;
  }
  std::unique_ptr<TrackerLink> RegisterAt(FakeDevice& device, const std::string& address) {
    return NewTrackerLink(*reactor_, device.fence(),
                          {server_->address(), {}, address, device.identity()});
  }
  // Of a run on a device that says it is there.
  Status RunAt(const std::string& address, std::string* fault) {
    FakeDevice device;
    const auto link = RegisterAt(device, address);
    const auto pool = Pool();
    auto lease = MustLease(*pool);
    const Status status = Run(*lease, ObjectOf("1")).status();
    const DeviceInfo known = AfterwardsKnown(std::move(lease));
    EXPECT_EQ(known.failures, 1);
    *fault = known.fault;
    return status;
  }
};

TEST_F(RemoteFaultTest, WhatIsAtADevicesAddressInsteadIsNamed) {
  StartTracker();
  FakeDevice other(SampleReply, "other");
  const std::pair<std::string, std::string> cases[] = {
      {server_->address(), "another service answers at " + server_->address()},
      {other.address(), "there is another device, other"},
      {"127.0.0.1:1", "127.0.0.1:1"}};
  for (const auto& [address, words] : cases) {
    std::string fault;
    const Status status = RunAt(address, &fault);
    EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
    EXPECT_THAT(Message(status), HasSubstr("device fake at " + address + ": "));
    EXPECT_THAT(Message(status), HasSubstr(words));
    EXPECT_THAT(fault, HasSubstr(words));
    StopTracker();
    StartTracker();
  }
}

TEST_F(RemoteFaultTest, RunThatGoesWellTakesTheFaultBack) {
  StartTracker();
  std::atomic<int> runs = 0;
  FakeDevice device([&](const HostRequest& request) {
    HostReply reply = SampleReply(request);
    if (++runs == 1) reply.outcome = Failure{Stage::kDevice, FailureKind::kDeviceLost, "a hiccup"};
    return reply;
  });
  const auto link = Register(device);
  const auto pool = Pool();
  auto lease = MustLease(*pool);
  const Status status = Run(*lease, ObjectOf("1")).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable) << status;
  EXPECT_THAT(Message(status), HasSubstr("a hiccup"));
  EXPECT_EQ(Sample(*lease, ObjectOf("12")), 2);
  EXPECT_EQ(AfterwardsKnown(std::move(lease)).failures, 0);
}

TEST_F(RemoteFaultTest, ADevicesOwnFailureIsItsFaultAndARefusedRequestIsNot) {
  StartTracker();
  FakeDevice device([](const HostRequest& request) {
    HostReply reply = SampleReply(request);
    reply.outcome = Failure{Stage::kDevice, FailureKind::kDeviceLost, "no\nhost"};
    return reply;
  });
  const auto link = Register(device);
  const auto pool = Pool();
  auto lease = MustLease(*pool);
  RunRequest refused;
  const Artifact artifact = ObjectOf("1");
  refused.artifact = &artifact;
  refused.workload = AnyWorkload();  // without a case
  EXPECT_EQ(lease->Run(refused).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(AfterwardsKnown(std::move(lease)).failures, 0);
  lease = MustLease(*pool);
  EXPECT_EQ(Run(*lease, artifact).status().code(), StatusCode::kUnavailable);
  const DeviceInfo known = AfterwardsKnown(std::move(lease));
  EXPECT_EQ(known.failures, 1);
  EXPECT_THAT(known.fault, HasSubstr("host")) << "fit for a line of a log";
}

TEST_F(RemoteFaultTest, BlameIsPassedOnThoughRunsGoWell) {
  StartTracker();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  auto lease = MustLease(*pool);
  lease->Blame("its clock runs backwards");
  EXPECT_EQ(Sample(*lease, ObjectOf("1")), 1);
  lease->Blame("its times differ from the others'\x1b[2J");
  const DeviceInfo known = AfterwardsKnown(std::move(lease));
  EXPECT_EQ(known.failures, 1);
  EXPECT_EQ(known.fault, "its times differ from the others'?[2J");
}

TEST_F(RemoteFaultTest, LeaseWithoutARunSaysNothing) {
  StartTracker();
  FakeDevice device;
  const auto link = Register(device);
  const auto pool = Pool();
  auto lease = MustLease(*pool);
  lease->Blame("broken");
  EXPECT_EQ(AfterwardsKnown(std::move(lease)).failures, 1);
  EXPECT_EQ(AfterwardsKnown(MustLease(*pool)).failures, 1);
  lease = MustLease(*pool);
  EXPECT_EQ(Sample(*lease, ObjectOf("1")), 1);
  EXPECT_EQ(AfterwardsKnown(std::move(lease)).failures, 0);
}

}  // namespace
}  // namespace kiln
