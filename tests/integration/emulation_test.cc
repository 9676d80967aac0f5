// Devices that are not there: kernels for 64-bit Arm on an x86 machine, by the real programs.

#include <gmock/gmock.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>

#include "base/paths.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"

namespace kiln {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr char kPointwise[] =
    "conv2d/i8/n1h4w4c16/o16/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double";

int Count(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

class EmulationTest : public KilnTest {
 protected:
  void SetUp() override {
    if (!FindProgram("qemu-aarch64").ok() || !FindHelper("kiln-host-aarch64").ok()) {
      GTEST_SKIP() << "SKIPPED: no qemu-aarch64, or no compiler to build kiln-host-aarch64 with "
                      "(Debian: apt install qemu-user g++-aarch64-linux-gnu)";
    }
  }
  std::vector<nlohmann::json> Lines(const std::vector<std::string>& command) const {
    return JsonLines(ExpectKiln(0, command).out);
  }
};

TEST_F(EmulationTest, TargetsOfAnotherArchitectureAreVerifiedHere) {
  for (const char* target : {"rasp4b", "pixel6"}) {
    const Outcome outcome =
        ExpectKiln(0, {"verify", "--target", target, "--workload", kPointwise, "--samples", "3"});
    EXPECT_THAT(outcome.out, HasSubstr(std::string("on ") + target + ", 1 thread: all bit-exact"));
    EXPECT_EQ(Count(outcome.err, "emulated:"), 1) << outcome.err;
  }
}

TEST_F(EmulationTest, TunedTimesAreMarkedWhereverTheyAreShown) {
  const Outcome tuned = ExpectKiln(
      0, {"tune", "--target", "rasp4b", "--workload", kPointwise, "--trials", "6", "--json"});
  for (const auto& line : JsonLines(tuned.out)) EXPECT_EQ(line["kind"], "emulated");
  EXPECT_THAT(tuned.out, Not(HasSubstr("peak")));
  EXPECT_EQ(Count(tuned.err, "emulated:"), 1) << tuned.err;

  const std::vector<std::string> best = {"best", "--target", "rasp4b", "--workload", kPointwise};
  EXPECT_THAT(ExpectKiln(0, best).out, HasSubstr(", emulated"));
  std::vector<std::string> best_json = best;
  best_json.push_back("--json");
  const auto bests = Lines(best_json);
  ASSERT_EQ(bests.size(), 1u);
  EXPECT_EQ(bests[0]["kind"], "emulated");
  EXPECT_TRUE(bests[0]["peak_share"].is_null());
  const std::vector<std::string> history = {"history", "--target", "rasp4b", "--workload",
                                            kPointwise};
  EXPECT_THAT(ExpectKiln(0, history).out, ContainsRegex("ok +emulated"));
  std::vector<std::string> history_json = history;
  history_json.push_back("--json");
  const auto trials = Lines(history_json);
  EXPECT_EQ(trials.size(), 6u);
  for (const auto& trial : trials) EXPECT_EQ(trial["kind"], "emulated");

  const Outcome again =
      ExpectKiln(0, {"tune", "--target", "rasp4b", "--workload", kPointwise, "--trials", "6"});
  EXPECT_THAT(again.out, HasSubstr("tuned us (emulated)"));
  EXPECT_THAT(again.out, HasSubstr("6 of them stored before"));
  EXPECT_THAT(ExpectKiln(1, {"bench", "--target", "rasp4b", "--workload", kPointwise}).err,
              HasSubstr("bench needs a device"));
}

TEST_F(EmulationTest, MissingEmulatorIsOneErrorThatNamesThePackage) {
  const std::string path = std::getenv("PATH");
  setenv("PATH", "/nowhere", 1);
  const Outcome outcome =
      ExpectKiln(1, {"verify", "--target", "pixel6", "--workload", kPointwise, "--samples", "1"});
  setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("apt install qemu-user"));
}

TEST_F(EmulationTest, TargetThatTheEmulatedProcessorCannotServeIsRefused) {
  const std::string target = scratch_.Write("board.json", R"({"summary": "x", "arch": "aarch64",
    "cpu": "cortex-a76", "emulated_cpu": "cortex-a72", "isa": ["neon", "dotprod"], "cores": 4,
    "l1_kib": 32, "l2_kib": 1024, "l3_kib": 0, "workspace_kib": 1024})");
  const Outcome outcome = ExpectKiln(1, {"verify", "--target", target, "--workload", kPointwise});
  EXPECT_THAT(outcome.err, HasSubstr("it lacks dotprod; --cpu names another processor"));
}

// A tracker with devices, of which each may be an emulated one.
class EmulatedFarmTest : public EmulationTest {
 protected:
  void SetUp() override {
    EmulationTest::SetUp();
    if (IsSkipped()) return;
    tracker_.emplace(scratch_, std::vector<std::string>{"kiln-tracker", "--listen", "127.0.0.1:0"});
    address_ = tracker_->Address();
    ASSERT_FALSE(address_.empty());
  }

  // `emulator`: a program and the processor that it emulates; empty: a device of this machine.
  void Serve(const std::string& name, const std::string& target,
             const std::vector<std::string>& emulator) {
    std::vector<std::string> command = {"kiln-server", "--tracker", address_, "--target",
                                        target,        "--name",    name};
    if (!emulator.empty()) {
      command.insert(command.end(), {"--emulator", emulator[0], "--cpu", emulator[1]});
    }
    servers_[name] = std::make_unique<RunningProgram>(scratch_, command);
  }
  // What the tracker says of each device: its name, and a field.
  std::map<std::string, std::string> Devices(const std::string& field) const {
    std::map<std::string, std::string> devices;
    for (const auto& line : Lines({"devices", "--tracker", address_, "--json"})) {
      devices[line["name"]] = line[field];
    }
    return devices;
  }
  std::vector<std::string> TuneCommand(const std::string& target) const {
    return {"kiln", "tune",       "--tracker", address_,   "--target",
            target, "--workload", kPointwise,  "--trials", "8"};
  }
  std::vector<nlohmann::json> Shown(const std::string& what, const std::string& target) const {
    return Lines({what, "--target", target, "--workload", kPointwise, "--json"});
  }

  std::optional<RunningProgram> tracker_;
  std::string address_;
  std::map<std::string, std::unique_ptr<RunningProgram>> servers_;
};

// Three targets, and three users at once.
TEST_F(EmulatedFarmTest, ThreeDevicesAreTunedForSideBySideAndTheirTimesStayApart) {
  Serve("real", "native", {});
  Serve("board", "rasp4b", {"qemu-aarch64", "cortex-a72"});
  Serve("phone", "pixel6", {"qemu-aarch64", "cortex-a76"});
  const std::map<std::string, std::string> kinds = {
      {"real", "measured"}, {"board", "emulated"}, {"phone", "emulated"}};
  ASSERT_TRUE(tracker_->WaitUntil([&] { return Devices("kind") == kinds; }));
  const std::map<std::string, std::string> targets = Devices("target");
  std::map<std::string, std::unique_ptr<RunningProgram>> tuners;
  for (const auto& [device, target] : targets) {
    tuners[device] = std::make_unique<RunningProgram>(scratch_, TuneCommand(target));
  }
  for (const auto& [device, tuner] : tuners) {
    const Outcome outcome = tuner->Wait();
    EXPECT_EQ(outcome.status, 0) << device << ": " << outcome.err;
  }
  for (const auto& [device, target] : targets) {
    EXPECT_EQ(Shown("history", target).size(), 8u);
    EXPECT_EQ(Shown("best", target).size(), 1u);
    for (const char* what : {"history", "best"}) {
      for (const auto& line : Shown(what, target)) {
        EXPECT_EQ(line["device"], device);
        EXPECT_EQ(line["kind"], kinds.at(device)) << line;
      }
    }
  }
}

// One target, two devices that serve it: one user of both has measured times only, while there are
// any; emulated ones begin anew and never win.
TEST_F(EmulatedFarmTest, ATargetsEmulatedDeviceIsNoSubstituteForOneThatMeasures) {
#if !defined(__x86_64__)
  GTEST_SKIP() << "SKIPPED: this machine does not measure for x86-64";
#endif
  if (!FindProgram("qemu-x86_64").ok()) GTEST_SKIP() << "SKIPPED: qemu-x86_64 is not installed";
  Serve("real", "x86-64", {});
  Serve("qemu", "x86-64", {"qemu-x86_64", "max"});
  ASSERT_TRUE(tracker_->WaitUntil([&] { return Devices("kind").size() == 2; }));
  const Outcome measured = RunProgram(scratch_, TuneCommand("x86-64"));
  ASSERT_EQ(measured.status, 0) << measured.err;
  EXPECT_THAT(measured.out, Not(HasSubstr("emulated")));
  for (const auto& line : Shown("history", "x86-64")) EXPECT_EQ(line["device"], "real");
  const nlohmann::json best = Shown("best", "x86-64").at(0);

  servers_["real"]->Signal(SIGTERM);
  servers_["real"]->Wait();
  ASSERT_TRUE(tracker_->WaitUntil([&] { return Devices("state")["real"] == "lost"; }));
  const Outcome emulated = RunProgram(scratch_, TuneCommand("x86-64"));
  ASSERT_EQ(emulated.status, 0) << emulated.err;
  EXPECT_THAT(emulated.out, HasSubstr("times are emulated"));
  EXPECT_THAT(emulated.out, Not(HasSubstr("stored before"))) << "measured trials do not count";
  std::map<std::string, int> trials;
  for (const auto& line : Shown("history", "x86-64")) {
    ++trials[line["device"].get<std::string>() + " " + line["kind"].get<std::string>()];
  }
  EXPECT_EQ(trials, (std::map<std::string, int>{{"real measured", 8}, {"qemu emulated", 8}}));
  const nlohmann::json after = Shown("best", "x86-64").at(0);
  EXPECT_EQ(after["kind"], "measured");
  EXPECT_EQ(after["config_id"], best["config_id"]);
  EXPECT_EQ(after["min_ns"], best["min_ns"]);
}

}  // namespace
}  // namespace kiln
