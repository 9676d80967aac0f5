// `kiln tune` on this machine, and what the store then answers.

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

using testing::HasSubstr;

constexpr char kConv[] =
    "conv2d/i8/n1h9w9c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kDepthwise[] =
    "depthwise/i8/n1h14w14c24/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double";
constexpr char kDense[] = "dense/i8/n1c100/o30/pc/wz0/act=none/rq=int9/double";

class TuneTest : public KilnTest {
 protected:
  Outcome Tune(int trials_per_task, std::vector<std::string> more = {}) const {
    std::vector<std::string> command{"tune",
                                     "--workload",
                                     kConv,
                                     kDepthwise,
                                     kDense,
                                     "--trials-per-task",
                                     std::to_string(trials_per_task),
                                     "--json"};
    command.insert(command.end(), more.begin(), more.end());
    return ExpectKiln(0, command);
  }
};

// The lines of tasks, without the last one, which is about the network.
std::vector<nlohmann::json> TaskLines(const Outcome& outcome) {
  std::vector<nlohmann::json> lines = JsonLines(outcome.out);
  EXPECT_FALSE(lines.empty());
  if (lines.empty()) return lines;
  EXPECT_EQ(lines.back()["network"], "workloads");
  lines.pop_back();
  return lines;
}

TEST_F(TuneTest, StoresItsTrialsAndConfirmsTheBest) {
  const auto tasks = TaskLines(Tune(12));
  ASSERT_EQ(tasks.size(), 3u);
  for (const auto& task : tasks) {
    EXPECT_EQ(task["trials"], 12) << task;
    EXPECT_EQ(task["resumed"], 0) << task;
    EXPECT_EQ(task["failed"], 0) << task;
    EXPECT_GT(task["default_ns"], 0) << task;
  }
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  const auto stored = ReadTrials(scratch_.database());
  EXPECT_EQ(stored.size(), 36u);
  EXPECT_TRUE(AreDistinctAndInOrder(stored));
  for (const StoredTrial& trial : stored) {
    EXPECT_THAT(trial.status, testing::AnyOf("ok", "censored"));
  }

  std::set<std::string> workloads;
  for (const auto& best : JsonLines(ExpectKiln(0, {"best", "--all", "--json"}).out)) {
    for (const char* field : {"workload", "target", "threads", "cache", "template", "config",
                              "config_id", "min_ns", "median_ns", "gops", "peak_share", "samples",
                              "trials", "device", "measured_at", "origin", "kind", "stale"}) {
      EXPECT_TRUE(best.contains(field)) << field;
    }
    workloads.insert(best["workload"]);
    EXPECT_EQ(best["kind"], "measured");
    EXPECT_EQ(best["origin"], "tuned");
    EXPECT_EQ(best["confirmed"], true);
    EXPECT_EQ(best["stale"], false);
    EXPECT_EQ(best["threads"], 1);
    EXPECT_EQ(best["cache"], "hot");
    EXPECT_EQ(best["trials"], 12);
    EXPECT_GE(best["median_ns"], best["min_ns"]);
    EXPECT_GT(best["peak_share"], 0);
    EXPECT_LE(best["peak_share"], 1.05) << "faster than the measured peak";
  }
  EXPECT_EQ(workloads, (std::set<std::string>{kConv, kDepthwise, kDense}));
}

// The template of fated_kiln.cc, one of whose configs does nothing and is wrong.
TEST_F(TuneTest, WrongConfigIsNeverTheBestThoughItIsTheFastest) {
  for (int again = 0; again < 2; ++again) {
    const Outcome outcome = RunProgram(
        scratch_, {"fated_kiln", "tune", "--json", "--trials", "5", "--workload", kDense});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const auto tasks = TaskLines(outcome);
    ASSERT_EQ(tasks.size(), 1u);
    EXPECT_EQ(tasks[0]["failed"], 4) << tasks[0];
    const Outcome best =
        RunProgram(scratch_, {"fated_kiln", "best", "--json", "--workload", kDense});
    EXPECT_EQ(best.status, 0) << best.err;
    const auto lines = JsonLines(best.out);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_EQ(lines[0]["config"]["fate"], "right") << lines[0];
  }
}

// Tunes until the disk is full, makes room and goes on; takes the database to where it can be read.
constexpr char kUntilFull[] = R"(
kiln=$1 disk=$2 workload=$3 result=$4
tune() { "$kiln" tune --db "$disk/t.db" --policy random --json --workload "$workload" --trials $1; }
head -c 600k /dev/zero > "$disk/ballast"
tune 100000 && exit 3
rm "$disk/ballast"
tune 1 || exit 4
cp "$disk/t.db" "$result"
)";

TEST_F(TuneTest, FullDiskIsOneErrorAndLeavesNothingHalfWritten) {
  const std::string disk = scratch_.Path("disk");
  std::filesystem::create_directory(disk);
  const Outcome outcome =
      RunProgram(scratch_, {"on_small_disk", disk, "1m", "sh", "-c", kUntilFull, "sh",
                            ProgramPath("kiln"), disk, kConv, scratch_.database()});
  if (outcome.status == 77) GTEST_SKIP() << "SKIPPED: this system allows no mount namespace";
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const std::size_t error = outcome.err.find("kiln: the disk is full: ");
  ASSERT_NE(error, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("kiln: ", error + 1), std::string::npos) << "one error";
  const auto lines = JsonLines(outcome.out);
  ASSERT_EQ(lines.size(), 3u) << outcome.out;
  EXPECT_THAT(lines[0]["short"].get<std::string>(), HasSubstr("the disk is full"));
  EXPECT_EQ(lines[1]["resumed"], lines[0]["new_trials"]) << "all that it had said, and no more";
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  const auto stored = ReadTrials(scratch_.database());
  EXPECT_EQ(stored.size(), lines[0]["new_trials"].get<std::size_t>());
  EXPECT_TRUE(AreDistinctAndInOrder(stored));
}

TEST_F(TuneTest, HistoryHasEveryTrialAndABestThatOnlyFalls) {
  Tune(12);
  const auto lines = JsonLines(ExpectKiln(0, {"history", "--workload", kConv, "--json"}).out);
  ASSERT_EQ(lines.size(), 12u);
  double best = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    EXPECT_EQ(lines[i]["seq"], i + 1);
    if (!lines[i].contains("best_ns")) continue;
    const double now = lines[i]["best_ns"];
    EXPECT_TRUE(best == 0 || now <= best);
    best = now;
  }
  EXPECT_GT(best, 0);
  EXPECT_THAT(ExpectKiln(0, {"history", "--workload", kConv}).out, HasSubstr("<- best so far"));
}

// Databases of several machines merge: each calls its own processor `native`.
TEST_F(TuneTest, ResultsOfAnotherMachineAreFoundByItsTargetsName) {
  ExpectKiln(0, {"tune", "--workload", kDense, "--trials", "2"});
  SQLite::Database(scratch_.database(), SQLite::OPEN_READWRITE)
      .exec("UPDATE tasks SET target = 'emeraldrapids-avx512vnni'");
  for (const char* command : {"best", "history"}) {
    const auto ask = [&](const char* target) {
      return Kiln({command, "--workload", kDense, "--target", target, "--json"});
    };
    const Outcome found = ask("emeraldrapids-avx512vnni");
    EXPECT_EQ(found.status, 0) << found.err;
    for (const auto& line : JsonLines(found.out)) {
      EXPECT_EQ(line["target"], "emeraldrapids-avx512vnni");
    }
    EXPECT_EQ(ask("emeraldrapid").status, 2);
    EXPECT_EQ(ask("native").status, 1) << "there is nothing";
  }
}

TEST_F(TuneTest, FollowedHistoryShowsWhatComesAndEndsAtASignal) {
  ExpectKiln(0, {"tune", "--workload", kDense, "--trials", "2"});
  RunningProgram follower(scratch_,
                          {"kiln", "history", "--workload", kDense, "--json", "--follow"});
  ASSERT_TRUE(follower.WaitUntil([&] { return JsonLines(follower.out()).size() == 2; }));
  ExpectKiln(0, {"tune", "--workload", kDense, "--trials-per-task", "4"});
  ASSERT_TRUE(follower.WaitUntil([&] { return JsonLines(follower.out()).size() == 4; }));
  follower.Signal(SIGINT);
  EXPECT_EQ(follower.Wait().status, 130);
}

TEST_F(TuneTest, SameCommandAgainRepeatsNothingAndALargerOneGoesOn) {
  Tune(12);
  const auto first = ReadTrials(scratch_.database());
  for (const auto& task : TaskLines(Tune(12))) EXPECT_EQ(task["resumed"], 12) << task;
  EXPECT_EQ(ReadTrials(scratch_.database()), first);

  for (const auto& task : TaskLines(Tune(16))) {
    EXPECT_EQ(task["trials"], 16) << task;
    EXPECT_EQ(task["resumed"], 12) << task;
  }
  const auto second = ReadTrials(scratch_.database());
  EXPECT_EQ(second.size(), 48u);
  EXPECT_TRUE(AreDistinctAndInOrder(second));
  EXPECT_TRUE(std::ranges::includes(second, first));
}

// A layer with weights of -128 had the key of one without: what was tuned then is not lost silently.
TEST_F(TuneTest, SaysWhyThereAreFewerTrialsThanAskedFor) {
  const auto all = JsonLines(Tune(4).out);
  for (const auto& line : all) EXPECT_FALSE(line.contains("short")) << line;
  const auto fewer = JsonLines(ExpectKiln(0, {"tune", "--workload", kDense, "--trials-per-task",
                                              "100000", "--early-stop", "4", "--json"})
                                   .out);
  ASSERT_EQ(fewer.size(), 2u);
  for (const auto& line : fewer) {
    ASSERT_TRUE(line.contains("short")) << line;
    EXPECT_THAT(line["short"].get<std::string>(),
                testing::AnyOf("no gain in 4 trials", testing::HasSubstr("configs were tried")));
  }
}

TEST_F(TuneTest, TrialsUnderALayersFormerKeyAreNamedAsLeftBehind) {
  const std::string former = "dense/i8/n1c64/o10/pc/wz0/act=none/rq=signed1/double";
  const std::string present = "dense/i8/n1c64/o10/pc/wz0full/act=none/rq=signed1/double";
  ExpectKiln(0, {"tune", "--workload", former, "--trials", "2"});
  const Outcome best = Kiln({"best", "--workload", present});
  EXPECT_EQ(best.status, 1);
  EXPECT_THAT(best.err, HasSubstr("2 trials are left behind"));
  EXPECT_THAT(best.err, HasSubstr("kiln history --workload " + former));
  EXPECT_THAT(ExpectKiln(0, {"tune", "--workload", present, "--trials", "2"}).err,
              HasSubstr("left behind"));
  EXPECT_THAT(ExpectKiln(0, {"best", "--workload", present}).err,
              testing::Not(HasSubstr("left behind")));
}

TEST_F(TuneTest, ThreadsAreATaskOfTheirOwn) {
  Tune(3);
  Tune(3, {"--threads", "2"});
  EXPECT_EQ(ReadTrials(scratch_.database()).size(), 18u);
  std::map<int, int> bests;
  for (const auto& best : JsonLines(ExpectKiln(0, {"best", "--all", "--json"}).out)) {
    ++bests[best["threads"].get<int>()];
  }
  EXPECT_EQ(bests, (std::map<int, int>{{1, 3}, {2, 3}}));
}

TEST_F(TuneTest, BenchComparesTheBestWithTheDefault) {
  Tune(12);
  const auto lines = JsonLines(ExpectKiln(0, {"bench", "--all", "--rounds", "2", "--json"}).out);
  ASSERT_EQ(lines.size(), 3u);
  for (const auto& line : lines) {
    EXPECT_GT(line["min_ns"], 0) << line;
    EXPECT_GT(line["against_ns"], 0) << line;
    EXPECT_GT(line["bound_ns"], 0) << line;
    EXPECT_GE(line["schedule_bound_ns"], line["bound_ns"]) << line;
    EXPECT_GT(line["bound_share"], 0) << line;
    EXPECT_LE(line["bound_share"], 1.05) << "faster than the bound: " << line;
  }
}

TEST_F(TuneTest, BenchShowsWhatAKnobIsWorth) {
  Tune(4);
  const std::vector<std::string> bench{"bench", "--workload", kConv, "--rounds", "1", "--json"};
  const auto against = [&bench](const std::string& labels) {
    std::vector<std::string> command = bench;
    command.insert(command.end(), {"--against", labels});
    return command;
  };
  const auto lines = JsonLines(ExpectKiln(0, against("requantize_at=row")).out);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_GT(lines[0]["against_ns"], 0);
  const std::string variant = lines[0]["against_id"];
  EXPECT_THAT(ExpectKiln(0, {"space", "--workload", kConv, "--config", variant}).out,
              HasSubstr("requantize_at=row"));
  EXPECT_THAT(ExpectKiln(1, against("colour=red")).out, HasSubstr("no knob `colour`"));
  EXPECT_THAT(ExpectKiln(1, against("tile_h=5000")).out, HasSubstr("no value `5000`"));
}

class PolicyTest : public TuneTest, public testing::WithParamInterface<const char*> {};

TEST_P(PolicyTest, MakesItsTrials) {
  const auto tasks = TaskLines(Tune(10, {"--policy", GetParam(), "--batch", "4"}));
  ASSERT_EQ(tasks.size(), 3u);
  for (const auto& task : tasks) {
    EXPECT_EQ(task["trials"], 10) << task;
    EXPECT_EQ(task["failed"], 0) << task;
  }
  EXPECT_TRUE(AreDistinctAndInOrder(ReadTrials(scratch_.database())));
}

INSTANTIATE_TEST_SUITE_P(All, PolicyTest,
                         testing::Values("random", "grid", "ga", "autotvm", "kiln"),
                         [](const auto& policy) { return std::string(policy.param); });

}  // namespace
}  // namespace kiln
