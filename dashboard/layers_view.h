#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dashboard/layer_facts.h"

namespace kiln {

// Question 2: where is the time now? By time x multiplicity, the largest first; then what has no
// time.
struct LayersView {
  struct Row {
    std::string name, key, setting;
    std::int32_t count = 1;
    std::optional<double> ns, total_ns;  // of a call; of all its calls in the network
    std::optional<double> share;         // of the time of all layers in its place
    std::optional<double> gops, peak_share;
    std::optional<double> gain;                    // over the untuned default
    std::optional<double> gain_tonight;            // over the best before, as judged now
    std::optional<std::vector<KnobChange>> knobs;  // unset: nobody here knows the default
    std::string config_id, how, device;            // how: "tuned, confirmed, stale"
    std::int64_t trials = 0, failed = 0;
  };
  std::vector<Row> rows;
  std::size_t left_out = 0;  // rows
  double left_out_ns = 0;    // their time
};
LayersView MakeLayersView(const std::vector<LayerFacts>& layers, std::size_t limit);

// "tuned, confirmed, emulated, stale": as `kiln best` says it.
std::string HowText(const StoredBest& stored);

// Positions of the layers by their time in the network, the largest first; those without a time last.
std::vector<std::size_t> ByTime(const std::vector<LayerFacts>& layers);

}  // namespace kiln
