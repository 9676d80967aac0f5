#include "daemon/config_table.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <vector>

#include "base/rng.h"
#include "tests/daemon/config_text.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TEST(ConfigTableTest, UnknownKeysAndTablesAreNamed) {
  EXPECT_EQ(ErrorOf("[[window]]\n\nname = 'n'\nform = '22:00'\nto = '06:00'\n"),
            "night.toml:4: unknown key `form` in [[window]]: did you mean `from`?");
  EXPECT_EQ(ErrorOf("[farm]\ntracker = 'a:1'\nport = 3\n"),
            "night.toml:3: unknown key `port` in [farm]: known are tracker, ca, cert, key");
  EXPECT_EQ(ErrorOf("nmae = 'owl'\n"), "night.toml:1: unknown key `nmae`: did you mean `name`?");
  EXPECT_EQ(ErrorOf("\n[lisen]\n"), "night.toml:2: unknown table `lisen`: did you mean `listen`?");
  EXPECT_EQ(ErrorOf("[[windows]]\n"),
            "night.toml:1: unknown table `windows`: did you mean `window`?");
  EXPECT_EQ(ErrorOf("[tls]\n"),
            "night.toml:1: unknown table `tls`: known are name, database, zone, listen, farm, "
            "window, jobs, end, maintenance");
  EXPECT_EQ(ErrorOf("[end.extra]\n"),
            "night.toml:1: unknown table `extra` in [end]: known are command, time");
  // Of several the first.
  EXPECT_THAT(ErrorOf("zebra = 1\nant = 2\n"), HasSubstr("night.toml:1: unknown key `zebra`"));
}

TEST(ConfigTableTest, WrongTypesAreNamed) {
  EXPECT_EQ(ErrorOf("name = 3"),
            "night.toml:1: `name` must be a text in quotes, not a whole number");
  EXPECT_EQ(ErrorOf("\nzone = true"),
            "night.toml:2: `zone` must be a text in quotes, not true or false");
  EXPECT_EQ(ErrorOf("[jobs]\nper_user = 1.5"),
            "night.toml:2: `per_user` in [jobs] must be a whole number, not a fraction");
  EXPECT_EQ(ErrorOf("[jobs]\nper_user = '2'"),
            "night.toml:2: `per_user` in [jobs] must be a whole number, not a text");
  EXPECT_EQ(
      ErrorOf("[maintenance]\nat = 12:00:00"),
      "night.toml:2: `at` in [maintenance] must be a text in quotes, not a time without quotes");
  EXPECT_EQ(
      ErrorOf("[maintenance]\nat = 2026-11-27"),
      "night.toml:2: `at` in [maintenance] must be a text in quotes, not a date without quotes");
  EXPECT_EQ(ErrorOf("listen = 'unix:/s'"),
            "night.toml:1: `listen` must be a table, not a text: write [listen]");
  EXPECT_EQ(ErrorOf("[[jobs]]\n"),
            "night.toml:1: `jobs` must be a table, not a list: write [jobs]");
  EXPECT_EQ(ErrorOf("\n[window]\nname = 'n'\n"),
            "night.toml:2: `window` must be a list of tables, not a table: write [[window]]");
  EXPECT_EQ(
      ErrorOf("window = [1]"),
      "night.toml:1: `window` must be a list of tables, but has a whole number: write [[window]]");
  EXPECT_EQ(
      WindowError(std::string(kNight) + "days = 5"),
      "night.toml:5: `days` in [[window]] must be a list of texts in quotes, not a whole number");
  EXPECT_EQ(
      ErrorOf("[end]\ncommand = ['/bin/sh', 3]"),
      "night.toml:2: `command` in [end] must be a list of texts in quotes, but has a whole number");
  EXPECT_EQ(ErrorOf("[end]\ncommand = ['/bin/sh', ['a']]"),
            "night.toml:2: `command` in [end] must be a list of texts in quotes, but has a list");
}

TEST(ConfigTableTest, TextsAreNeitherEmptyNorOfSeveralLines) {
  EXPECT_EQ(ErrorOf("name = ''"), "night.toml:1: `name` is empty: leave it out, or say something");
  EXPECT_EQ(ErrorOf("database = \"/a\\nb\""), "night.toml:1: `database` has control characters");
  EXPECT_EQ(
      ErrorOf("\"a\\nb\" = 1"),
      "night.toml:1: unknown key `a?b`: known are name, database, zone, listen, farm, window, "
      "jobs, end, maintenance");
}

TEST(ConfigTableTest, LongTextsAreCutInErrors) {
  EXPECT_EQ(ErrorOf("name = '" + std::string(200, '/') + "'"),
            "night.toml:1: `name` is `" + std::string(150, '/') +
                "...`: a name has up to 128 characters, no space, no slash");
  EXPECT_EQ(ErrorOf("[jobs]\ngrace = '" + std::string(9999, '1') + "'"),
            "night.toml:2: `grace` in [jobs]: `" + std::string(480, '1') + "...");
}

TEST(ConfigTableTest, BrokenTomlIsExplained) {
  EXPECT_EQ(ErrorOf("name = 'a'\nname = 'b'\n"), "night.toml:2: `name` is there twice");
  EXPECT_EQ(ErrorOf("[end]\n[jobs]\n[end]\n"), "night.toml:3: `end` is there twice");
  EXPECT_EQ(ErrorOf("\nname owl\n"), "night.toml:2: key-value pair: expected '=', saw 'o'");
  EXPECT_THAT(ErrorOf("[\nname = 1\n"), HasSubstr("night.toml:1: key: expected bare key"));
  EXPECT_EQ(ErrorOf("[[window]]\nname = 'n'\nfrom = 22:00\n"),
            "night.toml:3: a time of day is a text in quotes: \"22:00\"");
  EXPECT_EQ(ErrorOf("name = '\xff'\n"), "night.toml:1: Encountered invalid utf-8 sequence");
}

TEST(ConfigTableTest, LongAndDeepFilesAreRefused) {
  EXPECT_EQ(ErrorOf(std::string(32769, '#')), "night.toml: 32769 bytes, at most 32768 are read");
  EXPECT_EQ(ErrorOf(std::string(32768, '#')), "");
  std::string deep = "name";
  while (deep.size() < 32700) deep += ".a";
  EXPECT_EQ(ErrorOf(deep + " = 1"), "night.toml:1: `name` must be a text in quotes, not a table");
  EXPECT_THAT(ErrorOf("name = " + std::string(20000, '[')),
              MatchesRegex("night\\.toml:1: [^\n]*nested[^\n]*"));
}

// Lines of a file that is good, deleted, doubled, moved, or with another value.
std::string Mutated(Rng& rng) {
  std::vector<std::string> lines;
  std::istringstream in(kFull);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  const std::string values[] = {"1",
                                "-1",
                                "1.5",
                                "true",
                                "22:00",
                                "22:00:00",
                                "\"22:00\"",
                                "\"\"",
                                "[]",
                                "[1]",
                                "{}",
                                "{a=1}",
                                "\"a\\nb\"",
                                "[\"mon\"]",
                                "nan",
                                "'/x'",
                                "0x7fffffffffffffff",
                                "1979-05-27",
                                "\"\"\"",
                                ""};
  for (std::uint64_t left = rng.Between(1, 4); left > 0; --left) {
    const std::size_t at = rng.Below(lines.size());
    const std::size_t other = rng.Below(lines.size());
    switch (rng.Below(5)) {
      case 0:
        lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 1:
        lines.insert(lines.begin() + static_cast<std::ptrdiff_t>(other), lines[at]);
        break;
      case 2:
        std::swap(lines[at], lines[other]);
        break;
      case 3:
        lines[at] =
            lines[at].substr(0, lines[at].find('=') + 1) + values[rng.Below(std::size(values))];
        break;
      default:
        if (lines[at].empty()) break;
        lines[at][rng.Below(lines[at].size())] = static_cast<char>(rng.Below(256));
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

TEST(ConfigTableTest, RandomMistakesAreOneLineWithItsNumber) {
  int good = 0, bad = 0;
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    Rng rng(seed);
    const std::string text = Mutated(rng);
    SCOPED_TRACE("seed " + std::to_string(seed) + ":\n" + text);
    const std::string error = ErrorOf(text);
    error.empty() ? ++good : ++bad;
    if (error.empty()) continue;
    const auto lines = std::count(text.begin(), text.end(), '\n');
    ASSERT_THAT(error, MatchesRegex("night\\.toml:[0-9]+: [^\n\r]+"));
    ASSERT_LE(std::atoi(error.c_str() + 11), lines + 1);
    ASSERT_GE(std::atoi(error.c_str() + 11), 1);
    ASSERT_LT(error.size(), 500u);
  }
  EXPECT_GT(good, 100);
  EXPECT_GT(bad, 1000);
}

}  // namespace
}  // namespace kiln
