#include "dashboard/curve_svg.h"

#include <gmock/gmock.h>

#include <cstring>

#include "tests/dashboard/svg_check.h"

namespace kiln {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

CurveChart Chart() {
  return {.title = "conv on owl",
          .x_label = "trials",
          .y_label = "GOP/s",
          .curve = {{1, 10}, {5, 40}, {64, 55}},
          .marks = {{5, 39}},
          .mark_label = "confirmed"};
}

std::string Svg(const std::vector<CurveChart>& charts, const std::string& title = "Best so far") {
  const std::string svg = CurvesSvg(title, charts);
  EXPECT_EQ(FaultOfXml(svg), "") << svg;
  return svg;
}

std::size_t Count(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

TEST(CurveSvgTest, SaysWhatItShowsToWhoeverCannotSeeIt) {
  const std::string svg = Svg({Chart()});
  EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("role=\"img\""));
  EXPECT_EQ(TextsOf(svg, "title").front(), "Best so far");
  EXPECT_THAT(
      TextsOf(svg, "desc"),
      testing::ElementsAre("conv on owl: from 10 to 55 GOP/s over 64 trials; 1 confirmed."));
}

TEST(CurveSvgTest, AxesHaveUnitsAndNumbers) {
  const std::vector<std::string> texts = TextsOf(Svg({Chart()}), "text");
  for (const char* text : {"conv on owl", "trials", "GOP/s", "confirmed", "0", "10", "60"}) {
    EXPECT_THAT(texts, Contains(text));
  }
}

TEST(CurveSvgTest, IsLightAndDarkAndLoadsNothing) {
  const std::string svg = Svg({Chart()});
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
  for (const char* loads : {"<script", "href", "url(", "@import", "<image", "<foreignObject"}) {
    EXPECT_THAT(svg, Not(HasSubstr(loads)));
  }
}

TEST(CurveSvgTest, EachChartHasItsPlace) {
  const std::string svg = Svg({Chart(), Chart(), Chart()});
  EXPECT_EQ(Count(svg, "class=\"curve\""), 3u);
  EXPECT_THAT(svg, HasSubstr("viewBox=\"0 0 760 990\""));
}

TEST(CurveSvgTest, NoTextBreaksOutOfIt) {
  CurveChart chart = Chart();
  for (std::string* text : {&chart.title, &chart.x_label, &chart.y_label, &chart.mark_label}) {
    *text = "</title></text></svg><script>alert(\"1\")</script>&amp;&'\x01\x7f\n\t";
  }
  const std::string svg = Svg({chart}, chart.title);
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_EQ(Count(svg, "</svg>"), 1u);
}

TEST(CurveSvgTest, BytesThatAreNoUtf8BecomeQuestionMarks) {
  CurveChart chart = Chart();
  chart.title = "\xff\xc3<ä €\xe2\x82 \xf0\x9f\x90\xa6\xc3";  // two cut short
  EXPECT_THAT(TextsOf(Svg({chart}), "text"), Contains("??&lt;ä €?? \xf0\x9f\x90\xa6?"));
}

TEST(CurveSvgTest, WhatXmlParsersRefuseIsNotInIt) {
  // Overlong, a surrogate, beyond the last character, and one that is none.
  for (const char* text :
       {"\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xef\xbf\xbf"}) {
    CurveChart chart = Chart();
    chart.title = text;
    EXPECT_EQ(TextsOf(Svg({chart}), "text").front(), std::string(std::strlen(text), '?'));
  }
}

TEST(CurveSvgTest, LongCurvesStaySmall) {
  CurveChart chart = Chart();
  chart.curve.clear();
  for (int i = 1; i <= 100'000; ++i) {
    chart.curve.push_back({double(i), 1.0 * i});
    chart.marks.push_back({double(i), 1.0 * i});
  }
  const std::string svg = Svg({chart});
  EXPECT_LE(Count(svg, "H"), kMostCurvePoints + 50);
  EXPECT_LE(Count(svg, "<circle"), kMostCurvePoints + 1);
  EXPECT_LT(svg.size(), 150'000u);
}

TEST(CurveSvgTest, WithoutACurveItSaysSo) {
  EXPECT_THAT(TextsOf(Svg({}), "text"), testing::ElementsAre("There is no curve yet."));
  CurveChart none = Chart();
  none.curve.clear();
  EXPECT_THAT(TextsOf(Svg({none}), "text"), Contains("no point yet"));
}

// The check must be able to fail.
TEST(SvgCheckTest, FindsWhatIsNoXml) {
  for (const char* text : {"", "text", "<a>", "<a></b>", "<a>&</a>", "<a b=\"&\"/>", "<a/><b/>",
                           "<a><b></a></b>", "<a>\x01</a>", "<a>1 > 2</a>", "<a b=c></a>"}) {
    EXPECT_NE(FaultOfXml(text), "") << text;
  }
  EXPECT_EQ(FaultOfXml("<a x=\"1\"><b/>&lt;</a>\n"), "");
}

}  // namespace
}  // namespace kiln
