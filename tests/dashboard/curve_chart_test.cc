#include "dashboard/curve_chart.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

TEST(CurveChartTest, AxesHoldCurveAndMarks) {
  const CurveChart chart{.title = "t",
                         .x_label = "trials",
                         .y_label = "GOP/s",
                         .curve = {{3, 40}, {90, 70}},
                         .marks = {{120, 85}},
                         .mark_label = "confirmed"};
  const CurveAxes axes = AxesOf(chart, 8, 5);
  EXPECT_EQ(axes.x.least, 0);
  EXPECT_EQ(axes.x.most, 120);
  EXPECT_LE(axes.y.least, 40);
  EXPECT_GE(axes.y.most, 85);
  EXPECT_LE(axes.x_ticks.size(), 8u);
  EXPECT_LE(axes.y_ticks.size(), 5u);
  EXPECT_GE(axes.y_ticks.size(), 2u);
  EXPECT_EQ(DescribeChart(chart), "t: from 40 to 70 GOP/s over 90 trials; 1 confirmed.");
}

TEST(CurveChartTest, AnEmptyChartHasAxesAndWords) {
  const CurveChart none{.title = "nothing"};
  const CurveAxes axes = AxesOf(none, 8, 5);
  EXPECT_LT(axes.x.least, axes.x.most);
  EXPECT_LT(axes.y.least, axes.y.most);
  EXPECT_EQ(DescribeChart(none), "nothing: no point yet.");
}

}  // namespace
}  // namespace kiln
