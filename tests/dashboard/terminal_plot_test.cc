#include "dashboard/terminal_plot.h"

#include <gmock/gmock.h>

#include <regex>
#include <sstream>

#include "base/rng.h"
#include "tests/base/text_lines.h"

namespace kiln {
namespace {

using testing::HasSubstr;
using testing::Not;

CurveChart Rising(int trials) {
  CurveChart chart{.title = "conv3x3 on owl: best of many trials, with a title that is rather long",
                   .x_label = "trials",
                   .y_label = "GOP/s",
                   .mark_label = "confirmed"};
  for (int i = 1; i <= trials; ++i) chart.curve.push_back({double(i), 10.0 * i});
  return chart;
}

TEST(TerminalPlotTest, ARisingCurveInAscii) {
  CurveChart chart{.title = "rising",
                   .x_label = "trials",
                   .y_label = "GOP/s",
                   .curve = {{1, 0}, {10, 10}, {20, 20}},
                   .marks = {{20, 20}},
                   .mark_label = "confirmed"};
  EXPECT_EQ(PlotCurve(chart, {.width = 30, .height = 5}),
            "rising\n"
            "   GOP/s\n"
            "20 +                         o\n"
            "   |                         *\n"
            "10 +             *************\n"
            "   |             *\n"
            " 0 + *************\n"
            "   ++------------+-----------+\n"
            "    0           10          20\n"
            "    trials   o confirmed\n");
}

TEST(TerminalPlotTest, NoLineIsLongerThanItsWidth) {
  for (const PlotCharset charset : {PlotCharset::kAscii, PlotCharset::kUnicode}) {
    for (int width = 30; width <= 200; ++width) {
      for (const int trials : {1, 7, 1000}) {
        const std::string text = PlotCurve(
            Rising(trials), {.width = width, .height = 4 + width % 20, .charset = charset});
        for (const std::string& line : LinesOf(text)) {
          ASSERT_LE(WidthOf(line), static_cast<std::size_t>(width)) << text;
        }
      }
    }
  }
}

TEST(TerminalPlotTest, RandomCurvesHaveAsManyLinesAsAsked) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    CurveChart chart = Rising(0);
    double best = rng.Unit() * 1e4;
    for (std::int64_t i = rng.Between(1, 400); i > 0; --i) {
      if (rng.Below(4) == 0) best *= rng.Unit() + 1e-3;
      chart.curve.push_back({double(chart.curve.size() + 1), best});
    }
    const int height = static_cast<int>(rng.Between(4, 30));
    const PlotStyle style{.width = static_cast<int>(rng.Between(30, 150)),
                          .height = height,
                          .charset = rng.Below(2) ? PlotCharset::kAscii : PlotCharset::kUnicode};
    EXPECT_EQ(LinesOf(PlotCurve(chart, style)).size(), static_cast<std::size_t>(height + 5));
  }
}

TEST(TerminalPlotTest, AsciiIsAscii) {
  CurveChart chart = Rising(100);
  chart.marks = {{50, 500}};
  const std::string text = PlotCurve(chart, {.width = 40});
  EXPECT_TRUE(std::ranges::all_of(text, [](char c) { return c == '\n' || (c >= 32 && c < 127); }))
      << text;
  EXPECT_THAT(text, HasSubstr("...")) << "the title is cut";
}

TEST(TerminalPlotTest, UnicodeHasEightDotsInACharacter) {
  CurveChart chart = Rising(100);
  chart.marks = {{50, 500}};
  const std::string text = PlotCurve(chart, {.width = 60, .charset = PlotCharset::kUnicode});
  EXPECT_THAT(text, HasSubstr("┤"));
  EXPECT_THAT(text, HasSubstr("└"));
  EXPECT_THAT(text, HasSubstr("◆ confirmed"));
  EXPECT_THAT(text, HasSubstr("\xE2\xA0")) << "no Braille pattern";
  EXPECT_THAT(text, Not(HasSubstr("*")));
}

TEST(TerminalPlotTest, ColoursChangeNoCharacter) {
  CurveChart chart = Rising(100);
  chart.marks = {{50, 500}};
  for (const PlotCharset charset : {PlotCharset::kAscii, PlotCharset::kUnicode}) {
    const std::string plain = PlotCurve(chart, {.charset = charset});
    const std::string coloured = PlotCurve(chart, {.charset = charset, .ink = PlotInk::kColour});
    EXPECT_THAT(plain, Not(HasSubstr("\033")));
    EXPECT_NE(plain, coloured);
    EXPECT_EQ(std::regex_replace(coloured, std::regex("\033\\[[0-9;]*m"), ""), plain);
  }
}

TEST(TerminalPlotTest, NumbersBelowTheAxisAreApart) {
  for (int width = 30; width <= 120; ++width) {
    const std::vector<std::string> lines =
        LinesOf(PlotCurve(Rising(123'456), {.width = width, .height = 5}));
    const std::string& numbers = lines[lines.size() - 2];
    std::istringstream words(numbers);
    double previous = -1;
    for (double number = 0; words >> number; previous = number) EXPECT_GT(number, previous);
    EXPECT_TRUE(words.eof()) << numbers;
  }
}

TEST(TerminalPlotTest, WithoutAPointItSaysSo) {
  EXPECT_THAT(PlotCurve(Rising(0), {}), HasSubstr("no point yet"));
}

}  // namespace
}  // namespace kiln
