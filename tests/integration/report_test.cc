// `kiln report` with the real programs: what the page says is what the other commands say.

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/integration/json_lines.h"
#include "tests/integration/programs.h"

namespace kiln {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr char kOther[] = "dense/i8/n1c32/o16/pt/wz0/act=none/rq=signed1/double";
const std::vector<std::string> kViews = {"verdict", "layers", "changes", "failures",
                                         "devices", "curves", "store"};

std::string BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ReportTest : public KilnTest {
 protected:
  void Tune(const std::string& workload, int trials) const {
    ExpectKiln(0, {"tune", "--workload", workload, "--trials", std::to_string(trials)});
  }
  // The page of a report with these options.
  std::string Page(std::vector<std::string> options = {}) const {
    const std::string file = scratch_.Path("report.html");
    options.insert(options.begin(), {"report", "--out", file});
    ExpectKiln(0, options);
    return BytesOf(file);
  }
  // What Python's parser makes of the page; null, and a message, where there is no Python.
  json Read(const std::string& page) const {
    const std::string file = scratch_.Write("read.html", page);
    const std::string command =
        "python3 '" KILN_SOURCE_DIR "/tests/integration/report_page.py' '" + file + "'";
    FILE* python = popen(command.c_str(), "re");
    std::string text;
    char buffer[4096];
    for (std::size_t n; python != nullptr && (n = fread(buffer, 1, sizeof buffer, python)) > 0;) {
      text.append(buffer, n);
    }
    if (python == nullptr || pclose(python) != 0) return {};
    return json::parse(text);
  }
  void Sql(const std::string& statements) const {
    SQLite::Database(scratch_.database(), SQLite::OPEN_READWRITE).exec(statements);
  }
};

#define KILN_SKIP_WITHOUT_PYTHON()                                        \
  if (std::system("python3 -c '' 2>/dev/null") != 0) {                    \
    GTEST_SKIP() << "no python3: the page is not read by another parser"; \
  }

TEST_F(ReportTest, NumbersOfThePageAreThoseOfBest) {
  KILN_SKIP_WITHOUT_PYTHON();
  Tune(kDense, 6);
  Tune(kOther, 4);
  const json page = Read(Page());
  ASSERT_TRUE(page.is_object());
  EXPECT_EQ(page["faults"], json::array());
  for (const std::string& view : kViews) {
    EXPECT_GT(page["sections"].value(view, "").size(), 20u) << view;
  }
  const auto bests = JsonLines(ExpectKiln(0, {"best", "--all", "--json"}).out);
  ASSERT_THAT(bests, SizeIs(2));
  const json& rows = page["tables"]["Where the time is now, by time x multiplicity"];
  ASSERT_THAT(rows, SizeIs(3)) << rows.dump();
  const auto cell = [&](const json& row, const std::string& title) {
    const auto at = std::find(rows[0].begin(), rows[0].end(), title) - rows[0].begin();
    return row.at(static_cast<std::size_t>(at)).get<std::string>();
  };
  for (const json& best : bests) {
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const json& each) {
      return cell(each, "workload") == best["workload"];
    });
    ASSERT_NE(row, rows.end()) << best["workload"];
    char number[32];
    std::snprintf(number, sizeof number, "%.2f", best["min_ns"].get<double>() / 1e3);
    EXPECT_EQ(cell(*row, "us"), number);
    std::snprintf(number, sizeof number, "%.1f", best["gops"].get<double>());
    EXPECT_EQ(cell(*row, "GOP/s"), number);
    if (best["peak_share"].is_number()) {
      std::snprintf(number, sizeof number, "%.0f%%", 100 * best["peak_share"].get<double>());
      EXPECT_EQ(cell(*row, "of peak"), number);
    }
    EXPECT_EQ(cell(*row, "config"), best["config_id"]);
    EXPECT_EQ(cell(*row, "device"), best["device"]);
    EXPECT_EQ(cell(*row, "trials"), std::to_string(best["trials"].get<int>()));
    EXPECT_EQ(cell(*row, "how"), best["confirmed"] ? "tuned, confirmed" : "tuned");
  }
  EXPECT_THAT(page["sections"]["verdict"].get<std::string>(),
              AllOf(HasSubstr("ms untuned"), HasSubstr("all confirmed"),
                    HasSubstr("2 best configs are new")));
  EXPECT_THAT(page["sections"]["store"].get<std::string>(), HasSubstr("kiln tune"));
}

TEST_F(ReportTest, NetworkAloneIsLookedAtWhereOneIsNamed) {
  Tune(kDense, 3);
  Tune(kOther, 3);
  const std::string page = Page({"--workload", kDense});
  EXPECT_THAT(page, AllOf(HasSubstr("fc 64-&gt;10"), Not(HasSubstr("fc 32-&gt;16"))));
}

TEST_F(ReportTest, SinceDecidesWhatIsNew) {
  Tune(kDense, 3);
  EXPECT_THAT(Page({"--since", "1h"}), HasSubstr("1 best config is new since then"));
  Sql("UPDATE measurements SET measured_ms = measured_ms - 7200000");
  EXPECT_THAT(Page({"--since", "1h"}), HasSubstr("Nothing was tried since then"));
  EXPECT_THAT(Page({"--since", "3h"}), HasSubstr("1 best config is new since then"));
}

TEST_F(ReportTest, TimeThatIsNoneIsAWrongCommandLine) {
  Tune(kDense, 1);
  for (const char* time : {"yesterday", "25:00", "2026-13-01", "2999-01-01", "infinite-future"}) {
    const Outcome outcome = ExpectKiln(2, {"report", "--since", time, "--out", "-"});
    EXPECT_EQ(outcome.out, "");
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  }
  ExpectKiln(0, {"report", "--since", "2020-01-01", "--out", "-"});
  ExpectKiln(0, {"report", "--since", "2020-01-01 22:00", "--out", "-"});
  ExpectKiln(0, {"report", "--since", "2020-01-01T22:00:00Z", "--out", "-"});
  ExpectKiln(0, {"report", "--since", "00:01", "--out", "-"});
}

TEST_F(ReportTest, DatabaseWithoutTrialsIsAPageOfWords) {
  Tune(kDense, 1);
  Sql("DELETE FROM measurements; DELETE FROM trials; DELETE FROM tasks; DELETE FROM sessions");
  const std::string page = Page();
  EXPECT_THAT(page, AllOf(HasSubstr("No trials yet: `kiln tune"), HasSubstr("None failed, ever"),
                          HasSubstr("No curves yet")));
}

TEST_F(ReportTest, DatabaseThatIsMissingOrOfANewerKilnIsOneLine) {
  const std::string missing = scratch_.Path("none.db");
  Outcome outcome = ExpectKiln(1, {"report", "--db", missing, "--out", "-"});
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("no database at"));
  EXPECT_FALSE(std::filesystem::exists(missing)) << "a report makes no database";
  Tune(kDense, 1);
  Sql("PRAGMA user_version = 99");
  outcome = ExpectKiln(1, {"report", "--out", scratch_.Path("report.html")});
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("newer Kiln (schema 99"));
  EXPECT_FALSE(std::filesystem::exists(scratch_.Path("report.html")));
}

TEST_F(ReportTest, NightThatFailedEntirelyIsToldWithCommands) {
  Tune(kDense, 3);
  Sql("UPDATE measurements SET status = 'wrong_result', stage = 'verify', message = 'byte <3>',"
      " min_ns = NULL, median_ns = NULL, samples = NULL, calls = NULL");
  const std::string page = Page();
  EXPECT_THAT(page, AllOf(HasSubstr("Nothing works yet: all of 3 trials"),
                          HasSubstr("verify: WRONG_RESULT"), HasSubstr("byte &lt;3&gt;"),
                          HasSubstr(std::string("kiln verify --workload ") + kDense)));
}

TEST_F(ReportTest, PageIsReplacedWholeOrNotAtAll) {
  Tune(kDense, 1);
  const std::string kept = scratch_.Write("kept.html", "as it was");
  ExpectKiln(1, {"report", "--db", scratch_.Path("none.db"), "--out", kept});
  EXPECT_EQ(BytesOf(kept), "as it was");
  const Outcome outcome =
      ExpectKiln(1, {"report", "--out", scratch_.Path("no/such/folder/report.html")});
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  ExpectKiln(0, {"report", "--out", kept});
  EXPECT_THAT(BytesOf(kept), testing::StartsWith("<!DOCTYPE html>"));
}

TEST_F(ReportTest, DatabaseThatOthersWriteIsOnlyRead) {
  Tune(kDense, 2);
  SQLite::Database writer(scratch_.database(), SQLite::OPEN_READWRITE);
  SQLite::Transaction transaction(writer, SQLite::TransactionBehavior::IMMEDIATE);
  EXPECT_THAT(Page(), HasSubstr("fc 64-&gt;10")) << "waits for no writer";
}

}  // namespace
}  // namespace kiln
