#include "dashboard/layers_view.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "dashboard/words.h"

namespace kiln {
namespace {

double TotalNs(const LayerFacts& layer) { return layer.best_ns().value_or(0) * layer.count; }

// Times of different kinds do not add up.
using Place = std::pair<std::string, TimeKind>;
Place PlaceOf(const LayerFacts& layer) {
  return {SettingText(layer.task), layer.best->best.judged.kind};
}

LayersView::Row RowOf(const LayerFacts& layer) {
  LayersView::Row row;
  row.name = layer.name;
  row.key = layer.task.workload;
  row.setting = SettingText(layer.task);
  row.count = layer.count;
  row.trials = layer.trials;
  row.failed = layer.failed;
  if (!layer.best) {
    row.how = layer.trials == 0 ? "not tried" : "nothing works";
    return row;
  }
  const StoredBest& best = *layer.best;
  row.ns = layer.best_ns();
  row.total_ns = TotalNs(layer);
  if (best.gops > 0) row.gops = best.gops;
  row.peak_share = best.peak_share;
  const double ns = *row.ns;
  if (const auto untuned = layer.untuned_ns()) row.gain = *untuned / ns;
  if (layer.former_today) {
    if (const auto then = RankTime(*layer.former_today)) row.gain_tonight = *then / ns;
  }
  if (best.untuned) row.knobs = layer.knobs;
  row.config_id = best.best.record.config_id;
  row.how = HowText(best);
  row.device = best.best.judged.device;
  return row;
}

}  // namespace

std::string HowText(const StoredBest& stored) {
  std::string words = stored.best.origin;
  if (stored.best.confirmed) words += ", confirmed";
  if (stored.best.judged.kind != TimeKind::kMeasured) {
    words += std::string(", ") + Name(stored.best.judged.kind);
  }
  if (stored.stale) words += ", stale";
  return words;
}

std::vector<std::size_t> ByTime(const std::vector<LayerFacts>& layers) {
  std::vector<std::size_t> order(layers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](std::size_t i) { return TotalNs(layers[i]); });
  return order;
}

LayersView MakeLayersView(const std::vector<LayerFacts>& layers, std::size_t limit) {
  std::map<Place, double> times;
  for (const LayerFacts& layer : layers) {
    if (layer.best) times[PlaceOf(layer)] += TotalNs(layer);
  }
  LayersView view;
  for (const std::size_t i : ByTime(layers)) {
    if (view.rows.size() >= limit) {
      ++view.left_out;
      view.left_out_ns += TotalNs(layers[i]);
      continue;
    }
    LayersView::Row row = RowOf(layers[i]);
    if (row.total_ns) row.share = *row.total_ns / times[PlaceOf(layers[i])];
    view.rows.push_back(std::move(row));
  }
  return view;
}

}  // namespace kiln
