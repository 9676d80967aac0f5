#include "kernels_templates/features.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace kiln {
namespace {

constexpr std::array<std::string_view, kFeatureCount> kNames = {
    // amounts, log2(1 + x)
    "macs", "outputs", "dots", "loads", "broadcasts", "stores", "shuffles", "requantizes", "copies",
    "calls", "instructions",
    // how well instructions are used
    "macs_per_dot_slot", "dots_per_load", "dots_per_broadcast", "dots_per_call", "requantize_share",
    "copy_share", "waste",
    // registers and tile
    "tile_h", "tile_w", "tile_c", "accumulators", "register_share", "unroll",
    // memory
    "panel_l1", "panel_l2", "block_l1", "block_l2", "packed_l2", "workspace_l2", "reduction",
    // parallel grain
    "chunks", "imbalance", "threads",
    // choices
    "order", "data_stage", "vector_stage", "requantize_stage", "store", "method"};

float Log(double x) { return static_cast<float>(std::log2(1.0 + x)); }

// How much slower the slowest thread is than the mean one, chunks being equal.
double Imbalance(double chunks, double threads) {
  return std::ceil(chunks / threads) * threads / std::max(chunks, 1.0);
}

}  // namespace

std::span<const std::string_view> FeatureNames() { return kNames; }

void WriteFeatures(const TaskSpec& spec, const ScheduleSummary& s, std::span<float> out) {
  const OpCounts& n = s.counts;
  const double macs = static_cast<double>(spec.workload.macs());
  const double outputs = static_cast<double>(spec.workload.outputs());
  const double requantize = n.requantizes * s.requantize_instructions;
  const double all =
      n.dots + n.loads + n.broadcasts + n.stores + n.shuffles + requantize + n.copies;
  const auto l1 = static_cast<double>(spec.target.l1_bytes);
  const auto l2 = static_cast<double>(spec.target.l2_bytes);
  const double dots = std::max(n.dots, 1.0);
  std::size_t i = 0;
  const auto put = [&](double value) { out[i++] = static_cast<float>(value); };
  const auto put_log = [&](double value) { out[i++] = Log(value); };

  for (const double amount : {macs, outputs, n.dots, n.loads, n.broadcasts, n.stores, n.shuffles,
                              n.requantizes, n.copies, n.calls, all}) {
    put_log(amount);
  }
  put(macs / (dots * s.lanes * s.group));
  put(n.dots / std::max(n.loads, 1.0));
  put(n.dots / std::max(n.broadcasts + n.shuffles, 1.0));
  put_log(n.dots / std::max(n.calls, 1.0));
  put(requantize / std::max(all, 1.0));
  put(n.copies / std::max(all, 1.0));
  put(s.computed_outputs / outputs);
  put(s.tile_h);
  put(s.tile_w);
  put(s.tile_c);
  put(s.accumulators);
  put(s.accumulators / s.registers);
  put(s.unroll);
  put_log(4 * s.panel_bytes / l1);
  put_log(4 * s.panel_bytes / l2);
  put_log(4 * s.block_bytes / l1);
  put_log(4 * s.block_bytes / l2);
  put_log(4 * s.packed_bytes / l2);
  put_log(4 * s.workspace_bytes / l2);
  put_log(static_cast<double>(spec.workload.taps()));
  put_log(s.chunks);
  put(Imbalance(s.chunks, spec.threads));
  put(spec.threads);
  for (const double choice :
       {s.order, s.data_stage, s.vector_stage, s.requantize_stage, s.store, s.method}) {
    put(choice);
  }
}

}  // namespace kiln
