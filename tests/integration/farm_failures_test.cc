// The rows of the farm's failure table that concern connections, leases and programs that die: real
// programs on loopback, and networks between them that are cut without a word to either side.
// What kernels do is held in farm_test.cc, what hostile peers do in farm_limits_test.cc.

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <future>
#include <map>
#include <memory>

#include "base/processor_time.h"
#include "tests/integration/cuttable_link.h"
#include "tests/integration/farm_client.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/logged_farm.h"
#include "tests/integration/stored_trials.h"
#include "tests/kernel_host/test_kernels.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using Kind = LeaseEventKind;
using Time = std::chrono::steady_clock::time_point;

// With more configs than a test's time is enough for.
constexpr char kConv[] =
    "conv2d/i8/n1h14w14c32/o48/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr seconds kTtl{3};
// What a keepalive notices takes 15 s, what a lease ends 3; without either it is ten minutes.
constexpr seconds kNoticed{60};
// Of many trials, while other tests have the processor.
constexpr seconds kTuning{300};
constexpr milliseconds kForEver = std::chrono::minutes(10);
// Sooner than any keepalive, on a busy machine.
constexpr seconds kSoon{12};
// Of a processor, that only a kernel takes.
constexpr milliseconds kAWhile{20};

Time Now() { return std::chrono::steady_clock::now(); }

// These are processes that are no children of ours.
class OtherProcesses {
 public:
  explicit OtherProcesses(const std::vector<Process>& processes) {
    for (const Process& process : processes) {
      ends_.push_back({static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0)), POLLIN, 0});
    }
  }
  OtherProcesses(const OtherProcesses&) = delete;
  OtherProcesses& operator=(const OtherProcesses&) = delete;
  ~OtherProcesses() {
    for (const pollfd& end : ends_) close(end.fd);
  }
  std::size_t size() const { return ends_.size(); }
  // Whether all of them end within the time.
  bool AwaitEnd(std::chrono::nanoseconds patience) {
    const Time deadline = Now() + patience;
    for (pollfd& end : ends_) {
      const auto left = std::chrono::ceil<milliseconds>(deadline - Now()).count();
      if (end.fd >= 0 && poll(&end, 1, static_cast<int>(std::max<std::int64_t>(left, 0))) != 1) {
        return false;
      }
    }
    return true;
  }

 private:
  std::vector<pollfd> ends_;  // a descriptor of -1: it had ended before
};

class FarmFailuresTest : public LoggedFarmTest {
 protected:
  void SetUp() override { SKIP_WITHOUT_TEST_KERNELS(); }
  std::unique_ptr<RunningProgram> Start(const std::vector<std::string>& command) const {
    return std::make_unique<RunningProgram>(scratch_, command);
  }
  void StartTracker(const std::string& address = "127.0.0.1:0") {
    LoggedFarmTest::StartTracker(address, {"--lease-ttl", std::to_string(kTtl.count())});
  }
  std::unique_ptr<RunningProgram> StartServer(const std::string& name, const std::string& tracker,
                                              const std::string& listen = "127.0.0.1:0") const {
    auto server = Start({"kiln-server", "--tracker", tracker, "--target", "native", "--name", name,
                         "--listen", listen});
    EXPECT_TRUE(Eventually([&] { return StateOf(name) == "free"; })) << server->err();
    return server;
  }
  std::unique_ptr<RunningProgram> StartServer(const std::string& name) const {
    return StartServer(name, address_);
  }
  // A server that is reached over the link alone.
  std::unique_ptr<RunningProgram> StartServer(const std::string& name,
                                              std::unique_ptr<CuttableLink>& link) const {
    const std::string address = "unix:" + scratch_.Path(name);
    auto server = StartServer(name, address_, address);
    link = std::make_unique<CuttableLink>(address, MoveAside(address));
    return server;
  }
  std::unique_ptr<RunningProgram> StartTuner(int trials, const std::string& tracker) const {
    return Start({"kiln", "tune", "--tracker", tracker, "--trials", std::to_string(trials),
                  "--policy", "random", "--json", "--workload", kConv});
  }
  std::unique_ptr<RunningProgram> StartTuner(int trials) const {
    return StartTuner(trials, address_);
  }

  std::string StateOf(const std::string& device) const { return LookAt(address_, device).state; }
  std::uint64_t EpochOf(const std::string& device) const { return LookAt(address_, device).epoch; }
  // What has happened to a device, in order.
  std::vector<Kind> HistoryOf(const std::string& device) const {
    std::vector<Kind> kinds;
    for (const LeaseEvent& event : Events()) {
      if (event.device == device) kinds.push_back(event.kind);
    }
    return kinds;
  }
  std::size_t CountOf(const std::string& device, Kind kind) const {
    const auto kinds = HistoryOf(device);
    return static_cast<std::size_t>(std::count(kinds.begin(), kinds.end(), kind));
  }

  static void MustAcquire(FarmClient& client) {
    const Status acquired = client.Acquire();
    EXPECT_TRUE(acquired.ok()) << acquired;
  }
  // What runs a kernel, and has computed for a while: below kiln-host, which is one of the server's,
  // and what forks for it. One that waits for a kernel has not.
  static std::vector<Process> AwaitRunner(const RunningProgram& server) {
    std::vector<Process> below;
    auto runner = below.end();
    EXPECT_TRUE(server.WaitUntil([&] {
      below = Descendants(server.pid());
      // The host and its zygote come first; one runner may only wait for the next trial.
      runner = std::find_if(
          below.begin() + static_cast<long>(std::min<std::size_t>(2, below.size())), below.end(),
          [](const Process& process) { return ProcessorTime(process.pid) >= kAWhile; });
      return runner != below.end();
    }));
    return runner == below.end() ? std::vector<Process>() : std::vector<Process>{*runner};
  }

  std::size_t Trials() const { return ReadTrials(scratch_.database()).size(); }
  bool AwaitTrials(const RunningProgram& tuner, std::size_t count) const {
    return tuner.WaitUntil([&] { return Trials() >= count; });
  }
  // It has made all of its trials, none of which failed, was lost or counted twice.
  void ExpectTuned(RunningProgram& tuner, std::size_t trials) const {
    const Outcome outcome = tuner.Wait(kTuning);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const auto stored = ReadTrials(scratch_.database());
    EXPECT_EQ(stored.size(), trials);
    EXPECT_TRUE(AreDistinctAndInOrder(stored));
    EXPECT_EQ(Integrity(scratch_.database()), "ok");
    for (const auto& line : JsonLines(outcome.out)) {
      if (!line.contains("trials")) continue;
      EXPECT_EQ(line["trials"], trials) << line;
      EXPECT_EQ(line["failed"], 0) << "a lost device says nothing of a config: " << line;
    }
  }
  std::size_t TrialsOn(const std::string& device) const {
    std::size_t count = 0;
    for (const auto& line :
         JsonLines(ExpectKiln(0, {"history", "--workload", kConv, "--json"}).out)) {
      count += line["device"] == device;
    }
    return count;
  }
};

// ---- "lease granted, holder never connects"

TEST_F(FarmFailuresTest, LeaseWhoseHolderNeverConnectsExpiresAndTheNextInTheQueueGetsIt) {
  StartTracker();
  const auto server = StartServer("a");
  const auto unused = TakeUnusedLease(address_);
  ASSERT_TRUE(unused);
  const auto next = NewFarmClient(address_, "next");
  MustAcquire(*next);
  EXPECT_EQ(next->Run("good"), "ok");
  EXPECT_TRUE(Eventually([&] { return CountOf("a", Kind::kGranted) == 2; }));
  EXPECT_THAT(HistoryOf("a"), ElementsAre(Kind::kRegistered, Kind::kOffered, Kind::kGranted,
                                          Kind::kExpired, Kind::kOffered, Kind::kGranted));
  EXPECT_EQ(unused->Renew().code(), StatusCode::kFailedPrecondition);
}

// ---- "device server killed mid-batch (SIGKILL, alone or with its whole process group)"; alone:
// farm_test.cc, farm_tune_test.cc

TEST_F(FarmFailuresTest, ServerKilledMidBatchWithItsGroupGivesItsTrialsToAnotherDevice) {
  constexpr int kTrials = 40;
  StartTracker();
  const auto a = StartServer("a"), b = StartServer("b");
  const auto tuner = StartTuner(kTrials);
  ASSERT_TRUE(AwaitTrials(*tuner, 16)) << tuner->err();
  OtherProcesses below(Descendants(a->pid()));
  EXPECT_GE(below.size(), 1u);
  a->SignalGroup(SIGKILL);
  EXPECT_TRUE(below.AwaitEnd(kSoon)) << "an orphan serves on";
  EXPECT_EQ(a->Wait().status, -SIGKILL);
  ExpectTuned(*tuner, kTrials);
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "lost" && StateOf("b") == "free"; }));
}

TEST_F(FarmFailuresTest, ServerKilledMidBatchWithItsGroupIsWaitedForUntilItComesBack) {
  constexpr int kTrials = 40;
  StartTracker();
  auto server = StartServer("a");
  const auto tuner = StartTuner(kTrials);
  ASSERT_TRUE(AwaitTrials(*tuner, 8)) << tuner->err();
  const std::uint64_t epoch = EpochOf("a");
  server->SignalGroup(SIGKILL);
  EXPECT_EQ(server->Wait().status, -SIGKILL);
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "lost"; }));
  const std::size_t made = Trials();
  server = Start({"kiln-server", "--tracker", address_, "--target", "native", "--name", "a"});
  EXPECT_TRUE(AwaitTrials(*tuner, made + 4)) << tuner->err() << server->err();
  EXPECT_GT(EpochOf("a"), epoch);
  ExpectTuned(*tuner, kTrials);
}

// ---- "a config takes two devices down"

TEST_F(FarmFailuresTest, ConfigThatTakesTwoDevicesDownIsRecordedAndNeverRunOnTheThird) {
  constexpr std::size_t kTrials = 24;
  StartTracker();
  Scratch sick;
  sick.Set("KILN_TEST_WRONG", "poison");
  sick.Set("KILN_TEST_POISON", sick.Path("poison"));
  sick.SetHost(ProgramPath("wrong_host"));
  std::vector<std::unique_ptr<RunningProgram>> servers;
  for (const char* name : {"a", "b", "c"}) {
    servers.push_back(std::make_unique<RunningProgram>(
        sick, std::vector<std::string>{"kiln-server", "--tracker", address_, "--target", "native",
                                       "--name", name}));
    ASSERT_TRUE(Eventually([&] { return StateOf(name) == "free"; })) << servers.back()->err();
  }
  const auto lost = [&] {
    std::size_t count = 0;
    for (const char* name : {"a", "b", "c"}) count += StateOf(name) == "lost";
    return count;
  };
  // More trials and another tuner do not run it, either.
  for (const std::size_t trials : {kTrials, 2 * kTrials}) {
    const auto tuner = StartTuner(static_cast<int>(trials));
    const Outcome outcome = tuner->Wait(kTuning);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(Eventually([&] { return lost() == 2; })) << lost();
    const auto stored = ReadTrials(scratch_.database());
    EXPECT_EQ(stored.size(), trials);
    EXPECT_TRUE(AreDistinctAndInOrder(stored));
    std::size_t poisons = 0;
    for (const auto& line :
         JsonLines(ExpectKiln(0, {"history", "--workload", kConv, "--json"}).out)) {
      if (line["status"] != "HOST_KILLED") continue;
      ++poisons;
      EXPECT_THAT(line["message"].get<std::string>(), StartsWith("took down two hosts: "));
    }
    EXPECT_EQ(poisons, 1u);
  }
}

// ---- "client SIGKILLed while a kernel loops for ever"

TEST_F(FarmFailuresTest, KilledClientsEndlessKernelIsKilledAndItsDeviceUsableAtOnce) {
  StartTracker();
  const auto server = StartServer("a");
  const auto client = Start({"endless_client", address_});
  OtherProcesses runner(AwaitRunner(*server));
  client->Signal(SIGKILL);
  const Time killed = Now();
  EXPECT_EQ(client->Wait().status, -SIGKILL);
  EXPECT_TRUE(runner.AwaitEnd(kTtl + kSoon)) << "its kernel runs on";
  const auto other = NewFarmClient(address_, "other");
  MustAcquire(*other);
  EXPECT_EQ(other->Run("good"), "ok");
  EXPECT_LT(Now() - killed, kTtl + kSoon);
  EXPECT_TRUE(Eventually([&] { return CountOf("a", Kind::kGranted) == 2; }));
  EXPECT_EQ(CountOf("a", Kind::kExpired), 1u);
}

// Its connections stand: only the tracker can know.
TEST_F(FarmFailuresTest, EndlessKernelOfALeaseThatExpiredIsKilled) {
  StartTracker();
  const auto server = StartServer("a");
  const auto client = Start({"endless_client", address_});
  OtherProcesses runner(AwaitRunner(*server));
  client->Signal(SIGSTOP);
  EXPECT_TRUE(Eventually([&] { return CountOf("a", Kind::kExpired) == 1; }));
  const Time expired = Now();
  EXPECT_TRUE(runner.AwaitEnd(kSoon)) << "its kernel runs on";
  const auto other = NewFarmClient(address_, "other");
  MustAcquire(*other);
  EXPECT_EQ(other->Run("good"), "ok");
  EXPECT_LT(Now() - expired, kSoon);
  client->Signal(SIGCONT);
  const Outcome outcome = client->Wait();
  EXPECT_THAT(outcome.out, HasSubstr("FAILED_PRECONDITION: device a")) << outcome.err;
}

// ---- "network cut between client and device (half-open)"

TEST_F(FarmFailuresTest, NetworkCutBetweenClientAndDeviceIsNoticedByKeepaliveOnBothSides) {
  StartTracker();
  std::unique_ptr<CuttableLink> link;
  const auto server = StartServer("a", link);
  const auto client = NewFarmClient(address_, "client");
  MustAcquire(*client);
  ASSERT_EQ(client->Run("good"), "ok");
  auto lost = std::async(std::launch::async, [&] { return client->Run("endless", kForEver); });
  OtherProcesses runner(AwaitRunner(*server));
  link->Cut();
  ASSERT_EQ(lost.wait_for(kNoticed), std::future_status::ready) << "the client waits on";
  EXPECT_THAT(lost.get(), StartsWith("UNAVAILABLE: device a"));
  EXPECT_TRUE(runner.AwaitEnd(kNoticed)) << "the device runs what nobody hears of";
  client->GiveBack();
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "free"; }));
  const std::uint64_t epoch = EpochOf("a");
  link->Restore();
  MustAcquire(*client);
  EXPECT_EQ(client->Run("good"), "ok");
  EXPECT_GT(EpochOf("a"), epoch);
}

TEST_F(FarmFailuresTest, NetworkCutBetweenClientAndDeviceGivesItsTrialsToAnotherDevice) {
  constexpr int kTrials = 40;
  StartTracker();
  std::unique_ptr<CuttableLink> link;
  const auto a = StartServer("a", link), b = StartServer("b");
  const auto tuner = StartTuner(kTrials);
  ASSERT_TRUE(tuner->WaitUntil([&] { return Trials() >= 8 && TrialsOn("a") > 0; })) << tuner->err();
  link->Cut();
  const std::size_t before = TrialsOn("a");
  ExpectTuned(*tuner, kTrials);
  EXPECT_LE(TrialsOn("a"), before + 2) << "what had been answered before";
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "free" && StateOf("b") == "free"; }));
  link->Restore();
}

TEST_F(FarmFailuresTest, NetworkCutBetweenClientAndOnlyDeviceLosesNoTrialOnceItIsBack) {
  constexpr int kTrials = 40;
  StartTracker();
  std::unique_ptr<CuttableLink> link;
  const auto server = StartServer("a", link);
  const auto tuner = StartTuner(kTrials);
  ASSERT_TRUE(AwaitTrials(*tuner, 8)) << tuner->err();
  link->Cut();
  const std::size_t released = CountOf("a", Kind::kReleased);
  EXPECT_TRUE(Eventually([&] { return CountOf("a", Kind::kReleased) > released; }))
      << "the loss is not noticed";
  link->Restore();
  ExpectTuned(*tuner, kTrials);
}

// ---- the same between a device and its tracker; "device comes back"

TEST_F(FarmFailuresTest, DeviceCutOffFromItsTrackerMeasuresOnAndComesBackByItself) {
  constexpr int kTrials = 100'000;
  StartTracker();
  CuttableLink link("127.0.0.1:0", address_);
  const auto server = StartServer("a", link.address());
  const auto tuner = StartTuner(kTrials);
  ASSERT_TRUE(AwaitTrials(*tuner, 4)) << tuner->err();
  const std::uint64_t epoch = EpochOf("a");
  link.Cut();
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "lost"; }));
  const std::size_t made = Trials();
  EXPECT_TRUE(AwaitTrials(*tuner, made + 4)) << "measuring needs no tracker: " << tuner->err();
  link.Restore();
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "leased"; }));
  EXPECT_EQ(EpochOf("a"), epoch) << "its lease has not ended";
  const std::size_t then = Trials();
  EXPECT_TRUE(AwaitTrials(*tuner, then + 4)) << tuner->err();
  tuner->Signal(SIGTERM);
  EXPECT_EQ(tuner->Wait().status, 130);
  EXPECT_TRUE(AreDistinctAndInOrder(ReadTrials(scratch_.database())));
}

// The tracker ends a lease that its device still serves, and gives it to nobody else before that
// device has heard so.
TEST_F(FarmFailuresTest, LeaseThatEndsWhileItsDeviceIsCutOffIsFencedOffWhenItComesBack) {
  StartTracker();
  CuttableLink of_device("127.0.0.1:0", address_), of_client("127.0.0.1:0", address_);
  const auto server = StartServer("a", of_device.address());
  const auto holder = NewFarmClient(of_client.address(), "holder");
  MustAcquire(*holder);
  ASSERT_EQ(holder->Run("good"), "ok");
  const std::uint64_t epoch = EpochOf("a");
  of_client.Cut();
  of_device.Cut();
  EXPECT_TRUE(Eventually([&] { return CountOf("a", Kind::kExpired) == 1; }));
  EXPECT_EQ(holder->Run("good"), "ok") << "neither the device nor its holder has heard of it";
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "lost"; }));
  const auto next = NewFarmClient(address_, "next");
  EXPECT_EQ(next->Acquire(milliseconds(500)).code(), StatusCode::kDeadlineExceeded);

  const Time restored = Now();
  of_device.Restore();
  MustAcquire(*next);
  EXPECT_LT(Now() - restored, kSoon);
  EXPECT_GT(EpochOf("a"), epoch);
  EXPECT_EQ(next->Run("good"), "ok");
  EXPECT_NE(holder->Run("good"), "ok") << "the next one has taken its call's place";
  EXPECT_THAT(holder->Run("good"), StartsWith("FAILED_PRECONDITION: device a"));
  EXPECT_EQ(next->Run("good"), "ok");
  of_client.Restore();
}

// ---- the same between a client and the tracker

TEST_F(FarmFailuresTest, ClientCutOffFromTheTrackerLosesItsDeviceToOthersAndNoTrial) {
  constexpr int kTrials = 60;
  StartTracker();
  CuttableLink link("127.0.0.1:0", address_);
  const auto server = StartServer("a");
  const auto tuner = StartTuner(kTrials, link.address());
  ASSERT_TRUE(AwaitTrials(*tuner, 4)) << tuner->err();
  ASSERT_LT(Trials(), kTrials / 2u) << "too few to be cut off";
  link.Cut();
  {
    const auto other = NewFarmClient(address_, "other");
    MustAcquire(*other);
    EXPECT_EQ(other->Run("good"), "ok");
    const std::size_t made = Trials();
    EXPECT_EQ(other->Run("good"), "ok");
    EXPECT_LE(Trials(), made + 1) << "two measure on one device";
  }
  EXPECT_EQ(CountOf("a", Kind::kExpired), 1u);
  link.Restore();
  ExpectTuned(*tuner, kTrials);
}

// ---- "tracker killed and restarted, after 2 s or after 5 minutes": what differs between the two is
// whether leases outlive their time meanwhile

TEST_F(FarmFailuresTest, TrackerAwayForLongerThanALeaseLivesIsFoundAgainByDevicesAndClients) {
  constexpr int kTrials = 120;
  StartTracker();
  const auto a = StartServer("a"), b = StartServer("b");
  const auto tuner = StartTuner(kTrials);
  ASSERT_TRUE(AwaitTrials(*tuner, 8)) << tuner->err();
  ASSERT_TRUE(Eventually([&] { return StateOf("a") == "leased" && StateOf("b") == "leased"; }));
  tracker_->Signal(SIGKILL);
  EXPECT_EQ(tracker_->Wait().status, -SIGKILL);
  const Time killed = Now();
  const std::size_t made = Trials();
  EXPECT_TRUE(tuner->WaitUntil([&] {
    return Trials() > made + 4 && Now() > killed + kTtl + seconds(1);
  })) << "measuring needs no tracker: "
      << tuner->err();
  ASSERT_LT(Trials(), 0u + kTrials) << "too few for a tracker to come back";

  const Time restarted = Now();
  StartTracker(address_);
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "leased" && StateOf("b") == "leased"; }));
  EXPECT_LT(Now() - restarted, kSoon);
  ExpectTuned(*tuner, kTrials);
  EXPECT_TRUE(Eventually([&] { return StateOf("a") == "free" && StateOf("b") == "free"; }));
  for (const char* device : {"a", "b"}) EXPECT_GE(CountOf(device, Kind::kAdopted), 1u);
}

}  // namespace
}  // namespace kiln
