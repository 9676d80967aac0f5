// `kiln tune --estimate` for a board that is not here, with the real programs. Skips where there is
// no emulator, or no cross compiler had built the program for it.

#include <gmock/gmock.h>
#include <unistd.h>

#include "base/paths.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr char kConv[] =
    "conv2d/i8/n1h6w6c16/o16/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double";

class EstimateTest : public KilnTest {
 protected:
  void SetUp() override {
    for (const Status& missing :
         {FindProgram("qemu-aarch64").status(), FindHelper("kiln-count-host-aarch64").status(),
          FindHelper("kiln-count-plugin.so").status()}) {
      if (!missing.ok()) GTEST_SKIP() << "NOTHING IS ESTIMATED FOR ARM: " << Message(missing);
    }
  }
  Outcome Estimate(int status, std::vector<std::string> more = {}) const {
    std::vector<std::string> command{"tune",   "--workload", kConv,    "--target",
                                     "rasp4b", "--estimate", "--json", "--trials-per-task",
                                     "6"};
    command.insert(command.end(), more.begin(), more.end());
    return ExpectKiln(status, command);
  }
  std::vector<nlohmann::json> Ask(std::vector<std::string> command) const {
    command.insert(command.end(), {"--workload", kConv, "--target", "rasp4b", "--json"});
    return JsonLines(ExpectKiln(0, command).out);
  }
};

TEST_F(EstimateTest, TunesForABoardThatIsNotHereAndSaysSoEverywhere) {
  const Outcome outcome = Estimate(0);
  EXPECT_THAT(outcome.err, HasSubstr("estimated"));
  const auto lines = JsonLines(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["trials"], 6);
  EXPECT_EQ(lines[0]["ok"], 6) << outcome.out;
  EXPECT_EQ(lines[0]["kind"], "estimated");
  EXPECT_EQ(lines[1]["kind"], "estimated");
  EXPECT_FALSE(lines[1].contains("peak_gops"));
  // 9216 products; a core of 1.5 GHz that computes at most 16 a cycle.
  EXPECT_GT(lines[0]["min_ns"], 9216 / 16 / 1.5);
  EXPECT_LT(lines[0]["min_ns"], 9216 * 20 / 1.5);

  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  EXPECT_EQ(ReadTrials(scratch_.database()).size(), 6u);
  for (const auto& trial : Ask({"history"})) {
    EXPECT_EQ(trial["kind"], "estimated");
    EXPECT_EQ(trial["device"], "model:cortex-a72@1.5GHz");
  }
  const auto bests = Ask({"best"});
  ASSERT_EQ(bests.size(), 1u);
  EXPECT_EQ(bests[0]["kind"], "estimated");
  EXPECT_EQ(bests[0]["min_ns"], lines[0]["min_ns"]);
  EXPECT_EQ(bests[0]["confirmed"], false);
  EXPECT_TRUE(bests[0]["peak_share"].is_null());
  EXPECT_THAT(ExpectKiln(0, {"best", "--workload", kConv, "--target", "rasp4b"}).out,
              HasSubstr("estimated"));

  // What is stored is not made again.
  const auto again = JsonLines(Estimate(0).out);
  EXPECT_EQ(again[0]["resumed"], 6);
  EXPECT_EQ(again[0]["min_ns"], lines[0]["min_ns"]);
}

TEST_F(EstimateTest, RefusesWhatOneCoreWithoutCachesCannotTell) {
  for (const auto& [more, wish] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"--threads", "2"}, "--threads 1"},
           {{"--cache", "cold"}, "--cache hot"},
           {{"--tracker", "127.0.0.1:1"}, "no --tracker"}}) {
    const Outcome refused = Estimate(2, more);
    EXPECT_THAT(refused.err, HasSubstr(wish));
    EXPECT_TRUE(IsOneLine(refused.err)) << refused.err;
  }
  EXPECT_THAT(ExpectKiln(2, {"tune", "--workload", kConv, "--target", "x86-64", "--estimate"}).err,
              HasSubstr("\"estimate\""));
}

}  // namespace
}  // namespace kiln
