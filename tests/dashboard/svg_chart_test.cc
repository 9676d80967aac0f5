#include "dashboard/svg_chart.h"

#include <gmock/gmock.h>

#include <regex>

namespace kiln {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string Drawn(const StepChart& chart) {
  HtmlWriter html;
  WriteStepChart(html, chart);
  return html.Take();
}

// Every number of the path, in order.
std::vector<double> PathNumbers(const std::string& svg) {
  std::smatch path;
  EXPECT_TRUE(std::regex_search(svg, path, std::regex(" d=\"([^\"]*)\""))) << svg;
  const std::string text = path[1];
  const std::regex number("-?[0-9]+\\.[0-9]");
  std::vector<double> numbers;
  for (std::sregex_iterator it(text.begin(), text.end(), number), end; it != end; ++it) {
    numbers.push_back(std::stod(it->str()));
  }
  return numbers;
}

TEST(SvgChartTest, ImageHasATitleAndADescriptionThatItNames) {
  const std::string svg = Drawn({.title = "Best < so far",
                                 .description = "From 2 to 1.",
                                 .points = {{1, 2}, {5, 1}},
                                 .end = 10});
  EXPECT_THAT(svg, AllOf(HasSubstr("role=\"img\""), HasSubstr("aria-labelledby=\"title-1 desc-2\""),
                         HasSubstr("<title id=\"title-1\">Best &lt; so far</title>"),
                         HasSubstr("<desc id=\"desc-2\">From 2 to 1.</desc>")));
}

TEST(SvgChartTest, CurveStaysInItsImageFallsAndGoesOnToTheEnd) {
  const auto numbers = PathNumbers(
      Drawn({.title = "", .description = "", .points = {{1, 900}, {4, 500}, {9, 100}}, .end = 20}));
  // M x y, then H x V y for each further one, then H to the end.
  ASSERT_EQ(numbers.size(), 7u);
  EXPECT_LT(numbers[1], numbers[3]) << "less time is lower in the image";
  EXPECT_LT(numbers[3], numbers[5]);
  EXPECT_LT(numbers[4], numbers[6]) << "the last value lasts until the end";
  for (const double number : numbers) {
    EXPECT_GE(number, 0);
    EXPECT_LE(number, 280);
  }
}

TEST(SvgChartTest, SingleValueAndNoValueDrawWithoutNonsense) {
  EXPECT_THAT(Drawn({.title = "", .description = "", .points = {{1, 5}}, .end = 1}),
              Not(AllOf(HasSubstr("nan"), HasSubstr("inf"))));
  EXPECT_THAT(Drawn({}), Not(HasSubstr("<svg")));
}

TEST(SvgChartTest, LongestBarIsAllOfTheWidthAndOthersInProportion) {
  HtmlWriter html;
  WriteBarChart(html, {.title = "t", .description = "d", .bars = {{"a", "10", 10}, {"b", "5", 5}}});
  const std::string svg = html.Take();
  EXPECT_THAT(svg, AllOf(HasSubstr("width=\"346.0\""), HasSubstr("width=\"173.0\"")));
}

}  // namespace
}  // namespace kiln
