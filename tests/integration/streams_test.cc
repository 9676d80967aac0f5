// Standard streams that are full or closed: output that is lost is an error, progress that is lost
// is none, and nothing else ever gets their descriptors.

#include <gmock/gmock.h>

#include <cctype>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <sstream>

#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/stored_trials.h"

namespace kiln {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr char kFull[] = "/dev/full";

class StreamsTest : public KilnTest {
 protected:
  Outcome Run(std::vector<std::string> command, const Streams& streams) const {
    return RunProgram(scratch_, command, kPatience, streams);
  }
  // Ends with 1 and says that the output is lost.
  void ExpectLoss(std::vector<std::string> command) const {
    const std::string program = command[0];
    for (const auto& [out, why] :
         {std::pair<std::string, std::string>{kFull, "No space left on device"},
          {kClosed, "Bad file descriptor"}}) {
      const Outcome outcome = Run(command, {.out = out});
      EXPECT_EQ(outcome.status, 1) << testing::PrintToString(command) << outcome.err;
      EXPECT_THAT(outcome.err, EndsWith(program + ": cannot write the output: " + why + "\n"))
          << testing::PrintToString(command);
    }
  }
  std::vector<std::string> Tune(int trials) const {
    return {"kiln",     "tune",   "--trials",   std::to_string(trials),
            "--policy", "random", "--workload", kDense};
  }
};

// The subcommands that `kiln --help` lists, in whatever group: a word at the begin of a line.
std::vector<std::string> Subcommands(const std::string& help) {
  std::istringstream lines(help.substr(0, help.find("Examples:")));
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    const bool is_command = line.starts_with("  ") && line.size() > 2 && std::islower(line[2]) != 0;
    if (is_command) names.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return names;
}

TEST_F(StreamsTest, EveryCommandSaysThatItsOutputIsLost) {
  RunningProgram tracker(scratch_, {"kiln-tracker", "--listen", "unix:" + scratch_.Path("t")});
  ASSERT_TRUE(tracker.WaitUntil([&] { return tracker.out().ends_with('\n'); })) << tracker.err();
  ASSERT_EQ(Run(Tune(2), {}).status, 0);
  for (const auto& [format, file] : {std::pair("jsonl", "all.jsonl"), {"autotvm", "all.log"}}) {
    ASSERT_EQ(Run({"kiln", "db", "export", "--format", format, scratch_.Path(file)}, {}).status, 0);
  }
  const std::string config = scratch_.Write(
      "night.toml", "[listen]\nsocket = \"unix:" + scratch_.Path("d") +
                        "\"\n[[window]]\nname = \"never\"\nfrom = \"00:00\"\nto = \"00:00\"\n");
  RunningProgram daemon(scratch_, {"kiln", "daemon", "--config", config});
  ASSERT_TRUE(daemon.WaitUntil([&] { return daemon.out().ends_with('\n'); })) << daemon.err();
  const std::string address = "unix:" + scratch_.Path("d");
  const std::vector<std::string> job = {"--daemon", address,    "--workload",
                                        kDense,     "--window", "never"};
  for (int i = 0; i < 2; ++i) {
    std::vector<std::string> command = {"kiln", "submit"};
    command.insert(command.end(), job.begin(), job.end());
    ASSERT_EQ(Run(command, {}).status, 0);
  }
  // Each prints something.
  const std::map<std::string, std::vector<std::vector<std::string>>> uses{
      {"tune",
       {{"--workload", kDense, "--trials", "0"},
        {"--workload", kDense, "--trials", "0", "--json"}}},
      {"best", {{"--all"}, {"--all", "--json"}, {"--all", "--csv"}, {"--workload", kDense}}},
      {"history",
       {{"--workload", kDense},
        {"--workload", kDense, "--json"},
        {"--workload", kDense, "--plot"},
        {"--workload", kDense, "--svg", scratch_.Path("curve.svg")}}},
      {"top", {{"--once"}, {"--once", "--tracker", "unix:" + scratch_.Path("t")}}},
      {"report", {{"--out", "-"}, {"--out", scratch_.Path("report.html")}}},
      {"bench", {{"--workload", kDense, "--rounds", "1"}}},
      {"verify",
       {{"--workload", kDense, "--samples", "0"},
        {"--workload", kDense, "--samples", "0", "--json"}}},
      {"space",
       {{"--workload", kDense},
        {"--workload", kDense, "--json"},
        {"--workload", kDense, "--config", "default"},
        {"--workload", kDense, "--emit", "c"},
        {"--workload", kDense, "--emit", "object"}}},
      {"workloads", {{"--network", "mobilenet_v1"}, {"--network", "mobilenet_v1", "--json"}}},
      {"lock",
       {{"--all", "-o", scratch_.Path("kiln.lock")},
        {"--all", "-o", scratch_.Path("kiln.lock"), "--update", "--dry-run"},
        {"--check", "-o", scratch_.Path("kiln.lock")}}},
      {"export", {{"--workload", kDense, "--out", scratch_.Path("net")}}},
      {"devices", {{"--tracker", "unix:" + scratch_.Path("t")}}},
      {"targets", {{}, {"--json"}}},
      {"daemon", {{"--config", config, "--check-config"}}},
      {"submit", {job}},
      {"jobs", {{"--daemon", address}, {"--daemon", address, "--all", "--json"}}},
      {"job", {{"1", "--daemon", address}, {"1", "--daemon", address, "--json"}}},
      {"pause", {{"1", "--daemon", address}, {"1", "--daemon", address, "--json"}}},
      {"resume", {{"1", "--daemon", address}}},
      {"cancel", {{"2", "--daemon", address}, {"2", "--daemon", address, "--json"}}},
      {"db",
       {{"stats"},
        {"stats", "--json"},
        {"check"},
        {"gc"},
        {"gc", "--yes"},
        {"backup", scratch_.Path("copy.db"), "--force"},
        {"export", "--format", "jsonl", "-"},
        {"export", "--format", "autotvm", "-"},
        {"import", "--format", "jsonl", scratch_.Path("all.jsonl")},
        {"import", "--format", "autotvm", scratch_.Path("all.log")},
        {"merge", scratch_.Path("merged.db"), scratch_.database()}}},
  };
  const auto commands = Subcommands(ExpectKiln(0, {"--help"}).out);
  ASSERT_EQ(commands.size(), uses.size()) << testing::PrintToString(commands);
  for (const std::string& name : commands) {
    const auto found = uses.find(name);
    ASSERT_NE(found, uses.end()) << "a new command: say above how it prints something";
    ExpectLoss({"kiln", name, "--help"});
    for (std::vector<std::string> command : found->second) {
      command.insert(command.begin(), {"kiln", name});
      ExpectLoss(command);
    }
  }
}

TEST_F(StreamsTest, EveryProgramsHelpAndVersionAreOutput) {
  for (const char* program : {"kiln", "kiln-server", "kiln-tracker", "kiln-host"}) {
    ExpectLoss({program, "--help"});
    ExpectLoss({program, "--version"});
  }
}

TEST_F(StreamsTest, ReaderThatHasGoneIsNotComplainedOf) {
  const auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
  const Outcome outcome =
      Run({"/bin/sh", "-c", "mkfifo \"$1\"; exec 3<>\"$1\" 4>\"$1\" 3<&-; exec \"$0\" targets >&4",
           (programs / "kiln").string(), scratch_.Path("pipe")},
          {});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(StreamsTest, TuningGoesOnWithoutStandardError) {
  int trials = 0;
  for (const std::string err : {kFull, kClosed}) {
    const Outcome outcome = Run(Tune(trials += 3), {.err = err});
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out, HasSubstr(std::to_string(trials) + " trials"));
    EXPECT_EQ(ReadTrials(scratch_.database()).size(), static_cast<std::size_t>(trials));
  }
}

TEST_F(StreamsTest, ClosedDescriptorsAreNotTakenByTheDatabase) {
  const Outcome outcome = Run(Tune(3), {.in = kClosed, .out = kClosed, .err = kClosed});
  EXPECT_EQ(outcome.status, 1) << "its output is lost";
  EXPECT_EQ(Integrity(scratch_.database()), "ok");
  EXPECT_EQ(ReadTrials(scratch_.database()).size(), 3u);
}

TEST_F(StreamsTest, FarmRunsWithoutStandardStreams) {
  for (const std::string stream : {kFull, kClosed}) {
    const std::string socket = "unix:" + scratch_.Path("t");
    const Streams none{.in = kClosed, .out = stream, .err = stream};
    RunningProgram tracker(scratch_, {"kiln-tracker", "--listen", socket}, none);
    RunningProgram server(scratch_, {"kiln-server", "--tracker", socket, "--target", "native"},
                          none);
    EXPECT_TRUE(server.WaitUntil([&] {
      const auto devices = JsonLines(Kiln({"devices", "--json", "--tracker", socket}).out);
      return devices.size() == 1 && devices[0]["state"] == "free";
    }));
    for (RunningProgram* program : {&server, &tracker}) {
      program->Signal(SIGTERM);
      EXPECT_EQ(program->Wait().status, 0);
    }
  }
}

}  // namespace
}  // namespace kiln
