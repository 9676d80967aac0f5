#include "apps/kiln/history_curves.h"

#include <gmock/gmock.h>

#include "apps/kiln/command.h"
#include "tests/kernels_templates/fake_template.h"

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

Trial TrialOf(Outcome outcome, const std::string& device = "owl") {
  Trial trial;
  trial.outcome = std::move(outcome);
  trial.device = device;
  return trial;
}

TrialRecord Record(Outcome outcome, const std::string& device = "owl", std::int32_t threads = 1) {
  TrialRecord record;
  record.threads = threads;
  record.trial = TrialOf(std::move(outcome), device);
  return record;
}

Timings Of(double ns) { return {.samples_ns = {ns}}; }

class HistoryCurvesTest : public testing::Test {
 protected:
  std::vector<CurvePoint> Curve(std::size_t i, CurveFigure figure = CurveFigure::kTime) const {
    return curves_.Charts(figure).at(i).curve;
  }

  const Workload workload_ = FakeSpec().workload;
  HistoryCurves curves_{workload_};
};

TEST_F(HistoryCurvesTest, TheBestOnlyFallsAndTrialsWithoutATimeCount) {
  EXPECT_EQ(curves_.Add(Record(Failure{})), std::nullopt);
  EXPECT_EQ(curves_.Add(Record(Of(3000))), 3000);
  EXPECT_EQ(curves_.Add(Record(Of(4000))), 3000);
  EXPECT_EQ(curves_.Add(Record(Censored{Of(100), 100})), 3000) << "a bound is no time";
  EXPECT_EQ(curves_.Add(Record(Of(2000))), 2000);
  EXPECT_THAT(Curve(0),
              ElementsAre(CurvePoint{2, 3}, CurvePoint{3, 3}, CurvePoint{4, 3}, CurvePoint{5, 2}));
  const auto rates = Curve(0, CurveFigure::kGops);
  ASSERT_THAT(rates, SizeIs(4));
  EXPECT_DOUBLE_EQ(rates.back().y, Gops(workload_, 2000));
}

TEST_F(HistoryCurvesTest, WhatDoesNotCompareHasCurvesOfItsOwn) {
  curves_.Add(Record(Of(3000)));
  EXPECT_EQ(curves_.Add(Record(Of(5000), "fox")), 5000);
  EXPECT_EQ(curves_.Add(Record(Of(2000), "owl", 2)), 2000);
  TrialRecord emulated = Record(Of(9000));
  emulated.trial.kind = TimeKind::kEmulated;
  EXPECT_EQ(curves_.Add(emulated), 9000);
  TrialRecord cold = Record(Of(4000));
  cold.cache = CacheState::kCold;
  EXPECT_EQ(curves_.Add(cold), 4000);
  EXPECT_EQ(curves_.Add(Record(Of(3500))), 3000);

  std::vector<std::string> titles;
  for (const CurveChart& chart : curves_.Charts(CurveFigure::kTime)) titles.push_back(chart.title);
  EXPECT_THAT(titles, ElementsAre(HasSubstr(" on fox: best of 1 trials 5.00 us"),
                                  HasSubstr(" on owl: best of 2 trials 3.00 us"),
                                  HasSubstr(", emulated on owl"), HasSubstr(", cold caches on owl"),
                                  HasSubstr(", 2 threads on owl")));
}

TEST_F(HistoryCurvesTest, ConfirmationsAreMarksAtTheirOwnTime) {
  curves_.Add(Record(Of(3000)));
  TrialRecord finalist = Record(Of(2000));
  finalist.again = {{true, TrialOf(Of(2100))},
                    {true, TrialOf(Of(2200))},
                    {false, TrialOf(Of(2300))},
                    {true, TrialOf(Of(1000), "fox")}};
  curves_.Add(finalist);
  TrialRecord broken = Record(Of(2500));
  broken.again = {{true, TrialOf(Of(1500))}, {true, TrialOf(Failure{})}};
  curves_.Add(broken);
  const CurveChart chart = curves_.Charts(CurveFigure::kTime).at(0);
  EXPECT_THAT(chart.marks, ElementsAre(CurvePoint{2, 2.2})) << "the latest of each counts";
  EXPECT_THAT(chart.title, HasSubstr("best of 3 trials 2.00 us"));
  EXPECT_THAT(chart.title, testing::EndsWith(", confirmed 2.20 us"));
}

TEST_F(HistoryCurvesTest, WithoutATimeThereIsNoCurve) {
  EXPECT_THAT(curves_.Charts(CurveFigure::kGops), IsEmpty());
  curves_.Add(Record(Failure{}));
  EXPECT_THAT(curves_.Charts(CurveFigure::kGops), IsEmpty());
}

TEST_F(HistoryCurvesTest, ATitleIsOneLineWhateverADeviceIsCalled) {
  curves_.Add(Record(Of(3000), "ow\nl\x1b[2J"));
  EXPECT_THAT(curves_.Charts(CurveFigure::kGops).at(0).title,
              Not(testing::ContainsRegex("[\n\x1b]")));
}

}  // namespace
}  // namespace kiln
