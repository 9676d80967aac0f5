// `kiln db`: what tuned databases go through, with the real program.

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"
#include "tests/integration/stored_trials.h"
#include "tests/models/shared_folder.h"

namespace kiln {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> SortedLines(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::ranges::sort(lines);
  return lines;
}

class DbTest : public KilnTest {
 protected:
  // A database in which so many trials were tuned.
  std::string Tuned(const std::string& name, int trials, const std::string& seed) const {
    const std::string path = scratch_.Path(name);
    ExpectKiln(0, {"tune", "--workload", kDense, "--trials", std::to_string(trials), "--policy",
                   "random", "--seed", seed, "--db", path});
    return path;
  }
  json Stats(const std::string& database) const {
    return JsonLines(ExpectKiln(0, {"db", "stats", "--json", "--db", database}).out).at(0);
  }
  void ExpectSound(const std::string& database) const {
    EXPECT_THAT(ExpectKiln(0, {"db", "check", "--db", database}).out,
                HasSubstr("nothing is wrong"));
    EXPECT_EQ(Integrity(database), "ok");
    EXPECT_TRUE(AreDistinctAndInOrder(ReadTrials(database)));
  }
  std::string Exported(const std::string& database, const std::string& format) const {
    return ExpectKiln(0, {"db", "export", "--format", format, "-", "--db", database}).out;
  }
  std::vector<std::string> Content(const std::string& database) const {
    return SortedLines(Exported(database, "jsonl"));
  }
  // One line on standard error, and nothing else.
  void ExpectRefusal(int status, std::vector<std::string> arguments, const std::string& why) const {
    const Outcome outcome = ExpectKiln(status, std::move(arguments));
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(why));
  }
};

TEST_F(DbTest, AutotvmLogsOfOthersImportAndComeBackByteForByte) {
  KILN_SKIP_WITHOUT_SHARED();
  const std::map<std::string, std::vector<std::string>> expected = {
      {"autotvm_int8_x86_sample.log",
       {"46 lines: 0 of Kiln's templates, 46 foreign, 0 comments, 0 damaged",
        "conv2d_NCHWc_int8.x86: no template of Kiln: 26 ok\n",
        "depthwise_conv2d_NCHWc.x86: no template of Kiln: 10 ok, 2 runtime_error, 8 timeout\n"}},
      {"tophub_arm_cpu_sample.log",
       {"87 lines: 0 of Kiln's templates, 87 foreign, 0 comments, 0 damaged",
        "conv2d_nchw_spatial_pack.arm_cpu: no template of Kiln: 82 ok\n",
        "depthwise_conv2d_nchw.arm_cpu: no template of Kiln: 5 ok\n"}}};
  for (const auto& [name, counts] : expected) {
    const std::string log = "# " + name + "\n\n" + Bytes(*SharedPath("autotvm/" + name));
    const std::string file = scratch_.Write(name, log), database = scratch_.Path(name + ".db");
    const std::string plain = SharedPath("autotvm/" + name)->string();
    const Outcome outcome =
        ExpectKiln(0, {"db", "import", "--format", "autotvm", plain, "--db", database});
    for (const std::string& count : counts) EXPECT_THAT(outcome.out, HasSubstr(count));
    EXPECT_EQ(Exported(database, "autotvm"), Bytes(plain));
    ExpectRefusal(1, {"best", "--all", "--db", database}, "no configs");
    // With comments, into a database of their own.
    const std::string commented = scratch_.Path(name + ".commented.db");
    EXPECT_THAT(ExpectKiln(0, {"db", "import", "--format", "autotvm", file, "--db", commented}).out,
                HasSubstr(" 2 comments"));
    EXPECT_EQ(Exported(commented, "autotvm"), log);
    ExpectSound(commented);
  }
}

// A reader of v0.2 logs that knows nothing of Kiln: labels and the least seconds of each record.
std::multiset<std::string> ReadV02(const std::string& log) {
  std::multiset<std::string> records;
  for (const json& line : JsonLines(log)) {
    EXPECT_EQ(line.at("version"), 0.2);
    const json& input = line.at("input");
    EXPECT_TRUE(input.size() == 4 && input[0].is_string() && input[1].is_string());
    EXPECT_EQ(input[2].at(0).at(0), "TENSOR");
    EXPECT_EQ(input[2].at(0).at(1), json({1, 64}));
    EXPECT_EQ(input[2].at(1).at(1), json({10, 64}));
    EXPECT_EQ(input[2].at(1).at(2), "int8");
    const json& result = line.at("result");
    EXPECT_EQ(result.size(), 4u);
    EXPECT_GT(result.at(3).get<double>(), 1.6e9) << "seconds since 1970";
    std::string text = line.at("result").at(1).dump();
    double least = 1e9;
    for (const json& seconds : result.at(0)) least = std::min(least, seconds.get<double>());
    EXPECT_EQ(least < 1, result.at(1) == 0);
    std::map<std::string, std::string> knobs;
    for (const json& knob : line.at("config").at("entity")) {
      EXPECT_EQ(knob.at(1), "ot");
      knobs[knob.at(0)] = knob.at(2);
    }
    for (const auto& [knob, label] : knobs) text += " " + knob + "=" + label;
    records.insert(text + (least < 1 ? " " + std::to_string(std::lround(least * 1e12)) : ""));
  }
  return records;
}

// The same of what Kiln says itself.
std::multiset<std::string> ReadHistory(const std::string& history) {
  std::multiset<std::string> records;
  const auto add = [&](const json& config, const json& measurement) {
    const bool ok = measurement.at("status") == "ok";
    if (!ok && measurement.at("status") == "censored") return;
    std::string text = ok ? "0" : "failed";
    for (const auto& [knob, label] : config.items())
      text += " " + knob + "=" + label.get<std::string>();
    if (ok) text += " " + std::to_string(std::lround(measurement.at("min_ns").get<double>() * 1e3));
    records.insert(text);
  };
  for (const json& line : JsonLines(history)) {
    add(line.at("config"), line);
    if (!line.contains("measured_again")) continue;
    for (const json& again : line["measured_again"]) add(line.at("config"), again);
  }
  return records;
}

TEST_F(DbTest, OwnTrialsExportAsV02ThatOthersReadAndImportAgain) {
  const std::string database = Tuned("own.db", 12, "1");
  const std::string log = Exported(database, "autotvm");
  const auto read = ReadV02(log);
  EXPECT_GE(read.size(), 12u);
  EXPECT_EQ(read,
            ReadHistory(
                ExpectKiln(0, {"history", "--json", "--workload", kDense, "--db", database}).out));
  const std::string file = scratch_.Write("own.log", log), other = scratch_.Path("other.db");
  EXPECT_THAT(ExpectKiln(0, {"db", "import", "--format", "autotvm", file, "--db", other}).out,
              AllOf(HasSubstr(std::to_string(read.size()) + " of Kiln's templates"),
                    HasSubstr("of Kiln's templates, never a best")));
  EXPECT_EQ(Exported(other, "autotvm"), log);
  ExpectRefusal(1, {"best", "--all", "--db", other}, "no configs");
  EXPECT_EQ(Stats(other)["trials"], 0);
  EXPECT_EQ(Stats(other)["imported"]["lines"], read.size());
}

TEST_F(DbTest, ImportedLinesAreWhereTheSearchBegins) {
  const std::string database = Tuned("own.db", 24, "1");
  const json best = JsonLines(ExpectKiln(0, {"best", "--all", "--json", "--db", database}).out)[0];
  const std::string log = scratch_.Write("own.log", Exported(database, "autotvm"));
  const auto begins_with_it = [&](const std::string& other) {
    ExpectKiln(0, {"tune", "--workload", kDense, "--trials", "4", "--seed", "7", "--db", other});
    const auto history =
        JsonLines(ExpectKiln(0, {"history", "--json", "--workload", kDense, "--db", other}).out);
    return std::ranges::any_of(history, [&](const json& trial) {
      return trial.value("config_id", "") == best["config_id"];
    });
  };
  const std::string told = scratch_.Path("told.db");
  ExpectKiln(0, {"db", "import", "--format", "autotvm", log, "--db", told});
  EXPECT_TRUE(begins_with_it(told));
  EXPECT_FALSE(begins_with_it(scratch_.Path("untold.db"))) << "it would have been found anyhow";
}

TEST_F(DbTest, ThreeDatabasesMergeToTheSameInAnyOrder) {
  const std::string a = Tuned("a.db", 6, "1"), b = Tuned("b.db", 6, "2");
  const std::string c = scratch_.Path("c.db");
  ExpectKiln(0, {"db", "merge", c, a});
  Tuned("c.db", 9, "3");  // goes on where a was
  std::vector<std::string> order = {a, b, c};
  std::vector<std::string> expected;
  do {
    const std::string into = scratch_.Path("into.db");
    ExpectKiln(0, {"db", "merge", into, order[0], order[1], order[2]});
    ExpectSound(into);
    if (expected.empty()) expected = Content(into);
    EXPECT_EQ(Content(into), expected);
    EXPECT_THAT(ExpectKiln(0, {"db", "merge", into, order[1]}).out,
                HasSubstr("0 trials, 0 measurements, 0 peaks and 0 imported lines are new"));
    EXPECT_EQ(Content(into), expected);
    std::filesystem::remove(into);
  } while (std::ranges::next_permutation(order).found);
  const std::string jsonl = scratch_.Path("all.jsonl"), copy = scratch_.Path("copy.db");
  ExpectKiln(0, {"db", "merge", a, b, c});
  ExpectKiln(0, {"db", "export", "--format", "jsonl", jsonl, "--db", a});
  ExpectKiln(0, {"db", "import", "--format", "jsonl", jsonl, "--db", copy});
  EXPECT_EQ(Exported(copy, "jsonl"), Bytes(jsonl));
  EXPECT_EQ(Content(copy), expected);
  // A merged database tunes on and answers.
  Tuned("copy.db", 20, "4");
  ExpectSound(copy);
  EXPECT_THAT(ExpectKiln(0, {"best", "--all", "--db", copy}).out, HasSubstr("64->10"));
}

TEST_F(DbTest, WhatIsWrongIsOneLineAndLeavesAllAsItWas) {
  const std::string database = Tuned("a.db", 2, "1"), none = scratch_.Path("none.db");
  const std::string junk = scratch_.Write("junk", "\x89PNG\r\n\x1a\n");
  const std::string before = Exported(database, "jsonl");
  ExpectRefusal(1, {"db", "merge", database, none}, "no database at");
  ExpectRefusal(1, {"db", "merge", none, junk}, junk);
  ExpectRefusal(1, {"db", "merge", database, database}, "cannot be merged into itself");
  ExpectRefusal(1, {"db", "import", "--format", "autotvm", junk, "--db", database},
                "is no AutoTVM v0.2 log");
  ExpectRefusal(1, {"db", "import", "--format", "jsonl", junk, "--db", database}, "line 1");
  ExpectRefusal(1, {"db", "import", "--format", "jsonl", none, "--db", database}, none);
  ExpectRefusal(1, {"db", "export", "--format", "jsonl", junk, "--db", database}, "--force");
  ExpectRefusal(1, {"db", "export", "--format", "jsonl", "x", "--db", none}, "no database at");
  ExpectRefusal(1, {"db", "backup", junk, "--db", database}, "--force");
  ExpectRefusal(1, {"db", "backup", scratch_.Path("no/such/x"), "--db", database}, "cannot write");
  ExpectRefusal(1, {"db", "check", "--db", junk}, "is not a database");
  ExpectRefusal(1, {"db", "stats", "--db", none}, "no database at");
  ExpectRefusal(1, {"db", "gc", "--yes", "--db", none}, "no database at");
  ExpectRefusal(2, {"db"}, "subcommand");
  ExpectRefusal(2, {"db", "merge", database}, "FROM");
  ExpectRefusal(2, {"db", "export", "x"}, "--format");
  EXPECT_FALSE(std::filesystem::exists(none));
  EXPECT_EQ(Exported(database, "jsonl"), before);
  EXPECT_EQ(Bytes(junk), "\x89PNG\r\n\x1a\n");
}

TEST_F(DbTest, ABackupOfADatabaseInUseIsWhatItWasAndGarbageGoesOnRequestOnly) {
  const std::string database = Tuned("a.db", 5, "1"), copy = scratch_.Path("copy.db");
  EXPECT_THAT(ExpectKiln(0, {"db", "backup", copy, "--db", database}).out, HasSubstr("5 trials"));
  ExpectSound(copy);
  const std::string before = Exported(database, "jsonl");
  EXPECT_EQ(Exported(copy, "jsonl"), before);
  EXPECT_THAT(ExpectKiln(0, {"db", "gc", "--db", database}).out,
              AllOf(HasSubstr("would remove"), HasSubstr("--yes does it")));
  EXPECT_THAT(ExpectKiln(0, {"db", "gc", "--yes", "--db", database}).out, HasSubstr("removed"));
  EXPECT_EQ(Exported(database, "jsonl"), before);
  EXPECT_EQ(Stats(database)["statuses"], Stats(copy)["statuses"]);
  EXPECT_EQ(Stats(database)["trials"], 5);
}

}  // namespace
}  // namespace kiln
