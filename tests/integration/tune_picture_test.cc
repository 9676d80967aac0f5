// `kiln tune` as a person sees it on a terminal.

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>

#include "tests/integration/programs.h"
#include "tests/integration/terminal.h"

namespace kiln {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Gt;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr char kConv[] =
    "conv2d/i8/n1h9w9c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kDense[] = "dense/i8/n1c100/o30/pc/wz0/act=none/rq=int9/double";

class TunePictureTest : public KilnTest {
 protected:
  Outcome Tune(TestTerminal& terminal) {
    RunningProgram program(scratch_,
                           {"kiln", "tune", "--workload", kConv, kDense, "--trials-per-task", "12"},
                           {.err = terminal.path()});
    const Outcome outcome = program.Wait();
    EXPECT_EQ(outcome.status, 0);
    terminal.Finish();
    return outcome;
  }
  // What programs that are started from now on find.
  static void SetEnvironment(const char* term, const char* locale) {
    setenv("TERM", term, 1);
    setenv("LC_ALL", locale, 1);
  }
};

TEST_F(TunePictureTest, TasksStayInPlaceAndThePictureGoesBeforeTheSummary) {
  SetEnvironment("xterm", "C.UTF-8");
  TestTerminal terminal(100, 24);
  const Outcome outcome = Tune(terminal);
  EXPECT_THAT(terminal.screen(), ElementsAre(StartsWith("workloads: 2 tasks on ")));
  EXPECT_THAT(terminal.seen(), Contains(HasSubstr("best so far")));
  EXPECT_THAT(terminal.seen(), Contains(testing::ContainsRegex("^conv3x3 9x9 8->16 +12 .*█")));
  EXPECT_THAT(terminal.seen(), Contains(testing::ContainsRegex("^fc 100->30 .*confirming")));
  EXPECT_THAT(terminal.seen(), Not(Contains(StartsWith("[ "))));
  // The verdict is what comes first.
  EXPECT_THAT(outcome.out, StartsWith("workloads, 1 thread: "));
}

TEST_F(TunePictureTest, FitsATerminalThatIsSmallAndWithoutUnicode) {
  SetEnvironment("xterm", "C");
  TestTerminal terminal(40, 5);
  Tune(terminal);
  // A line that were too long would leave its rest behind.
  EXPECT_THAT(terminal.screen(), ElementsAre(StartsWith("workloads: 2 tasks on "), SizeIs(Gt(0))));
  for (const std::string& line : terminal.seen()) {
    EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c < 127; })) << line;
  }
}

TEST_F(TunePictureTest, ATerminalThatCannotGoBackGetsLines) {
  SetEnvironment("dumb", "C");
  TestTerminal terminal(200, 24);
  Tune(terminal);
  EXPECT_THAT(terminal.screen(), Contains(StartsWith("[ 2/2] ")));
}

}  // namespace
}  // namespace kiln
