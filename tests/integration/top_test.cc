// `kiln top` on a terminal and without one: over a database that another program writes, a tracker and a
// daemon, as they are, come and go.

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "tests/integration/full_screen.h"
#include "tests/integration/night_scene.h"

namespace kiln {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kDense[] = "dense/i8/n1c64/o10/pt/wz0/act=none/rq=signed1/double";
constexpr char kOther[] = "dense/i8/n1c32/o16/pt/wz0/act=none/rq=signed1/double";
// Of the line of keys, which is on the screen all the time.
constexpr char kKeys[] = "? help";

class TopTest : public NightTest {
 protected:
  void SetUp() override {
    ShowTime("2026-11-27T12:00:00Z");
    SetEnvironment("xterm", "C.UTF-8");
  }
  void TearDown() override {
    unsetenv("NO_COLOR");
    NightTest::TearDown();
  }
  // What programs that are started from now on find.
  static void SetEnvironment(const char* term, const char* locale) {
    setenv("TERM", term, 1);
    setenv("LC_ALL", locale, 1);
  }
  void Tune(const std::string& workload = kDense) const {
    ExpectKiln(0, {"tune", "--workload", workload, "--trials", "8"});
  }
  void Sql(const std::string& statements) const {
    SQLite::Database(scratch_.database(), SQLite::OPEN_READWRITE).exec(statements);
  }
  void AllFail() const {
    Sql("UPDATE measurements SET status = 'timeout', stage = 'run', message = '20 s',"
        " samples = NULL, calls = NULL, min_ns = NULL, median_ns = NULL, bound_ns = NULL");
  }
  std::unique_ptr<RunningProgram> Start(const FullScreen& screen,
                                        std::vector<std::string> arguments = {}) const {
    arguments.insert(arguments.begin(), {"kiln", "top"});
    return std::make_unique<RunningProgram>(scratch_, arguments, screen.streams());
  }
  // Ends without having complained, and leaves the terminal as it was.
  static void ExpectCleanEnd(RunningProgram& top, const FullScreen& screen) {
    const Outcome outcome = top.Wait();
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.err, "");
    EXPECT_TRUE(screen.is_as_it_was());
  }
};

// ---- --once

TEST_F(TopTest, ADatabaseAloneIsEnough) {
  Tune();
  const Outcome top = ExpectKiln(0, {"top", "--once"});
  EXPECT_THAT(top.out,
              AllOf(HasSubstr("0 failed; 8 trials"), HasSubstr("fc 64->10"),
                    HasSubstr("`kiln submit` makes one"), HasSubstr("as the database has them"),
                    HasSubstr("Tasks of the last hour: 1;"), Not(HasSubstr("\033"))));
  EXPECT_EQ(top.err, "");
}

TEST_F(TopTest, WhatIsMissingIsSaidInWords) {
  EXPECT_THAT(ExpectKiln(1, {"top", "--once", "--db", scratch_.database()}).out,
              HasSubstr("no database"));
  const Outcome nothing = ExpectKiln(2, {"top", "--once"});
  EXPECT_TRUE(IsOneLine(nothing.err)) << nothing.err;
  EXPECT_THAT(nothing.err, HasSubstr("--tracker ADDRESS"));
  ExpectKiln(1, {"tune", "--workload", kDense, "--trials", "0"});
  EXPECT_THAT(ExpectKiln(0, {"top", "--once"}).out, HasSubstr("no trials yet: `kiln tune`"));
  Tune();
  Sql("UPDATE measurements SET measured_ms = measured_ms - 7200000");
  EXPECT_THAT(ExpectKiln(0, {"top", "--once"}).out, HasSubstr("no trial in the last hour"));
  Sql("PRAGMA user_version = 99");
  EXPECT_THAT(ExpectKiln(1, {"top", "--once"}).out, HasSubstr("newer Kiln (schema 99"));
}

TEST_F(TopTest, ANightThatFailedEntirelySaysSo) {
  Tune();
  AllFail();
  EXPECT_THAT(ExpectKiln(0, {"top", "--once"}).out,
              AllOf(HasSubstr("all that ran in the last hour failed, most often with run:"),
                    HasSubstr("20 s"), HasSubstr("fc 64->10")));
}

TEST_F(TopTest, ATrackerAndADaemonAreAsked) {
  StartTracker("127.0.0.1:0");
  StartServer("pi", "native");
  Configure("UTC", "[[window]]\nname = \"night\"\nfrom = \"22:00\"\nto = \"06:00\"\n");
  StartDaemon();
  Submit({"--workload", kDense, "--trials", "8", "--window", "night"});
  const auto both = ToDaemon({"top", "--once", "--tracker", address_});
  EXPECT_THAT(ExpectKiln(0, both).out,
              AllOf(HasSubstr("Devices: 1; 0 clients waiting"), HasSubstr("pi "),
                    HasSubstr("window night: opens Fri 22:00"), HasSubstr("1 job waiting")));
  // It goes away: the others stay.
  daemon_->Signal(SIGTERM);
  daemon_->Wait();
  EXPECT_THAT(ExpectKiln(1, both).out, AllOf(HasSubstr("no daemon answers at"), HasSubstr("pi ")));
  // What stands in the database is shown without it.
  EXPECT_THAT(ExpectKiln(0, {"top", "--once"}).out,
              AllOf(HasSubstr("1 job waiting"), HasSubstr("queued")));
}

TEST_F(TopTest, AJobThatHasEndedIsInTheVerdict) {
  Configure("UTC", "");
  StartDaemon();
  const std::int64_t id = Submit({"--workload", kDense, "--trials", "8", "--name", "mine"})["id"];
  ASSERT_TRUE(EventuallyIn(id, "done"));
  EXPECT_THAT(ExpectKiln(0, ToDaemon({"top", "--once"})).out,
              AllOf(HasSubstr("Last day: 1 job done, 0 failed;"), HasSubstr("done: mine (")));
}

// ---- on a terminal

TEST_F(TopTest, DrawsOnEightyByTwentyFourAndKeysDoAsTheySay) {
  Tune();
  Tune(kOther);
  FullScreen screen(80, 24);
  const auto top = Start(screen);
  ASSERT_TRUE(screen.Shows("fc 64->10")) << screen.text();
  EXPECT_TRUE(screen.has_colours());
  const auto lines = screen.lines();
  ASSERT_EQ(lines.size(), 24u);
  EXPECT_THAT(lines[0], StartsWith("kiln top  20"));
  EXPECT_THAT(lines[23], HasSubstr(kKeys));
  EXPECT_THAT(lines, Contains(HasSubstr("best so far")));
  EXPECT_THAT(screen.text(), AnyOf(HasSubstr("█"), HasSubstr("▇")));

  screen.Type("?");
  EXPECT_TRUE(screen.Shows("What columns mean")) << screen.text();
  screen.Type("?");
  EXPECT_TRUE(screen.NoLongerShows("What columns mean"));
  screen.Type("/32-");
  EXPECT_TRUE(screen.Shows("only rows with: 32-_"));
  EXPECT_TRUE(screen.NoLongerShows("fc 64->10")) << screen.text();
  EXPECT_THAT(screen.text(), HasSubstr("fc 32->16"));
  screen.Type("\r");
  EXPECT_TRUE(screen.Shows("filter (32-)"));
  screen.Type("s");
  EXPECT_TRUE(screen.Shows("sort (name)"));
  screen.Type("3");
  EXPECT_TRUE(screen.NoLongerShows("Tasks of the last hour"));
  screen.Type("3");
  EXPECT_TRUE(screen.Shows("fc 32->16"));
  screen.Type("\033");
  EXPECT_TRUE(screen.Shows("fc 64->10")) << "Esc: all rows";
  screen.Type("q");
  ExpectCleanEnd(*top, screen);
}

TEST_F(TopTest, TheTerminalMayChangeItsSize) {
  Tune();
  FullScreen screen(80, 24);
  const auto top = Start(screen);
  ASSERT_TRUE(screen.Shows("fc 64->10"));
  const auto resized = [&](int columns, int rows) {
    screen.Resize(columns, rows);
    top->Signal(SIGWINCH);
    return screen.WaitUntil([&](const std::vector<std::string>& lines) {
      const bool keys_below =
          lines.back().find(columns > 60 ? kKeys : "q end") != std::string::npos;
      const auto with_keys = std::ranges::count_if(
          lines, [](const std::string& line) { return line.starts_with("q end"); });
      return keys_below && with_keys == 1 && lines.size() == static_cast<std::size_t>(rows);
    });
  };
  EXPECT_TRUE(resized(200, 50)) << screen.text();
  EXPECT_TRUE(screen.Shows("1 thread")) << "there is room for more columns\n" << screen.text();
  EXPECT_TRUE(resized(20, 5)) << screen.text();
  EXPECT_TRUE(resized(80, 24)) << screen.text();
  EXPECT_TRUE(screen.Shows("fc 64->10")) << screen.text();
  screen.Type("q");
  ExpectCleanEnd(*top, screen);
}

TEST_F(TopTest, WithoutUtf8AndColoursItIsWordsInAscii) {
  Tune();
  SetEnvironment("xterm", "C");
  setenv("NO_COLOR", "1", 1);
  FullScreen screen(80, 24);
  const auto top = Start(screen);
  ASSERT_TRUE(screen.Shows("fc 64->10"));
  EXPECT_TRUE(std::ranges::all_of(screen.text(), [](char c) {
    return c == '\n' || (c >= ' ' && c < 127);
  })) << screen.text();
  EXPECT_FALSE(screen.has_colours());
  screen.Type("q");
  ExpectCleanEnd(*top, screen);
}

TEST_F(TopTest, AUtf8LocaleThatTheMachineLacksIsUtf8AllTheSame) {
  Tune();
  SetEnvironment("xterm", "xx_XX.UTF-8");
  FullScreen screen(80, 24);
  const auto top = Start(screen);
  ASSERT_TRUE(screen.Shows("fc 64->10"));
  EXPECT_THAT(screen.text(), AnyOf(HasSubstr("█"), HasSubstr("▇")));
  screen.Type("q");
  ExpectCleanEnd(*top, screen);
}

TEST_F(TopTest, SignalsEndItAsQDoes) {
  Tune();
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    FullScreen screen(80, 24);
    const auto top = Start(screen);
    ASSERT_TRUE(screen.Shows("fc 64->10"));
    top->Signal(signal);
    ExpectCleanEnd(*top, screen);
  }
}

TEST_F(TopTest, WhereItCannotDrawItSaysWhatToDo) {
  Tune();
  const Outcome none = ExpectKiln(1, {"top"});
  EXPECT_TRUE(IsOneLine(none.err)) << none.err;
  EXPECT_THAT(none.err, AllOf(HasSubstr("no terminal"), HasSubstr("--once")));
  for (const char* term : {"dumb", "no-such-terminal"}) {
    SetEnvironment(term, "C");
    FullScreen screen(80, 24);
    const Outcome outcome = Start(screen)->Wait();
    EXPECT_EQ(outcome.status, 1);
    EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(term), HasSubstr("--once")));
    EXPECT_THAT(screen.text(), Not(HasSubstr("kiln"))) << "nothing was drawn";
  }
}

TEST_F(TopTest, ADatabaseThatComesAndGrowsMeanwhileIsSeen) {
  FullScreen screen(80, 24);
  const auto top = Start(screen, {"--db", scratch_.database()});
  ASSERT_TRUE(screen.Shows("no database")) << screen.text();
  Tune();
  screen.Type("r");
  EXPECT_TRUE(screen.Shows("fc 64->10")) << screen.text();
  AllFail();
  screen.Type("r");
  EXPECT_TRUE(screen.Shows("all that ran in the last hour failed")) << screen.text();
  screen.Type("q");
  ExpectCleanEnd(*top, screen);
}

TEST_F(TopTest, ATrackerThatGoesAwayIsStaleUntilItIsBack) {
  StartTracker("127.0.0.1:0");
  StartServer("pi", "native");
  Tune();
  FullScreen screen(80, 24);
  const auto top = Start(screen, {"--tracker", address_});
  ASSERT_TRUE(screen.Shows("Devices: 1;")) << screen.text();
  ASSERT_TRUE(screen.Shows("pi "));
  tracker_->Signal(SIGKILL);
  tracker_->Wait();
  EXPECT_TRUE(screen.Shows("STALE, as of ")) << screen.text();
  EXPECT_THAT(screen.text(), AllOf(HasSubstr("pi "), HasSubstr("fc 64->10"))) << "as it was";
  StartTracker(address_);
  EXPECT_TRUE(screen.NoLongerShows("STALE")) << screen.text();
  EXPECT_TRUE(screen.Shows("Devices: 1;")) << "it registered again\n" << screen.text();
  screen.Type("q");
  ExpectCleanEnd(*top, screen);
}

TEST_F(TopTest, FiveHundredTasksAreCountedAndScrolled) {
  Tune();
  Sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 499)"
      " INSERT INTO tasks (workload, target, threads, cache, template)"
      " SELECT 'dense/i8/n1c' || (100 + i) || '/o10/pt/wz0/act=none/rq=signed1/double', target,"
      " threads, cache, template FROM n, (SELECT * FROM tasks LIMIT 1)");
  Sql("INSERT INTO trials (task_id, seq, config_id, labels, code_digest, kind, batch, session_id)"
      " SELECT k.id, t.seq, config_id, labels, code_digest, kind, batch, session_id"
      " FROM tasks k, (SELECT * FROM trials LIMIT 1) t WHERE k.id NOT IN (SELECT task_id FROM "
      "trials)");
  Sql("INSERT INTO measurements (uuid, trial_id, purpose, kind, device, measured_ms, status, "
      "samples,"
      " calls, min_ns, median_ns) SELECT 'u' || t.id, t.id, m.purpose, m.kind, device, measured_ms,"
      " status, samples, calls, min_ns, median_ns FROM trials t,"
      " (SELECT * FROM measurements WHERE purpose = 'tune' AND status = 'ok' LIMIT 1) m"
      " WHERE t.id NOT IN (SELECT trial_id FROM measurements)");
  FullScreen screen(80, 24);
  const auto top = Start(screen);
  ASSERT_TRUE(screen.Shows("Tasks of the last hour: 500")) << screen.text();
  EXPECT_TRUE(screen.Shows("the latest 60; 440 more"));
  ASSERT_TRUE(screen.Shows("... 1-")) << screen.text();
  screen.Type("\033OB");  // down
  EXPECT_TRUE(screen.Shows("... 2-")) << screen.text();
  screen.Type("\033OA");
  EXPECT_TRUE(screen.Shows("... 1-")) << screen.text();
  screen.Type("q");
  ExpectCleanEnd(*top, screen);
}

}  // namespace
}  // namespace kiln
