// What people look at in a terminal: `kiln best`, `kiln history` and the help that names them.

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <cctype>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/base/text_lines.h"
#include "tests/dashboard/svg_check.h"
#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/kiln/csv_reader.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr char kConv[] =
    "conv2d/i8/n1h5w5c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kDepthwise[] =
    "depthwise/i8/n1h7w7c16/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double";
constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr char kOddDevice[] = "owl, \"Käuzchen\"\nof the barn";

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// As a reader of CSV gets what a JSON object has.
std::string FieldOf(const nlohmann::json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value;
  return value.dump();
}

class LookTest : public KilnTest {
 protected:
  void Tune(const std::vector<std::string>& workloads, int trials_per_task,
            std::vector<std::string> more = {}) const {
    std::vector<std::string> command = {"tune", "--trials-per-task",
                                        std::to_string(trials_per_task)};
    for (const std::string& key : workloads) command.insert(command.end(), {"--workload", key});
    command.insert(command.end(), more.begin(), more.end());
    ExpectKiln(0, command);
  }
  void Change(const std::string& sql) const {
    SQLite::Database(scratch_.database(), SQLite::OPEN_READWRITE).exec(sql);
  }
  std::vector<nlohmann::json> Best(std::vector<std::string> options) const {
    options.insert(options.begin(), {"best", "--all", "--json"});
    return JsonLines(ExpectKiln(0, options).out);
  }
  // The workloads that `kiln best --all` shows with these options, in its order.
  std::vector<std::string> BestWorkloads(std::vector<std::string> options) const {
    std::vector<std::string> workloads;
    for (const auto& line : Best(std::move(options))) workloads.push_back(line["workload"]);
    return workloads;
  }
  void ExpectMistake(std::vector<std::string> command, const std::string& part) const {
    const Outcome outcome = ExpectKiln(2, command);
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("kiln: "), HasSubstr(part)))
        << testing::PrintToString(command);
  }
  // `kiln history` of kConv in a locale.
  std::vector<std::string> History(const std::string& locale,
                                   const std::vector<std::string>& options) const {
    std::vector<std::string> command = {"/usr/bin/env", "LC_ALL=" + locale, ProgramPath("kiln"),
                                        "history",      "--workload",       kConv};
    command.insert(command.end(), options.begin(), options.end());
    return command;
  }
  std::string Plot(const std::string& locale, std::vector<std::string> options = {}) const {
    options.push_back("--plot");
    const Outcome outcome = RunProgram(scratch_, History(locale, options));
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  }
};

TEST_F(LookTest, BestIsTheSameAsJsonCsvAndTable) {
  Tune({kConv, kDepthwise, kDense}, 3);
  SQLite::Database database(scratch_.database(), SQLite::OPEN_READWRITE);
  SQLite::Statement rename(database, "UPDATE measurements SET device = ?");
  rename.bind(1, kOddDevice);
  rename.exec();

  const auto objects = Best({});
  ASSERT_THAT(objects, SizeIs(3));
  const auto csv = ReadCsv(ExpectKiln(0, {"best", "--all", "--csv"}).out);
  ASSERT_TRUE(csv);
  ASSERT_THAT(*csv, SizeIs(4));
  std::set<std::string> names;
  for (const CsvField& name : csv->at(0)) names.insert(name.value());
  EXPECT_EQ(names.size(), csv->at(0).size()) << "a name is there twice";
  for (std::size_t i = 0; i < objects.size(); ++i) {
    EXPECT_EQ(names.size(), objects[i].size());
    EXPECT_EQ(objects[i]["device"], kOddDevice);
    for (std::size_t k = 0; k < names.size(); ++k) {
      const std::string name = csv->at(0)[k].value(), field = csv->at(i + 1)[k].value_or("");
      ASSERT_TRUE(objects[i].contains(name)) << name;
      const nlohmann::json& value = objects[i][name];
      if (name == "age_seconds") continue;  // passes
      if (value.is_number()) {
        EXPECT_EQ(std::stod(field), value.get<double>()) << name;
      } else if (value.is_object()) {
        for (const auto& [knob, label] : value.items()) {
          EXPECT_THAT(field, HasSubstr(knob + "=" + label.get<std::string>()));
        }
      } else {
        EXPECT_EQ(field, FieldOf(value)) << name;
      }
    }
  }

  const auto table =
      LinesOf(ExpectKiln(0, {"best", "--all", "--columns", "config_id,trials,device"}).out);
  ASSERT_THAT(table, SizeIs(5)) << "heading, rule, rows: a name breaks no line";
  EXPECT_THAT(table[0], testing::MatchesRegex("id +trials +device"));
  for (std::size_t i = 0; i < objects.size(); ++i) {
    EXPECT_EQ(table[i + 2], objects[i]["config_id"].get<std::string>() + "       3  " +
                                "owl, \"Käuzchen\"\\nof the barn");
  }
}

TEST_F(LookTest, BestKeepsThePromisedMembersAndTellsGainAndShares) {
  Tune({kConv}, 6);
  const auto lines = Best({});
  ASSERT_THAT(lines, SizeIs(1));
  const auto& best = lines[0];
  for (const char* member :
       {"workload",  "target", "threads",     "cache",  "template",    "config",
        "config_id", "min_ns", "median_ns",   "gops",   "peak_share",  "samples",
        "trials",    "device", "measured_at", "origin", "kind",        "confirmed",
        "stale",     "op",     "default_ns",  "gain",   "bound_share", "age_seconds"}) {
    EXPECT_TRUE(best.contains(member)) << member;
  }
  EXPECT_EQ(best["op"], "conv2d");
  ASSERT_TRUE(best["gain"].is_number()) << best << "the search tries the default";
  EXPECT_DOUBLE_EQ(best["gain"], best["default_ns"].get<double>() / best["min_ns"].get<double>());
  // The bound is what the vectors and the padding leave of the peak.
  EXPECT_GT(best["bound_share"], 0);
  EXPECT_LE(best["bound_share"], 1.05);
  EXPECT_GE(best["age_seconds"], 0);
  EXPECT_LT(best["age_seconds"], 3600);
  const std::string table = ExpectKiln(0, {"best", "--all"}).out;
  for (const char* title :
       {"layer", "gain", "peak", "bound", "confirmed", "stale", "age", "device"}) {
    EXPECT_THAT(LinesOf(table)[0], HasSubstr(title));
  }
  EXPECT_THAT(table, testing::ContainsRegex("[0-9]\\.[0-9][0-9]x"));
}

TEST_F(LookTest, BestSortsLimitsAndFilters) {
  Tune({kConv, kDepthwise, kDense}, 2);
  // The dense layer is of code that nobody makes any more, the depthwise one of last week and fox.
  Change(
      "UPDATE trials SET code_digest = '0000000000000007' WHERE task_id IN"
      " (SELECT id FROM tasks WHERE workload LIKE 'dense/%')");
  Change(
      "UPDATE measurements SET device = 'fox', measured_ms = measured_ms - 604800000"
      " WHERE trial_id IN (SELECT t.id FROM trials t JOIN tasks k ON t.task_id = k.id"
      " WHERE k.workload LIKE 'depthwise/%')");

  for (const char* by : {"gops", "min_ns", "GOP/s"}) {
    const auto up = BestWorkloads({"--sort", by});
    auto down = BestWorkloads({"--sort", std::string("-") + by});
    EXPECT_EQ(BestWorkloads({std::string("--sort=-") + by}), down);
    std::ranges::reverse(down);
    EXPECT_EQ(up, down) << by;
  }
  double previous = 0;
  for (const auto& line : Best({"--sort", "gops"})) {
    EXPECT_GE(line["gops"], previous);
    previous = line["gops"];
  }
  EXPECT_THAT(BestWorkloads({"--sort", "-age_seconds", "--limit", "1"}), ElementsAre(kDepthwise));

  EXPECT_THAT(BestWorkloads({"--op", "dense"}), ElementsAre(kDense));
  EXPECT_THAT(BestWorkloads({"--device", "fox"}), ElementsAre(kDepthwise));
  EXPECT_THAT(BestWorkloads({"--stale"}), ElementsAre(kDense));
  EXPECT_THAT(BestWorkloads({"--current"}), ElementsAre(kConv, kDepthwise));
  EXPECT_THAT(BestWorkloads({"--since", "2d"}), ElementsAre(kConv, kDense));
  EXPECT_THAT(BestWorkloads({"--since", "8d"}), SizeIs(3));
  EXPECT_THAT(BestWorkloads({"--since", "2020-01-01T00:00:00Z"}), SizeIs(3));
  EXPECT_THAT(BestWorkloads({"--since", "2d", "--current"}), ElementsAre(kConv));
  EXPECT_THAT(BestWorkloads({"--confirmed", "--kind", "measured"}), SizeIs(3));
}

TEST_F(LookTest, NothingThatFitsIsAnAnswerAndNoBlank) {
  Tune({kDense}, 2);
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{}, {"--json"}, {"--csv"}}) {
    std::vector<std::string> command = {"best", "--all", "--kind", "estimated"};
    command.insert(command.end(), options.begin(), options.end());
    const Outcome outcome = ExpectKiln(0, command);
    EXPECT_THAT(outcome.err, HasSubstr("none of the 1 stored configs fits the filters"));
    EXPECT_THAT(LinesOf(outcome.out), SizeIs(options == std::vector<std::string>{"--csv"} ? 1 : 0));
  }
}

TEST_F(LookTest, WrongValuesAreOneErrorEach) {
  const auto best = [](std::vector<std::string> options) {
    options.insert(options.begin(), {"best", "--all"});
    return options;
  };
  ExpectMistake(best({"--sort", "speed"}), "no column `speed`; there are workload, target");
  ExpectMistake(best({"--sort", "-speed"}), "no column `speed`");
  ExpectMistake(best({"--columns", "gops,speed"}), "no column `speed`");
  ExpectMistake(best({"--columns", "gops,gops"}), "twice");
  ExpectMistake(best({"--columns", ""}), "--columns");
  ExpectMistake(best({"--limit", "0"}), "--limit");
  ExpectMistake(best({"--limit", "some"}), "--limit");
  ExpectMistake(best({"--since", "yesterday"}),
                "write 8h, 22:00, 2026-11-26, \"2026-11-26 22:00\" or "
                "2026-11-27T22:00:00Z");
  ExpectMistake(best({"--op", "pool"}), "--op");
  ExpectMistake(best({"--kind", "guessed"}), "--kind");
  ExpectMistake(best({"--stale", "--current"}), "--stale");
  ExpectMistake(best({"--json", "--csv"}), "--json");
  ExpectMistake({"history", "--workload", kConv, "--plot", "--json"}, "--plot");
  ExpectMistake({"history", "--workload", kConv, "--figure", "speed"}, "--figure");
  ExpectMistake({"history", "--workload", kConv, "--svg", ""}, "--svg");
}

TEST_F(LookTest, HistoryDrawsItsCurveInTheTerminalsCharacters) {
  Tune({kConv}, 8);
  const std::string ascii = Plot("C");
  EXPECT_TRUE(std::ranges::all_of(ascii, [](char c) { return c == '\n' || (c >= 32 && c < 127); }))
      << ascii;
  EXPECT_THAT(ascii, HasSubstr("best of 8 trials"));
  EXPECT_THAT(ascii, HasSubstr("GOP/s"));
  EXPECT_THAT(ascii, HasSubstr("o confirmed"));
  const std::string unicode = Plot("C.UTF-8", {"--figure", "time"});
  EXPECT_THAT(unicode, HasSubstr("◆ confirmed"));
  EXPECT_THAT(unicode, HasSubstr("\xE2\xA0"));
  EXPECT_THAT(unicode, testing::ContainsRegex("\n +us\n"));
  for (const std::string& text : {ascii, unicode}) {
    EXPECT_THAT(text, Not(HasSubstr("\033"))) << "colours are for terminals";
    EXPECT_THAT(text, Not(HasSubstr("status"))) << "instead of the list";
    for (const std::string& line : LinesOf(text)) EXPECT_LE(WidthOf(line), 80u) << line;
  }
  // The list of trials ends with it, too.
  const std::string list = ExpectKiln(0, {"history", "--workload", kConv}).out;
  EXPECT_THAT(list, AllOf(HasSubstr("status"), HasSubstr("best of 8 trials")));
}

TEST_F(LookTest, HistoryWritesAPictureThatStandsAlone) {
  Tune({kConv}, 6);
  Tune({kConv}, 4, {"--threads", "2"});
  const std::string file = scratch_.Path("curve.svg");
  const std::string said = ExpectKiln(0, {"history", "--workload", kConv, "--svg", file}).out;
  EXPECT_EQ(said, file + ": 2 curves of 10 trials\n");
  const std::string svg = ReadText(file);
  EXPECT_EQ(FaultOfXml(svg), "") << svg;
  EXPECT_THAT(svg, AllOf(HasSubstr("role=\"img\""), HasSubstr("prefers-color-scheme")));
  EXPECT_THAT(TextsOf(svg, "desc").at(0), AllOf(HasSubstr("6 trials"), HasSubstr("2 threads")));
  const auto texts = TextsOf(svg, "text");
  EXPECT_THAT(texts, AllOf(testing::Contains("GOP/s"), testing::Contains("trials"),
                           testing::Contains("confirmed")));

  // With a list as well, and in a place where it cannot be.
  EXPECT_THAT(
      JsonLines(ExpectKiln(0, {"history", "--workload", kConv, "--json", "--svg", file}).out),
      SizeIs(10));
  const Outcome outcome =
      ExpectKiln(1, {"history", "--workload", kConv, "--svg", scratch_.Path("none/curve.svg")});
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("none/curve.svg"));
}

// Two tasks, of which the first in the store's order grows last: each trial is told once all the same.
TEST_F(LookTest, FollowedHistoryTellsEachTrialOnceWhileOthersWrite) {
  Tune({kDense}, 1, {"--threads", "2"});
  RunningProgram follower(scratch_,
                          {"kiln", "history", "--workload", kDense, "--json", "--follow"});
  ASSERT_TRUE(follower.WaitUntil([&] { return JsonLines(follower.out()).size() == 1; }));
  RunningProgram two(
      scratch_, {"kiln", "tune", "--workload", kDense, "--threads", "2", "--trials-per-task", "5"});
  ASSERT_TRUE(follower.WaitUntil([&] { return LinesOf(follower.out()).size() > 1; }));
  EXPECT_EQ(two.Wait().status, 0);
  RunningProgram one(scratch_, {"kiln", "tune", "--workload", kDense, "--trials-per-task", "6"});
  EXPECT_EQ(one.Wait().status, 0);
  ASSERT_TRUE(follower.WaitUntil([&] { return LinesOf(follower.out()).size() >= 11; }));
  follower.Signal(SIGINT);
  const Outcome outcome = follower.Wait();
  EXPECT_EQ(outcome.status, 130);
  EXPECT_EQ(outcome.err, "") << "nothing of it is to be stored";
  std::multiset<std::pair<int, int>> told, stored;
  for (const auto& line : JsonLines(outcome.out)) told.emplace(line["threads"], line["seq"]);
  for (const auto& line :
       JsonLines(ExpectKiln(0, {"history", "--workload", kDense, "--json"}).out)) {
    stored.emplace(line["threads"], line["seq"]);
  }
  EXPECT_EQ(told, stored);
}

TEST_F(LookTest, FollowedPicturesAreWholeAtAnyTime) {
  Tune({kConv}, 1);
  const std::string file = scratch_.Path("curve.svg");
  RunningProgram follower(scratch_, History("C", {"--plot", "--svg", file, "--follow"}));
  ASSERT_TRUE(follower.WaitUntil([&] { return std::filesystem::exists(file); }));
  RunningProgram writer(scratch_, {"kiln", "tune", "--workload", kConv, "--trials-per-task", "9"});
  ASSERT_TRUE(follower.WaitUntil([&] {
    const std::string svg = ReadText(file);
    EXPECT_EQ(FaultOfXml(svg), "");
    return svg.find("best of 9 trials") != std::string::npos &&
           svg.find("confirmed") != std::string::npos;
  })) << follower.out();
  EXPECT_EQ(writer.Wait().status, 0);
  ASSERT_TRUE(follower.WaitUntil(
      [&] { return follower.out().find("best of 9 trials") != std::string::npos; }));
  follower.Signal(SIGTERM);
  const Outcome outcome = follower.Wait();
  EXPECT_EQ(outcome.status, 130);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("best of 1 trials"), Not(HasSubstr("\033"))));
  for (const auto& entry : std::filesystem::directory_iterator(scratch_.Path(""))) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr("curve.svg.new"))) << "a draft was left";
  }
}

TEST_F(LookTest, FollowingNothingSaysSo) {
  Tune({kDense}, 1);
  RunningProgram follower(scratch_, History("C", {"--follow"}));
  ASSERT_TRUE(follower.WaitUntil([&] { return !follower.err().empty(); }));
  EXPECT_THAT(follower.err(), HasSubstr("no trials yet"));
  Tune({kConv}, 1);
  ASSERT_TRUE(
      follower.WaitUntil([&] { return follower.out().find("best so far") != std::string::npos; }));
  follower.Signal(SIGINT);
  EXPECT_EQ(follower.Wait().status, 130);
}

TEST_F(LookTest, HelpGroupsTheCommands) {
  const std::string help = ExpectKiln(0, {"--help"}).out;
  std::string group;
  std::map<std::string, std::set<std::string>> commands;
  for (const std::string& line : LinesOf(help.substr(0, help.find("Examples:")))) {
    if (!line.empty() && line[0] != ' ' && line.ends_with(":"))
      group = line.substr(0, line.find(' '));
    const bool is_command = line.starts_with("  ") && line.size() > 2 && std::islower(line[2]) != 0;
    if (!is_command) continue;
    const std::string name = line.substr(2, line.find(' ', 2) - 2);
    commands[group].insert(name);
    EXPECT_NE(line.find_first_not_of(' ', 2 + name.size()), std::string::npos)
        << "no words: " << line;
  }
  const std::map<std::string, std::vector<std::string>> some = {
      {"Tune", {"tune", "bench", "verify"}},
      {"Look", {"best", "history", "workloads"}},
      {"Build", {"lock", "export"}},
      {"Farm", {"devices"}},
      {"Night", {"daemon", "submit", "jobs", "cancel"}}};
  EXPECT_EQ(commands.size(), some.size()) << help;
  for (const auto& [heading, names] : some) {
    for (const std::string& name : names) EXPECT_TRUE(commands[heading].contains(name)) << name;
  }
  EXPECT_THAT(help, Not(HasSubstr("run-job")));
}

}  // namespace
}  // namespace kiln
