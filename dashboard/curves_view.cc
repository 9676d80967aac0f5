#include "dashboard/curves_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "dashboard/layers_view.h"
#include "dashboard/words.h"

namespace kiln {
namespace {

// A search that gained within its last quarter has not come to rest.
constexpr double kRest = 0.25;

std::string WhyStopped(const BestSoFarCurve& curve, const LayerFacts& layer) {
  const std::int64_t trials = curve.last_seq;
  const std::int64_t idle = trials - curve.gains.back().seq;
  if (layer.best->configs && trials >= static_cast<std::int64_t>(*layer.best->configs)) {
    return fmt::format("every one of its {} legal configs was tried", *layer.best->configs);
  }
  if (static_cast<double>(idle) < kRest * static_cast<double>(trials)) {
    return idle == 0 ? "its last trial was its fastest: more may help"
                     : fmt::format("it still gained {} before its end: more may help",
                                   CountedText(idle, "trial"));
  }
  return fmt::format("nothing gained in the last {} of {}", idle, CountedText(trials, "trial"));
}

// By trial, in ns.
std::vector<CurvePoint> PointsOf(const BestSoFarCurve& curve) {
  std::vector<CurvePoint> points;
  for (const BestSoFarCurve::Point& gain : curve.gains) {
    points.push_back({static_cast<double>(gain.seq), gain.ns});
  }
  return points;
}

// The curve that the best of the layer is of.
const BestSoFarCurve* Own(const std::vector<BestSoFarCurve>& curves, const LayerFacts& layer) {
  const Trial& judged = layer.best->best.judged;
  const auto found = std::ranges::find_if(curves, [&](const BestSoFarCurve& curve) {
    return curve.kind == judged.kind && curve.device == judged.device;
  });
  return found == curves.end() ? nullptr : &*found;
}

}  // namespace

std::vector<TaskNames> CurveTasks(const std::vector<LayerFacts>& layers, std::size_t limit) {
  std::vector<TaskNames> tasks;
  for (const std::size_t i : ByTime(layers)) {
    if (tasks.size() >= limit || !layers[i].best) break;
    tasks.push_back(layers[i].task);
  }
  return tasks;
}

CurvesView MakeCurvesView(const std::vector<LayerFacts>& layers,
                          const std::vector<TaskNames>& tasks,
                          const std::vector<std::vector<BestSoFarCurve>>& curves) {
  std::map<TaskNames, const LayerFacts*> by_task;
  CurvesView view;
  for (const LayerFacts& layer : layers) {
    by_task[layer.task] = &layer;
    view.left_out += layer.best.has_value();
  }
  for (std::size_t i = 0; i < tasks.size() && i < curves.size(); ++i) {
    const LayerFacts& layer = *by_task.at(tasks[i]);
    const BestSoFarCurve* own = Own(curves[i], layer);
    if (own == nullptr) continue;
    CurvesView::Curve curve{.name = layer.name,
                            .key = layer.task.workload,
                            .setting = SettingText(layer.task),
                            .device = own->device,
                            .trials = own->last_seq,
                            .why = WhyStopped(*own, layer)};
    curve.gains = ThinCurve(PointsOf(*own), kMostGainPoints);
    view.curves.push_back(std::move(curve));
  }
  view.left_out -= view.curves.size();
  return view;
}

}  // namespace kiln
