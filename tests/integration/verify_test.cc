// Templates, packing, requantizing, the whole way to the device: every generated kernel gives the
// reference's bytes, for odd shapes, all data types and the instruction sets that this machine has.

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr std::chrono::seconds kLong{300};

// The workloads of odd_workloads.txt by template: "conv2d", "depthwise", "dense".
std::map<std::string, std::vector<std::string>> OddWorkloads() {
  std::map<std::string, std::vector<std::string>> workloads;
  std::ifstream file(KILN_SOURCE_DIR "/tests/integration/odd_workloads.txt");
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') {
      workloads[line.substr(0, line.find('/'))].push_back(line);
    }
  }
  return workloads;
}

struct Case {
  std::string op, target;
};

class OddWorkloadsTest : public KilnTest, public testing::WithParamInterface<Case> {};

TEST_P(OddWorkloadsTest, AreBitExact) {
  const auto& [op, target] = GetParam();
  for (const auto& line : JsonLines(ExpectKiln(0, {"targets", "--json"}).out)) {
    if (line["name"] == target && line["runs_here"] == false) {
      GTEST_SKIP() << "SKIPPED: this processor does not run " << target;
    }
  }
  const std::vector<std::string> workloads = OddWorkloads()[op];
  ASSERT_GT(workloads.size(), 20u);
  std::vector<std::string> command{"verify",    "--json", "--target",  target,
                                   "--samples", "1",      "--workload"};
  command.insert(command.end(), workloads.begin(), workloads.end());
  const Outcome outcome = ExpectKiln(0, command, kLong);
  std::size_t verified = 0;
  for (const auto& line : JsonLines(outcome.out)) {
    if (!line.contains("workload")) continue;
    ++verified;
    EXPECT_EQ(line["wrong"], 0) << line;
    EXPECT_EQ(line["failed"], 0) << line;
    EXPECT_GE(line["configs"], 1) << line;
  }
  EXPECT_EQ(verified, workloads.size());
}

INSTANTIATE_TEST_SUITE_P(All, OddWorkloadsTest,
                         testing::Values(Case{"conv2d", "native"}, Case{"conv2d", "x86-64-v3"},
                                         Case{"conv2d", "x86-64"}, Case{"conv2d", "alderlake"},
                                         Case{"depthwise", "native"},
                                         Case{"depthwise", "x86-64-v3"},
                                         Case{"depthwise", "x86-64"},
                                         Case{"depthwise", "alderlake"}, Case{"dense", "native"},
                                         Case{"dense", "x86-64-v3"}, Case{"dense", "x86-64"},
                                         Case{"dense", "alderlake"}),
                         [](const auto& param_info) {
                           std::string name = param_info.param.op + "_" + param_info.param.target;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

class VerifyTest : public KilnTest {
 protected:
  static std::string Shared(const std::string& path) {
    const char* set = std::getenv("KILN_SHARED");
    return (set != nullptr ? set : std::string(KILN_SOURCE_DIR "/../shared")) + "/" + path;
  }
};

TEST_F(VerifyTest, ThreadsDoNotChangeTheBytes) {
  const Outcome outcome = ExpectKiln(
      0, {"verify", "--threads", "2", "--samples", "4", "--workload",
          "conv2d/i8/n1h11w10c5/o9/k3x3/s1x1/p2,2,2,2/d2x2/g1/pc/wz0/act=lohi/rq=int9/double",
          "depthwise/i8/n1h9w7c5/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
          "dense/i8/n2c33/o17/pc/wz0/act=lo/rq=int7/double"});
  EXPECT_THAT(outcome.out, HasSubstr("2 threads: all bit-exact"));
}

// The template of fated_kiln.cc has a config for each of these fates.
TEST_F(VerifyTest, WrongAndFailedConfigsAreToldApart) {
  const std::string workload = "dense/i8/n2c33/o17/pc/wz0/act=lo/rq=int7/double";
  const Outcome json = RunProgram(
      scratch_, {"fated_kiln", "verify", "--json", "--samples", "10", "--workload", workload});
  EXPECT_EQ(json.status, 1) << json.err;
  const auto lines = JsonLines(json.out);
  ASSERT_THAT(lines, testing::SizeIs(2));
  for (const auto& line : lines) {
    EXPECT_EQ(line["configs"], 5) << line;
    EXPECT_EQ(line["wrong"], 1) << line;
    EXPECT_EQ(line["failed"], 3) << line;
  }
  EXPECT_THAT(lines[0]["failures"].get<std::vector<std::string>>(),
              testing::UnorderedElementsAre(
                  AllOf(HasSubstr("WRONG_RESULT (verify)"), HasSubstr("fate=wrong")),
                  AllOf(HasSubstr("RUNTIME_ERROR (run)"), HasSubstr("fate=crashes")),
                  AllOf(HasSubstr("COMPILE_ERROR (compile)"), HasSubstr("fate=not_compiled")),
                  AllOf(HasSubstr("INVALID_CONFIG (lower)"), HasSubstr("fate=not_lowered"))));

  const Outcome table =
      RunProgram(scratch_, {"fated_kiln", "verify", "--samples", "10", "--workload", workload});
  EXPECT_EQ(table.status, 1);
  EXPECT_THAT(table.out, AllOf(testing::StartsWith("WRONG  "), HasSubstr(": 1 WRONG, 3 FAILED\n")));
}

TEST_F(VerifyTest, LayerWithoutATemplateIsSaidAndDoesNotEndTheOthers) {
  // `fated_kiln` has a template for dense layers alone.
  const std::string conv =
      "conv2d/i8/n1h9w9c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
  const std::string dense = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
  const auto run = [&](std::vector<std::string> command) {
    command.insert(command.begin(), "fated_kiln");
    return RunProgram(scratch_, command);
  };
  const Outcome verified = run({"verify", "--samples", "0", "--workload", conv, dense});
  EXPECT_EQ(verified.status, 1) << "as tune does";
  EXPECT_THAT(verified.out,
              AllOf(HasSubstr("not verified: "), HasSubstr("no template computes " + conv),
                    HasSubstr("1 configs of 1 workloads"), HasSubstr("all bit-exact")));
  EXPECT_THAT(run({"verify", "--samples", "0", "--workload", conv}).out,
              HasSubstr("nothing verified"));

  const Outcome listed = run({"workloads", "--workload", conv, dense});
  EXPECT_EQ(listed.status, 0);
  EXPECT_THAT(listed.out, HasSubstr("not tuned: no template computes " + conv));
  const auto lines = JsonLines(run({"workloads", "--json", "--workload", conv, dense}).out);
  ASSERT_THAT(lines, testing::SizeIs(2));
  EXPECT_TRUE(lines[0]["template"].is_null());
  EXPECT_EQ(lines[1]["template"], "dense.fated");
}

// The small networks that every clone has, one per type of models.
TEST_F(VerifyTest, TinyModelsAreBitExact) {
  for (const std::string name : {"tiny_int8_per_channel", "tiny_int8_per_tensor", "tiny_uint8"}) {
    const std::string model = std::string(KILN_SOURCE_DIR "/tests/data/models/") + name;
    const std::vector<std::string> command = {
        "verify", "--samples", "1", "--model", model + ".tflite", "--golden", model + ".golden"};
    const Outcome outcome = ExpectKiln(0, command, kLong);
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("of 5 layers"), HasSubstr("all bit-exact")));
  }
}

// That template has one knob, so its pairs are its five labels, each with itself.
TEST_F(VerifyTest, PairsSayWhatTheyCover) {
  const auto lines_of = [this](std::vector<std::string> options) {
    std::vector<std::string> command{"fated_kiln", "verify", "--json"};
    command.insert(command.end(), options.begin(), options.end());
    command.insert(command.end(),
                   {"--workload", "dense/i8/n2c33/o17/pc/wz0/act=lo/rq=int7/double"});
    return JsonLines(RunProgram(scratch_, command).out);
  };
  const auto all = lines_of({"--pairs", "9"}).at(0);
  EXPECT_EQ(all["configs"], 5) << all;
  EXPECT_EQ(all["pairs"]["all"], 5) << all;
  EXPECT_EQ(all["pairs"]["covered"], 5) << all;
  const auto some = lines_of({"--pairs", "2", "--seed", "7"}).at(0);
  EXPECT_EQ(some["pairs"]["covered"], 2) << some;
  EXPECT_EQ(some["pairs"]["left"].size(), 3u) << some;
  EXPECT_TRUE(lines_of({"--samples", "1"}).at(0)["pairs"].is_null());

  const auto one = lines_of({"--config", "fate=wrong"}).at(0);
  EXPECT_EQ(one["configs"], 1) << one;
  EXPECT_EQ(one["wrong"], 1) << one;
}

TEST_F(VerifyTest, RecordedModelsAreBitExact) {
  for (const std::string name : {"resnet8_cifar_int8", "toycar_ad01_int8"}) {
    const std::string model = Shared("models/" + name + ".tflite");
    if (!std::filesystem::exists(model)) {
      GTEST_SKIP() << "SKIPPED: no " << model << " (KILN_SHARED): real models are not checked";
    }
    const Outcome outcome = ExpectKiln(
        0, {"verify", "--samples", "1", "--model", model, "--golden", Shared("golden/" + name)},
        kLong);
    EXPECT_THAT(outcome.out, HasSubstr("all bit-exact"));
    EXPECT_THAT(outcome.out, testing::Not(HasSubstr("WRONG")));
  }
}

}  // namespace
}  // namespace kiln
