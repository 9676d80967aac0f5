#include "kernels_templates/achievable_bound.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>

#include "kernels_templates/isa/requantize.h"

namespace kiln {
namespace {

double Over(double amount, double rate) { return rate > 0 ? amount / rate : 0; }

// Along one axis of the image: how the outputs' taps fall.
struct Axis {
  std::map<std::int32_t, double> outputs_with;  // taps inside of the image -> number of outputs
  double inputs = 0;                            // pixels that some tap reads
};

Axis AxisOf(std::int32_t in, std::int32_t out, std::int32_t kernel, std::int32_t stride,
            std::int32_t dilation, std::int32_t pad) {
  Axis axis;
  std::vector<bool> read(static_cast<std::size_t>(in), false);
  for (std::int32_t i = 0; i < out; ++i) {
    std::int32_t inside = 0;
    for (std::int32_t k = 0; k < kernel; ++k) {
      const std::int64_t at = std::int64_t{i} * stride - pad + std::int64_t{k} * dilation;
      if (at < 0 || at >= in) continue;
      ++inside;
      read[static_cast<std::size_t>(at)] = true;
    }
    ++axis.outputs_with[inside];
  }
  axis.inputs = static_cast<double>(std::count(read.begin(), read.end(), true));
  return axis;
}

struct Needs {
  double dots = 0;     // instructions
  double results = 0;  // vectors of sums
  double bytes = 0;    // input, weights, output
};

Needs NeedsOf(const Workload& w, const VectorIsa& isa) {
  const Axis rows = AxisOf(w.h, w.out_h(), w.kh, w.stride_h, w.dilation_h, w.pad_top);
  const Axis columns = AxisOf(w.w, w.out_w(), w.kw, w.stride_w, w.dilation_w, w.pad_left);
  const bool depthwise = w.op == OpKind::kDepthwise;
  const double channels = depthwise ? w.o : double(w.o) / w.groups;
  const double per_pixel =
      depthwise ? channels / isa.lanes : w.groups * std::ceil(channels / isa.lanes);
  Needs needs;
  for (const auto& [kh, row_count] : rows.outputs_with) {
    for (const auto& [kw, column_count] : columns.outputs_with) {
      const double pixels = w.n * row_count * column_count;
      const double dots = std::ceil(double(kh) * kw * w.reduce_c() / isa.group);
      needs.dots += pixels * per_pixel * dots;
      needs.results += pixels * per_pixel;
    }
  }
  needs.dots = std::ceil(needs.dots);
  needs.results = std::ceil(needs.results);
  needs.bytes =
      w.n * rows.inputs * columns.inputs * w.c + double(w.w_bytes()) + double(w.y_bytes());
  return needs;
}

double MemoryNs(double bytes, const MachineLimits& limits) {
  double ns = 0, held = 0;
  for (const MachineLimits::Level& level : limits.levels) {
    ns = std::max(ns, Over(std::max(0.0, bytes - held), level.bytes_per_ns));
    held = std::max(held, level.capacity_bytes);
  }
  return ns;
}

}  // namespace

double AchievableBound::ns() const { return std::max({dots_ns, vectors_ns, memory_ns}); }

std::string_view AchievableBound::limit() const {
  if (dots_ns >= ns()) return "dots";
  return vectors_ns >= ns() ? "vectors" : "memory";
}

AchievableBound LayerBound(const Workload& workload, const InstructionSet& set,
                           const MachineLimits& limits) {
  assert(limits.dots_per_ns.size() == set.methods.size());
  std::optional<AchievableBound> least;
  for (std::size_t i = 0; i < set.methods.size(); ++i) {
    const VectorIsa& isa = *set.methods[i];
    const Needs needs = NeedsOf(workload, isa);
    const double vectors = needs.dots + needs.results * RequantizeInstructions(isa, workload);
    const AchievableBound bound = {Over(needs.dots, limits.dots_per_ns[i]),
                                   Over(vectors, limits.vectors_per_ns),
                                   MemoryNs(needs.bytes, limits)};
    if (!least || bound.ns() < least->ns()) least = bound;
  }
  return *least;
}

MachineLimits LimitsOfPeak(const InstructionSet& set, double peak_gops) {
  MachineLimits limits;
  for (const VectorIsa* method : set.methods) {
    limits.dots_per_ns.push_back(peak_gops / (2.0 * method->lanes * method->group));
  }
  return limits;
}

// Broadcasts are left out of the loads: they read a few bytes each and may cost less than a vector.
AchievableBound ScheduleBound(const Workload& workload, const OpCounts& counts,
                              const InstructionSet& set, const MachineLimits& limits) {
  const VectorIsa& isa = set.isa();  // vectors and results are the same with all methods
  const AchievableBound layer = LayerBound(workload, set, limits);
  const double dots_per_ns = *std::ranges::max_element(limits.dots_per_ns);
  const double vectors =
      counts.dots + counts.shuffles + counts.requantizes * RequantizeInstructions(isa, workload);
  const double nearest = limits.levels.empty() ? 0 : limits.levels[0].bytes_per_ns;
  const double loaded = (counts.loads + counts.copies) * isa.vector_bytes();
  return {std::max(layer.dots_ns, Over(counts.dots, dots_per_ns)),
          std::max(layer.vectors_ns, Over(vectors, limits.vectors_per_ns)),
          std::max(layer.memory_ns, Over(loaded, nearest))};
}

}  // namespace kiln
