#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dashboard/layer_facts.h"
#include "dashboard/paired_gain.h"

namespace kiln {

// Question 3: which bests changed, and are they safe to lock?
struct ChangesView {
  struct Row {
    std::string name, key, setting, device;
    std::string from_config;  // id of the best before; "untuned": there was none
    std::string to_config;
    std::optional<double> from_ns;  // as judged now, on the device of the best
    double to_ns = 0;
    std::optional<PairedGain> paired;  // where both were measured in turn
    std::int64_t samples = 0;          // of the best
    std::int64_t verified = 0;         // how often its bytes were right
    std::int64_t devices = 0;          // on how many
    bool is_safe = false;
    std::string why;  // why it is, or what to do first
  };
  std::vector<Row> rows;  // safe ones first, then by gain of time in the network
  std::size_t safe = 0;   // of all
  std::size_t left_out = 0;
};
ChangesView MakeChangesView(const std::vector<LayerFacts>& layers, std::size_t limit);

}  // namespace kiln
