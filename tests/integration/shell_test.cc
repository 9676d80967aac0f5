// What the programs say of themselves to real shells and to man.

#include <gmock/gmock.h>

#include <filesystem>
#include <sstream>

#include "base/paths.h"
#include "tests/base/text_lines.h"
#include "tests/integration/programs.h"

namespace kiln {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ShellTest : public KilnTest {
 protected:
  // The program's script for the shell, as a file.
  std::string ScriptOf(const std::string& program, const std::string& shell) const {
    const Outcome outcome = RunProgram(scratch_, {program, "--completion", shell});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return scratch_.Write("completion." + shell, outcome.out);
  }
  std::string Run(const std::string& program, const std::vector<std::string>& arguments) const {
    std::vector<std::string> command{*FindProgram(program)};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Outcome outcome = RunProgram(scratch_, command);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "") << program;
    return outcome.out;
  }
};

#define NEED(program, package)                                                   \
  if (!FindProgram(program).ok()) {                                              \
    GTEST_SKIP() << "SKIPPED: no " program " (Debian: apt install " package ")"; \
  }

// What bash offers for the last of these words.
class BashTest : public ShellTest {
 protected:
  std::vector<std::string> Offered(const std::string& words, const std::string& program = "kiln") {
    const std::string function = program == "kiln" ? "_kiln" : "_kiln_tracker";
    return LinesOf(Run("bash", {"-c", "source " + ScriptOf(program, "bash") + "; COMP_WORDS=(" +
                                          words + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); " +
                                          function + "; printf '%s\\n' \"${COMPREPLY[@]}\""}));
  }
};

TEST_F(BashTest, CommandsOptionsValuesAndFilesAreOffered) {
  NEED("bash", "bash");
  EXPECT_THAT(Offered("kiln ''"), AllOf(Contains("tune"), Contains("daemon"), Contains("--help"),
                                        Not(Contains("run-job"))));
  EXPECT_THAT(Offered("kiln tu"), ElementsAre("tune"));
  EXPECT_THAT(Offered("kiln db ''"), AllOf(Contains("merge"), Not(Contains("tune"))));
  EXPECT_THAT(Offered("kiln db me"), ElementsAre("merge"));
  EXPECT_THAT(Offered("kiln tune --trials-"), ElementsAre("--trials-per-task"));
  EXPECT_THAT(Offered("kiln tune --cache ''"), ElementsAre("hot", "cold"));
  EXPECT_THAT(Offered("kiln tune --cache = c"), ElementsAre("cold"));
  EXPECT_THAT(Offered("kiln tune --network mobilenet_v"),
              ElementsAre("mobilenet_v1", "mobilenet_v2"));
  EXPECT_THAT(Offered("kiln tune --target ras"), Contains("rasp4b"));
  EXPECT_THAT(Offered("kiln tune --seed ''"), ElementsAre("")) << "any number";
  const std::string model = scratch_.Write("m.tflite", "");
  EXPECT_THAT(Offered("kiln tune --model " + scratch_.Path("m.")), ElementsAre(model));
  EXPECT_THAT(Offered("kiln db merge " + scratch_.Path("m.")), ElementsAre(model));
  EXPECT_THAT(Offered("kiln-tracker --sta", "kiln-tracker"), ElementsAre("--state"));
}

TEST_F(ShellTest, FishOffersThem) {
  NEED("fish", "fish");
  const std::string script = ScriptOf("kiln", "fish");
  const auto offered = [&](const std::string& line) {
    std::vector<std::string> words;
    for (const std::string& each : LinesOf(Run(
             "fish", {"--no-config", "-c", "source " + script + "; complete -C '" + line + "'"}))) {
      words.push_back(each.substr(0, each.find('\t')));
    }
    return words;
  };
  EXPECT_THAT(offered("kiln "),
              AllOf(Contains("tune"), Contains("daemon"), Not(Contains("merge"))));
  EXPECT_THAT(offered("kiln db "), AllOf(Contains("merge"), Not(Contains("tune"))));
  EXPECT_THAT(offered("kiln tune --trials-"), ElementsAre("--trials-per-task"));
  EXPECT_THAT(offered("kiln tune --cache "), testing::UnorderedElementsAre("hot", "cold"));
  EXPECT_THAT(offered("kiln tune --network mobilenet_v"),
              ElementsAre("mobilenet_v1", "mobilenet_v2"));
  const std::string model = scratch_.Write("m.tflite", "");
  EXPECT_THAT(offered("kiln tune --model " + scratch_.Path("m.")), ElementsAre(model));
}

// A person at a terminal, who presses Tab and then looks at the line.
TEST_F(ShellTest, ZshCompletesWhatIsUnambiguous) {
  NEED("zsh", "zsh");
  const std::string typist = scratch_.Write("typist.zsh", R"(
zmodload zsh/zpty
zpty person zsh -f -i
zpty -w person "PS1= PS2= TERM=dumb; autoload -Uz compinit; compinit -u -D; source $1; print REA''DY"
zpty -r person seen '*READY*'
shift
for line in "$@"; do
  zpty -w -n person "$line"$'\t'$'\C-a'"print -r -- 'LINE:' "$'\C-e'" :END"$'\n'
  zpty -r person seen $'*\nLINE:*:END*'
  seen=${seen##*$'\n'LINE: }
  print -r -- "${seen%% :END*}"
done
zpty -d person
)");
  const std::string model = scratch_.Write("m.tflite", "");
  const std::vector<std::string> lines =
      LinesOf(Run("zsh", {"-f", typist, ScriptOf("kiln", "zsh"), "kiln tu", "kiln db mer",
                          "kiln tune --trials-p", "kiln tune --cache co", "kiln tune --policy gri",
                          "kiln tune --model " + scratch_.Path("m.tf")}));
  EXPECT_THAT(
      lines,
      ElementsAre(StartsWith("kiln tune"), StartsWith("kiln db merge"),
                  StartsWith("kiln tune --trials-per-task"), StartsWith("kiln tune --cache cold"),
                  StartsWith("kiln tune --policy grid"), StartsWith("kiln tune --model " + model)));
}

TEST_F(ShellTest, AnotherShellIsAMistake) {
  const Outcome outcome = ExpectKiln(2, {"--completion", "tcsh"});
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("tcsh"));
}

TEST_F(ShellTest, ManualPagesOfEveryCommandRenderWithoutWarnings) {
  for (const std::string program : {"kiln", "kiln-server", "kiln-tracker"}) {
    const Outcome outcome = RunProgram(scratch_, {program, "--manual", scratch_.Path("")});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  std::vector<std::string> pages;
  for (const auto& entry : fs::directory_iterator(scratch_.Path(""))) {
    if (entry.path().extension() == ".1") pages.push_back(entry.path().string());
  }
  EXPECT_THAT(
      pages,
      AllOf(Contains(scratch_.Path("kiln.1")), Contains(scratch_.Path("kiln-tune.1")),
            Contains(scratch_.Path("kiln-db-merge.1")), Contains(scratch_.Path("kiln-server.1")),
            Not(Contains(scratch_.Path("kiln-run-job.1")))));
  NEED("groff", "groff-base");
  for (const std::string& page : pages) {
    const std::string text = Run("groff", {"-man", "-Tutf8", "-ww", "-P-cbou", page});
    EXPECT_THAT(text, HasSubstr("NAME")) << page;
  }
  const std::string text =
      Run("groff", {"-man", "-Tutf8", "-ww", "-P-cbou", scratch_.Path("kiln-tune.1")});
  EXPECT_THAT(text, AllOf(HasSubstr("--trials-per-task"), HasSubstr("hot|cold"),
                          HasSubstr("kiln tune --network mobilenet_v1")));
}

TEST_F(ShellTest, ManualThatCannotBeWrittenIsAnError) {
  const Outcome outcome = ExpectKiln(1, {"--manual", scratch_.Path("nowhere")});
  EXPECT_TRUE(IsOneLine(outcome.err)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("nowhere"));
}

}  // namespace
}  // namespace kiln
