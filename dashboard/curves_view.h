#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dashboard/curve_scale.h"
#include "dashboard/layer_facts.h"
#include "db/trial_statistics.h"

namespace kiln {

// Question 6: are more trials worthwhile?
struct CurvesView {
  struct Curve {
    std::string name, key, setting, device;
    std::vector<CurvePoint> gains;  // ns by trial, at most kMostGainPoints
    std::int64_t trials = 0;
    std::string why;  // why it stopped, where that can be known; else how long it gained nothing
  };
  std::vector<Curve> curves;  // in the order of the layers' time
  std::size_t left_out = 0;   // layers that have a best
};

inline constexpr std::size_t kMostGainPoints = 120;

// The layers of which curves are wanted: those that cost the most time.
std::vector<TaskNames> CurveTasks(const std::vector<LayerFacts>& layers, std::size_t limit);

// `curves` as TrialStatistics::Curves gives them for these tasks. Each task shows the curve that its
// best is of.
CurvesView MakeCurvesView(const std::vector<LayerFacts>& layers,
                          const std::vector<TaskNames>& tasks,
                          const std::vector<std::vector<BestSoFarCurve>>& curves);

}  // namespace kiln
