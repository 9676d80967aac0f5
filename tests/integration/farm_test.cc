// A farm of the real programs on loopback: kiln-tracker, kiln-server, kiln-host, and the client
// library, with small kernels that behave in all the ways kernels can.

#include <gmock/gmock.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "base/paths.h"
#include "ops/target.h"
#include "rpc_client/rpc_client.h"
#include "tests/integration/kernel_run.h"
#include "tests/integration/program.h"
#include "tests/kernel_host/test_kernels.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::StartsWith;

constexpr seconds kPatience{60};
constexpr char kListening[] = "listening on ";

std::string Path(const std::string& program) { return std::string(KILN_BIN "/") + program; }

// The address that a server announces, and that it is alive to do so.
std::string AddressOf(Program& server) {
  const std::string line = server.ReadLine();
  EXPECT_THAT(line, StartsWith(kListening)) << server.Errors();
  return line.size() > sizeof kListening - 1 ? line.substr(sizeof kListening - 1) : "";
}

class FarmTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT_TEST_KERNELS();
    std::string directory = "/tmp/kiln_farm_test_XXXXXX";
    ASSERT_NE(mkdtemp(directory.data()), nullptr);
    directory_ = directory;
    setenv("XDG_RUNTIME_DIR", directory.c_str(), 1);
    setenv("KILN_TEST_CORE_LOCKS", (directory + "/core-locks").c_str(), 1);
    const auto native = DetectNative();
    ASSERT_TRUE(native.ok()) << native.status();
    target_ = *native;
  }
  void TearDown() override {
    servers_.clear();
    unsetenv("XDG_RUNTIME_DIR");
    unsetenv("KILN_TEST_CORE_LOCKS");
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  void StartTracker(const std::string& address = "127.0.0.1:0") {
    tracker_ = std::make_unique<Program>(
        std::vector<std::string>{Path("kiln-tracker"), "--listen", address});
    address_ = AddressOf(*tracker_);
  }
  Program& StartServer(const std::string& name) {
    Program server({Path("kiln-server"), "--tracker", address_, "--target", "native", "--name",
                    name, "--label", "test=farm"});
    AddressOf(server);
    servers_.erase(name);
    return servers_.emplace(name, std::move(server)).first->second;
  }
  // The name is that of the target.
  void StartEmulatedServer(const std::string& target, const std::string& cpu) {
    Program server({Path("kiln-server"), "--tracker", address_, "--target", target, "--name",
                    target, "--emulator", "qemu-aarch64", "--cpu", cpu});
    AddressOf(server);
    servers_.emplace(target, std::move(server));
  }
  std::unique_ptr<DevicePool> Connect() {
    auto pool = ConnectTracker(*reactor_, address_, {"tester"});
    EXPECT_TRUE(pool.ok()) << pool.status();
    return *std::move(pool);
  }
  std::unique_ptr<Lease> MustLease(DevicePool& pool) {
    auto lease = pool.Acquire(target_, TimeKind::kMeasured, kPatience);
    EXPECT_TRUE(lease.ok()) << lease.status();
    return *std::move(lease);
  }

  StatusOr<RunResult> Run(Lease& lease, const std::string& kernel,
                          milliseconds time_out = seconds(10)) {
    return RunKernel(lease, kernel, time_out);
  }

  // Asks again and again, since nobody tells of what other programs come to: false after
  // kPatience.
  template <typename Condition>
  static bool Becomes(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= deadline) return false;
      std::this_thread::sleep_for(milliseconds(5));
    }
    return true;
  }
  // Waits until `condition` holds of what the tracker knows.
  template <typename Condition>
  bool Eventually(const Condition& condition) {
    return Becomes([&] {
      const auto farm = ListDevices(address_);
      return farm.ok() && condition(*farm);
    });
  }
  bool EventuallyAre(std::size_t count, const std::string& state) {
    return Eventually([&](const FarmInfo& farm) {
      return std::count_if(farm.devices.begin(), farm.devices.end(), [&](const DeviceInfo& info) {
               return info.state == state;
             }) == static_cast<std::ptrdiff_t>(count);
    });
  }

  std::string directory_;
  Target target_;
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  std::string address_;
  std::unique_ptr<Program> tracker_;
  std::map<std::string, Program> servers_;
};

TEST_F(FarmTest, KernelsRunAndTheirFailuresAreTyped) {
  StartTracker();
  StartServer("a");
  const auto pool = Connect();
  const auto lease = MustLease(*pool);
  EXPECT_EQ(lease->device(), "a");
  const auto good = Run(*lease, "good");
  ASSERT_EQ(Summary(good), "ok") << good.status();
  EXPECT_FALSE(std::get<Timings>(good->outcome).samples_ns.empty());
  EXPECT_EQ(good->digests.size(), 2u);
  EXPECT_EQ(Summary(Run(*lease, "wrong")), "WRONG_RESULT");
  EXPECT_EQ(Summary(Run(*lease, "endless", milliseconds(300))), "TIMEOUT");
  EXPECT_EQ(Summary(Run(*lease, "null_write")), "RUNTIME_ERROR");
  EXPECT_EQ(Summary(Run(*lease, "unsupported_isa")), "UNSUPPORTED_ISA");
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
}

// Everything that a kernel can do, over the whole way from a client to its runner; what else is said of
// each is held in kiln_host_test.cc and measuring_test.cc.
TEST_F(FarmTest, MisbehavingKernelsEndTheirTrialsAndNothingElse) {
  StartTracker();
  StartServer("a");
  const auto pool = Connect();
  const auto lease = MustLease(*pool);
  const std::pair<const char*, const char*> cases[] = {
      {"illegal_instruction", "RUNTIME_ERROR"}, {"end_process", "RUNTIME_ERROR"},
      {"read_past_x", "RUNTIME_ERROR"},         {"write_past_y", "RUNTIME_ERROR"},
      {"open_file", "RUNTIME_ERROR"},           {"open_socket", "RUNTIME_ERROR"},
      {"fork_process", "RUNTIME_ERROR"},        {"eat_memory", "RUNTIME_ERROR"},
      {"too_much_memory", "BAD_OBJECT"},        {"skips_last_byte", "WRONG_RESULT"},
      {"forges_samples", "WRONG_RESULT"},       {"remembers", "WRONG_RESULT"},
      {"skips_done", "WRONG_RESULT"},
  };
  for (const auto& [kernel, summary] : cases) {
    EXPECT_EQ(Summary(Run(*lease, kernel)), summary) << kernel;
    EXPECT_EQ(Summary(Run(*lease, "good")), "ok") << "after " << kernel;
  }
}

TEST_F(FarmTest, NextTrialRunsWithinATenthOfASecondOfACrash) {
  StartTracker();
  StartServer("a");
  const auto pool = Connect();
  const auto lease = MustLease(*pool);
  const std::pair<const char*, const char*> cases[] = {
      {"null_write", "SIGSEGV"}, {"illegal_instruction", "SIGILL"}, {"open_file", "SIGSYS"}};
  for (const auto& [kernel, signal] : cases) {
    // What a busy machine adds to it is not ours: the least of some tries.
    std::chrono::duration<double, std::milli> least = kPatience;
    for (int tries = 0; tries < 10 && least >= milliseconds(100); ++tries) {
      const auto crashed = Run(*lease, kernel);
      ASSERT_EQ(Summary(crashed), "RUNTIME_ERROR");
      EXPECT_THAT(std::get<Failure>(crashed->outcome).message, StartsWith(signal));
      const auto begun = std::chrono::steady_clock::now();
      EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
      least = std::min<decltype(least)>(least, std::chrono::steady_clock::now() - begun);
    }
    std::printf("a trial after %s took %.1f ms\n", kernel, least.count());
    EXPECT_LT(least, milliseconds(100)) << kernel;
  }
}

TEST_F(FarmTest, TwoDevicesOfOneTargetAreLeasedAtOnce) {
  StartTracker();
  StartServer("a");
  StartServer("b");
  const auto pool = Connect();
  const auto one = MustLease(*pool);
  const auto two = MustLease(*pool);
  EXPECT_NE(one->device(), two->device());
  auto first = std::async(std::launch::async, [&] { return Summary(Run(*one, "good")); });
  EXPECT_EQ(Summary(Run(*two, "good")), "ok");
  EXPECT_EQ(first.get(), "ok");
  const auto third = pool->Acquire(target_, TimeKind::kMeasured, milliseconds(200));
  EXPECT_EQ(third.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(Message(third.status()), HasSubstr("2 leased by tester"));
}

TEST_F(FarmTest, ServerKilledMidTrialIsADeviceLostAndLeavesNothingRunning) {
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  StartTracker();
  Program& server = StartServer("a");
  const auto pool = Connect();
  auto lease = MustLease(*pool);
  ASSERT_EQ(Summary(Run(*lease, "good")), "ok");
  const auto hosts = ChildrenNamed(server.pid(), "kiln-host");
  ASSERT_EQ(hosts.size(), 1u);
  auto lost =
      std::async(std::launch::async, [&] { return Summary(Run(*lease, "endless", seconds(100))); });
  // The runner that runs the endless kernel is a child of kiln-host.
  ASSERT_TRUE(Becomes([&] { return !ChildrenNamed(hosts[0], "kiln-host").empty(); }));
  server.Signal(SIGKILL);
  EXPECT_THAT(lost.get(), StartsWith("UNAVAILABLE: device a"));
  EXPECT_EQ(server.Wait(), -SIGKILL);  // and from then on its child is ours
  EXPECT_EQ(waitpid(hosts[0], nullptr, 0), hosts[0]) << "kiln-host lives on";
  lease.reset();
  EXPECT_TRUE(EventuallyAre(1, "lost"));

  StartServer("a");  // as its service manager would
  lease = MustLease(*pool);
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
}

TEST_F(FarmTest, KilledHostIsStartedAgainAndTheTrialRepeated) {
  StartTracker();
  Program& server = StartServer("a");
  const auto pool = Connect();
  const auto lease = MustLease(*pool);
  ASSERT_EQ(Summary(Run(*lease, "good")), "ok");
  const auto hosts = ChildrenNamed(server.pid(), "kiln-host");
  ASSERT_EQ(hosts.size(), 1u);
  auto trial =
      std::async(std::launch::async, [&] { return Summary(Run(*lease, "endless", seconds(5))); });
  // In the middle of the trial, which a runner makes, a child of kiln-host.
  ASSERT_TRUE(Becomes([&] { return !ChildrenNamed(hosts[0], "kiln-host").empty(); }));
  kill(hosts[0], SIGKILL);
  EXPECT_EQ(trial.get(), "TIMEOUT") << "the kernel's own end, in another host";
  EXPECT_THAT(ChildrenNamed(server.pid(), "kiln-host"),
              testing::AllOf(testing::SizeIs(1), testing::Not(testing::Contains(hosts[0]))));
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
}

TEST_F(FarmTest, TrackerKilledAndRestartedFindsItsDevicesAndLeasesAgain) {
  StartTracker();
  StartServer("a");
  StartServer("b");
  const auto pool = Connect();
  const auto lease = MustLease(*pool);
  ASSERT_EQ(Summary(Run(*lease, "good")), "ok");
  tracker_->Signal(SIGKILL);
  tracker_->Wait();
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok") << "measuring needs no tracker";
  StartTracker(address_);
  EXPECT_TRUE(EventuallyAre(1, "leased")) << "the holder's device brings its lease back";
  EXPECT_TRUE(EventuallyAre(1, "free"));
  const auto other = MustLease(*pool);
  EXPECT_NE(other->device(), lease->device());
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
  EXPECT_EQ(Summary(Run(*other, "good")), "ok");
}

TEST_F(FarmTest, LocalDeviceNeedsNoFarmAndComesBackByItself) {
  auto pool = StartLocalDevice(*reactor_, {.target = "native", .cores = {}, .client = {"tester"}});
  ASSERT_TRUE(pool.ok()) << pool.status();
  auto lease = MustLease(**pool);
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
  const auto servers = ChildrenNamed(getpid(), "kiln-server");
  ASSERT_EQ(servers.size(), 1u);
  kill(servers[0], SIGKILL);
  EXPECT_THAT(Summary(Run(*lease, "good")), StartsWith("UNAVAILABLE: "));
  lease.reset();
  lease = MustLease(**pool);
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
  lease.reset();
  pool->reset();
  EXPECT_TRUE(ChildrenNamed(getpid(), "kiln-server").empty());
}

TEST_F(FarmTest, LocalDeviceThatDoesNotStartSaysWhy) {
  const auto pool =
      StartLocalDevice(*reactor_, {.target = "nonsense", .cores = {}, .client = {"tester"}});
  ASSERT_FALSE(pool.ok());
  EXPECT_THAT(Message(pool.status()), HasSubstr("nonsense"));
}

TEST_F(FarmTest, ServerWithoutTrackerIsAFarmOfOne) {
  Program server({Path("kiln-server"), "--target", "native", "--name", "alone"});
  address_ = AddressOf(server);
  const auto pool = Connect();
  const auto lease = MustLease(*pool);
  EXPECT_EQ(lease->device(), "alone");
  EXPECT_EQ(Summary(Run(*lease, "good")), "ok");
}

TEST_F(FarmTest, ServersEndInOrderWhenTheyAreAsked) {
  StartTracker();
  Program& server = StartServer("a");
  ASSERT_TRUE(EventuallyAre(1, "free"));
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(), 0);
  EXPECT_TRUE(EventuallyAre(1, "lost"));
  tracker_->Signal(SIGINT);
  EXPECT_EQ(tracker_->Wait(), 0);
}

TEST(FarmProgramsTest, OpenAddressesNeedAnExplicitWish) {
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{Path("kiln-tracker"), "--listen", "0.0.0.0:0"},
        std::vector<std::string>{Path("kiln-server"), "--target", "native", "--listen",
                                 "0.0.0.0:0"}}) {
    Program refused(command);
    EXPECT_EQ(refused.ReadAll(), "");
    EXPECT_EQ(refused.Wait(), 2);
    EXPECT_THAT(refused.Errors(), HasSubstr("without TLS"));
    EXPECT_THAT(refused.Errors(), HasSubstr("--insecure"));

    std::vector<std::string> insecure = command;
    insecure.push_back("--insecure");
    Program allowed(insecure);
    EXPECT_THAT(AddressOf(allowed), StartsWith("0.0.0.0:"));
    allowed.Signal(SIGTERM);
    EXPECT_EQ(allowed.Wait(), 0);
    EXPECT_THAT(allowed.Errors(), HasSubstr("INSECURE"));
  }
}

TEST(FarmProgramsTest, AddressInUseIsOneErrorLine) {
  Program first({Path("kiln-tracker"), "--listen", "127.0.0.1:0"});
  const std::string address = AddressOf(first);
  Program second({Path("kiln-tracker"), "--listen", address});
  EXPECT_EQ(second.Wait(), 1);
  EXPECT_EQ(second.Errors(),
            "kiln-tracker: cannot listen on " + address + ": Address already in use\n");
}

TEST(FarmProgramsTest, HelpHasExamplesAndWrongUseIsStatus2) {
  for (const char* name : {"kiln-tracker", "kiln-server"}) {
    Program help({Path(name), "--help"});
    EXPECT_THAT(help.ReadAll(), HasSubstr("Examples:"));
    EXPECT_EQ(help.Wait(), 0);
    Program version({Path(name), "--version"});
    EXPECT_THAT(version.ReadLine(), StartsWith(std::string(name) + " "));
    EXPECT_EQ(version.Wait(), 0);
    Program wrong({Path(name), "--nonsense", "--target=native"});
    EXPECT_EQ(wrong.Wait(), 2);
    EXPECT_THAT(wrong.Errors(), HasSubstr("--nonsense"));
  }
  Program unknown({Path("kiln-server"), "--target", "nonsense"});
  EXPECT_EQ(unknown.Wait(), 2);
  EXPECT_THAT(unknown.Errors(), HasSubstr("nonsense"));
  Program nameless({Path("kiln-server"), "--target", "native", "--name", "two words"});
  EXPECT_EQ(nameless.Wait(), 2) << "no tracker would ever take it";
  EXPECT_THAT(nameless.Errors(), HasSubstr("two words"));
}

// The same kernel on two processors, of which one has the instruction.
TEST_F(FarmTest, KernelForAnotherProcessorIsRefusedBeforeItRunsAndTheDeviceServesOn) {
  if (!FindProgram("qemu-aarch64").ok() || access(Path("kiln-host-aarch64").c_str(), X_OK) != 0) {
    GTEST_SKIP() << "SKIPPED: no emulated devices without qemu-aarch64 and kiln-host-aarch64 "
                    "(Debian: apt install qemu-user g++-aarch64-linux-gnu)";
  }
  StartTracker();
  StartEmulatedServer("rasp4b", "cortex-a72");
  StartEmulatedServer("pixel6", "cortex-a76");
  const auto pool = Connect();
  const auto lease_of = [&](const char* target) {
    auto lease = pool->Acquire(*FindTarget(target), TimeKind::kEmulated, kPatience);
    EXPECT_TRUE(lease.ok()) << lease.status();
    return *std::move(lease);
  };
  const auto board = lease_of("rasp4b"), phone = lease_of("pixel6");
  const auto run = [&](Lease& lease, const std::string& kernel) {
    return Summary(Run(lease, "aarch64/" + kernel, seconds(60)));
  };
  EXPECT_EQ(run(*board, "dotprod"), "UNSUPPORTED_ISA");
  EXPECT_EQ(run(*board, "good"), "ok");
  EXPECT_EQ(run(*phone, "dotprod"), "ok");
  EXPECT_EQ(Summary(Run(*board, "good")), "BAD_OBJECT") << "a kernel of this machine";
  EXPECT_EQ(run(*board, "good"), "ok");
}

}  // namespace
}  // namespace kiln
