// Devices that are not there: kernels for 64-bit Arm on an x86 machine, by the real programs.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>

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
  ExpectKiln(1, {"bench", "--target", "rasp4b", "--workload", kPointwise});
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

// A farm with devices of three kinds, and three users at once.
TEST_F(EmulationTest, ThreeDevicesAreTunedForSideBySideAndTheirTimesStayApart) {
  RunningProgram tracker(scratch_, {"kiln-tracker", "--listen", "127.0.0.1:0"});
  constexpr std::string_view kListening = "listening on ";
  ASSERT_TRUE(tracker.WaitUntil([&] { return tracker.out().ends_with('\n'); })) << tracker.err();
  std::string address = tracker.out().substr(kListening.size());
  address.pop_back();
  const auto serve = [&](const std::string& target, const std::string& cpu) {
    std::vector<std::string> command = {"kiln-server", "--tracker", address,      "--target",
                                        target,        "--name",    target + "-0"};
    if (!cpu.empty()) command.insert(command.end(), {"--emulator", "qemu-aarch64", "--cpu", cpu});
    return std::make_unique<RunningProgram>(scratch_, command);
  };
  const std::map<std::string, std::string> cpus = {
      {"native", ""}, {"rasp4b", "cortex-a72"}, {"pixel6", "cortex-a76"}};
  std::map<std::string, std::unique_ptr<RunningProgram>> servers, tuners;
  for (const auto& [target, cpu] : cpus) servers[target] = serve(target, cpu);
  const auto devices = [&] {
    std::map<std::string, std::string> kinds;
    for (const auto& line : Lines({"devices", "--tracker", address, "--json"})) {
      kinds[line["name"]] = line["kind"];
    }
    return kinds;
  };
  const std::map<std::string, std::string> kinds = {
      {"native-0", "measured"}, {"rasp4b-0", "emulated"}, {"pixel6-0", "emulated"}};
  ASSERT_TRUE(tracker.WaitUntil([&] { return devices() == kinds; }));

  for (const auto& [target, cpu] : cpus) {
    tuners[target] = std::make_unique<RunningProgram>(
        scratch_, std::vector<std::string>{"kiln", "tune", "--tracker", address, "--target", target,
                                           "--workload", kPointwise, "--trials", "8"});
  }
  for (const auto& [target, tuner] : tuners) {
    const Outcome outcome = tuner->Wait();
    EXPECT_EQ(outcome.status, 0) << target << ": " << outcome.err;
  }
  for (const auto& [target, cpu] : cpus) {
    const std::string device = target + "-0";
    for (const char* what : {"history", "best"}) {
      const auto lines = Lines({what, "--target", target, "--workload", kPointwise, "--json"});
      EXPECT_EQ(lines.size(), std::string(what) == "best" ? 1u : 8u) << target;
      for (const auto& line : lines) {
        EXPECT_EQ(line["device"], device);
        EXPECT_EQ(line["kind"], kinds.at(device)) << line;
      }
    }
  }
}

}  // namespace
}  // namespace kiln
