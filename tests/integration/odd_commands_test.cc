// Random command lines of odd values: every option that a command's own help lists is given values
// that it does and does not expect, on streams that are whole, full or closed. Whatever comes, a
// program ends by itself with status 0, 1 or 2, and an error is one line.

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "base/rng.h"
#include "tests/integration/programs.h"

namespace kiln {
namespace {

constexpr std::uint64_t kSeed = 20261126;
constexpr int kCommandLines = 150;  // a second or two each at most; $KILN_ODD_COMMANDS: so many

// The long options that a help text lists, but for --help itself.
std::vector<std::string> OptionsOf(const std::string& help) {
  std::vector<std::string> names;
  const std::regex option("^ +(?:-[a-z],)?(--[a-z][a-z-]*)");
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line) && line != "Examples:";) {
    std::smatch found;
    if (std::regex_search(line, found, option) && found[1] != "--help") {
      names.push_back(found[1]);
    }
  }
  return names;
}

class OddCommandsTest : public KilnTest {
 protected:
  template <typename Value>
  const Value& Pick(const std::vector<Value>& values) {
    return values[rng_.Next() % values.size()];
  }

  // What an option may be given, whatever it expects.
  std::vector<std::string> OddValues() const {
    return {"0",
            "1",
            "-1",
            "2",
            "nan",
            "inf",
            "1e999",
            "2147483648",
            "9223372036854775807",
            "18446744073709551616",
            "",
            " ",
            "\xff\xfe",
            std::string(5000, 'x'),
            "1s",
            "99999999999h",
            "24:61",
            "native",
            "x86-64",
            "default",
            "a=b",
            "hot",
            "random",
            "c",
            "mobilenet_v1",
            "127.0.0.1:1",
            "127.0.0.1:99999",
            "unix:" + scratch_.Path("nobody"),
            "dense/i8/n1c8/o4/pt/wz0/act=none/rq=signed1/double",
            "dense/i8/n1c0/o4/pt/wz0/act=none/rq=signed1/double",
            "conv2d/i8/n1h1",
            scratch_.Path("absent"),
            scratch_.Path("empty"),
            scratch_.Path("noise"),
            scratch_.Path("directory"),
            scratch_.Path("unreadable"),
            "/dev/null",
            "/proc/self/mem"};
  }

  void MakeFiles() const {
    scratch_.Write("empty", "");
    scratch_.Write("noise", std::string(3000, '\x5a'));
    std::filesystem::create_directory(scratch_.Path("directory"));
    std::filesystem::permissions(scratch_.Write("unreadable", "TFL3"),
                                 std::filesystem::perms::none);
  }

  std::vector<std::string> RandomCommand(const std::string& name,
                                         const std::vector<std::string>& options) {
    std::vector<std::string> command{"kiln", name};
    const std::vector<std::string> values = OddValues();
    const auto count = rng_.Next() % 4;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string& option = Pick(options);
      if (option == "--follow") continue;  // for ever
      command.push_back(option);
      if (rng_.Next() % 8 != 0) command.push_back(Pick(values));
    }
    // What would take long if it were right. Given twice it is wrong, which is right, too.
    const auto bound = [&](const char* option, const char* value) {
      command.insert(command.end(), {option, value});
    };
    if (name == "tune") bound("--trials", "1");
    if (name == "verify") bound("--samples", "0");
    if (name == "bench") bound("--rounds", "1");
    if (name == "tune" || name == "verify" || name == "bench") bound("--wait", "1s");
    if (rng_.Next() % 2 == 0 && name != "targets" && name != "devices") {
      bound("--workload", "dense/i8/n1c8/o4/pt/wz0/act=none/rq=signed1/double");
    }
    return command;
  }

  Streams RandomStreams() {
    return {.in = Pick<std::string>({"/dev/null", kClosed}),
            .out = Pick<std::string>({"", "", "", "/dev/full", kClosed}),
            .err = Pick<std::string>({"", "", "", "/dev/full", kClosed})};
  }

  Rng rng_{kSeed};
};

TEST_F(OddCommandsTest, EndByThemselvesWithOneClearLine) {
  MakeFiles();
  std::map<std::string, std::vector<std::string>> options;
  for (const char* name :
       {"tune", "best", "history", "bench", "verify", "space", "workloads", "devices", "targets"}) {
    options[name] = OptionsOf(ExpectKiln(0, {name, "--help"}).out);
    ASSERT_FALSE(options[name].empty()) << name;
  }
  std::vector<std::string> names;
  for (const auto& [name, ignored] : options) names.push_back(name);
  const char* wish = std::getenv("KILN_ODD_COMMANDS");
  for (int i = 0; i < (wish != nullptr ? std::atoi(wish) : kCommandLines); ++i) {
    const std::string& name = Pick(names);
    const std::vector<std::string> command = RandomCommand(name, options[name]);
    const Streams streams = RandomStreams();
    const Outcome outcome = RunProgram(scratch_, command, kPatience, streams);
    SCOPED_TRACE(testing::PrintToString(command) + " > '" + streams.out + "' 2> '" + streams.err +
                 "': status " + std::to_string(outcome.status) + "\n" + outcome.out + outcome.err);
    EXPECT_GE(outcome.status, 0);
    EXPECT_LE(outcome.status, 2);
    if (outcome.status == 2 && streams.err.empty()) {
      EXPECT_TRUE(IsOneLine(outcome.err));
      EXPECT_EQ(outcome.out, "");
    }
    // What failed says why, on whichever stream is left.
    if (outcome.status == 1 && streams.err.empty()) {
      EXPECT_FALSE(outcome.err.empty() && outcome.out.empty());
    }
    EXPECT_EQ(outcome.err.find("terminate called"), std::string::npos);
  }
}

}  // namespace
}  // namespace kiln
