#include "apps/kiln/terminal.h"

#include <gtest/gtest.h>

#include <map>

namespace kiln {
namespace {

using Variables = std::map<std::string, std::string>;

OutputFace Face(const Variables& variables, bool is_terminal = true, int columns = 132) {
  return FaceFor(is_terminal, columns, [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? std::string() : found->second;
  });
}

TEST(TerminalTest, UnicodeIsForLocalesOfUtf8) {
  for (const char* locale : {"C.UTF-8", "de_DE.utf8", "en_US.UTF-8@euro"}) {
    EXPECT_EQ(Face({{"LANG", locale}}).charset, PlotCharset::kUnicode) << locale;
  }
  for (const char* locale : {"", "C", "POSIX", "de_DE", "de_DE.ISO-8859-1"}) {
    EXPECT_EQ(Face({{"LANG", locale}}).charset, PlotCharset::kAscii) << locale;
  }
}

TEST(TerminalTest, TheFirstVariableThatIsSetDecides) {
  EXPECT_EQ(Face({{"LC_ALL", "C"}, {"LANG", "C.UTF-8"}}).charset, PlotCharset::kAscii);
  EXPECT_EQ(Face({{"LC_ALL", ""}, {"LC_CTYPE", "C.UTF-8"}, {"LANG", "C"}}).charset,
            PlotCharset::kUnicode);
}

TEST(TerminalTest, ColoursAreForTerminalsOfWhoWantsThem) {
  EXPECT_EQ(Face({}).ink, PlotInk::kColour);
  EXPECT_EQ(Face({{"NO_COLOR", "1"}}).ink, PlotInk::kPlain);
  EXPECT_EQ(Face({{"NO_COLOR", ""}}).ink, PlotInk::kColour) << "empty is as if it were not set";
  EXPECT_EQ(Face({{"TERM", "dumb"}}).ink, PlotInk::kPlain);
  EXPECT_EQ(Face({}, false).ink, PlotInk::kPlain);
}

TEST(TerminalTest, APipeHas80Columns) {
  EXPECT_EQ(Face({}).width, 132);
  EXPECT_EQ(Face({}, false).width, 80);
  EXPECT_EQ(Face({}, true, 0).width, 80) << "it does not say";
}

}  // namespace
}  // namespace kiln
