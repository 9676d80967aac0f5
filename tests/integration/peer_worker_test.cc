// Kiln's kernels beside other libraries': the worker that speaks the peers' line protocol, and the
// script that asks several of them in turn.

#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/integration/programs.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kLayers[] =
    "name,h,w,ic,oc,kh,kw,stride,pad,groups,small_net,brief,act\n"
    "conv,9,9,8,16,3,3,1,1,1,2,0,lo\n"
    "dw,14,14,24,24,3,3,1,1,24,1,0,lo\n";

constexpr char kWorker[] = "benchmarks/kiln_peer_worker";

class PeerWorkerTest : public KilnTest {
 protected:
  void SetUp() override {
    layers_ = scratch_.Write("layers.csv", kLayers);
    ExpectKiln(0, {"tune", "--layers", layers_, "--trials-per-task", "4", "--db", db_});
  }

  // What it answers to the commands, the hello line first.
  std::vector<std::string> Ask(const std::string& commands, std::vector<std::string> more = {},
                               int threads = 1) {
    std::vector<std::string> command{kWorker, layers_, std::to_string(threads), "--db", db_};
    command.insert(command.end(), more.begin(), more.end());
    const Outcome outcome =
        RunProgram(scratch_, command, kPatience, {.in = scratch_.Write("commands", commands)});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::vector<std::string> lines;
    std::istringstream text(outcome.out);
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }

  std::string layers_;
  const std::string db_ = scratch_.Path("list.db");
};

TEST_F(PeerWorkerTest, TimesAndChecksTheStoredConfigs) {
  const auto lines = Ask("check 0\nrun 0 2\ncheck 1\nrun 1 2\ninfo 1\nquit\n");
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_THAT(lines[0],
              AllOf(StartsWith("hello kiln "), HasSubstr("stored configs for 2 of 2 layers"),
                    HasSubstr("GOP/s"), Not(HasSubstr("default"))));
  EXPECT_EQ(lines[1], "ok maxdiff 0 differing 0 of 2592");  // 9 * 9 * 16 of two data sets
  EXPECT_EQ(lines[3], "ok maxdiff 0 differing 0 of 9408");
  for (const int run : {2, 4}) {
    std::istringstream words(lines[static_cast<std::size_t>(run)]);
    std::string ok;
    double min_us = 0, median_us = 0;
    std::size_t calls = 0;
    ASSERT_TRUE(words >> ok >> min_us >> median_us >> calls) << lines[run];
    EXPECT_EQ(ok, "ok");
    EXPECT_GT(min_us, 0);
    EXPECT_GE(median_us, min_us);
    EXPECT_GE(calls, 3u);
  }
  EXPECT_THAT(lines[5], AllOf(StartsWith("ok stored "), HasSubstr("depthwise/i8/n1h14w14c24")));
}

TEST_F(PeerWorkerTest, SaysWhichLayersHaveTheDefaultOnly) {
  const auto lines = Ask("check 0\ninfo 0\nquit\n", {"--act", "none", "--type", "u8s8"});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], AllOf(HasSubstr("stored configs for 0 of 2 layers"),
                              HasSubstr("untuned default for conv dw")));
  EXPECT_EQ(lines[1], "ok maxdiff 0 differing 0 of 2592");
  EXPECT_THAT(lines[2],
              AllOf(StartsWith("ok default "), HasSubstr("/u8s8/"), HasSubstr("act=none")));
}

TEST_F(PeerWorkerTest, ThreadsGiveTheSameBytes) {
  const auto lines = Ask("check 0\ncheck 1\nrun 1 2\nquit\n", {}, 3);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[0], HasSubstr("threads 3: stored configs for 0 of 2 layers"));
  EXPECT_THAT(lines[1], StartsWith("ok maxdiff 0 "));
  EXPECT_THAT(lines[2], StartsWith("ok maxdiff 0 "));
  EXPECT_THAT(lines[3], StartsWith("ok "));
}

TEST_F(PeerWorkerTest, AnswersMistakesAndGoesOn) {
  const auto lines = Ask("run 2 1\nrun\nrun x 1\nsing 0\ncheck 1\n");
  ASSERT_EQ(lines.size(), 6u);
  for (const int mistake : {1, 2, 3}) {
    EXPECT_EQ(lines[static_cast<std::size_t>(mistake)], "err no such layer: there are 2");
  }
  EXPECT_EQ(lines[4], "err unknown command `sing`");
  EXPECT_THAT(lines[5], StartsWith("ok maxdiff 0 "));
}

TEST_F(PeerWorkerTest, WithoutADatabaseItSaysSo) {
  const Outcome outcome =
      RunProgram(scratch_, {kWorker, layers_, "1", "--db", scratch_.Path("none.db")});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("none.db"));
}

class ComparePeersTest : public PeerWorkerTest {
 protected:
  Outcome Compare(const std::string& peers) const {
    return RunProgram(scratch_, {KILN_SOURCE_DIR "/scripts/compare_peers", layers_, "--peers",
                                 peers, "--db", db_, "--threads", "1", "--rounds", "2", "--ms", "1",
                                 "--build", BuildDirectory(), "--out", scratch_.Path("out.csv")});
  }

  // The test lies in bin/tests of it.
  static std::string BuildDirectory() {
    char path[4096] = "";
    const auto bytes = readlink("/proc/self/exe", path, sizeof path - 1);
    const std::string self(path, bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    return self.substr(0, self.find("/bin/tests"));
  }
};

TEST_F(ComparePeersTest, PrintsRatiosToTheFastestPeerThatHasZeroPoints) {
  const std::string peers = scratch_.Write("peers.json", R"([
    {"peer": "slow", "cmd": ["sh", "-c", "echo hello; while read w; do echo ok 2000000 2000001 3; done"]},
    {"peer": "fast", "cmd": ["sh", "-c", "echo hello; while read w; do echo ok 1000000 1000001 3; done"]},
    {"peer": "fast-nozp", "cmd": ["sh", "-c", "echo hello; while read w; do echo ok 1 1 3; done"]},
    {"peer": "net", "layers": "nets.csv", "cmd": ["no-such-program"]},
    {"peer": "fast-f32", "cmd": ["sh", "-c", "echo hello; while read w; do echo ok 4000000 4000001 3; done"]}])");
  const Outcome outcome = Compare(peers);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\nconv"));
  EXPECT_THAT(outcome.out, HasSubstr("1000000.00 fast"));
  // Two convolutions and a depthwise, a second each.
  EXPECT_THAT(outcome.out, HasSubstr("the fastest peer of each layer 3000.000 ms"));
  EXPECT_THAT(outcome.out, HasSubstr("f32 12000.000 ms"));
  EXPECT_THAT(outcome.out, HasSubstr("depthwise layers against the fastest peer"));

  std::ifstream saved(scratch_.Path("out.csv"));
  const std::string csv{std::istreambuf_iterator<char>(saved), {}};
  EXPECT_THAT(csv, StartsWith("layer,threads,kiln_us,"));
  EXPECT_THAT(csv, HasSubstr("\ndw,1,"));
}

TEST_F(ComparePeersTest, WithoutTheHarnessItSaysWhatIsMissing) {
  const Outcome outcome = Compare(scratch_.Path("none.json"));
  EXPECT_EQ(outcome.status, 2);
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("none.json"), HasSubstr("peers' harness")));
}

}  // namespace
}  // namespace kiln
