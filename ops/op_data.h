#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/workload.h"

namespace kiln {

// The values of one operator, as a kernel's `pack` takes them (kiln_op in
// kernel_host/kiln_kernel.h).
struct OpValues {
  std::vector<std::uint8_t>
      w;  // canonical: conv O,H,W,I/groups; depthwise 1,H,W,C*multiplier; dense O,I
  std::vector<std::int32_t> bias, multiplier,
      shift;                 // [o]; bias may be empty; empty for rounding float
  std::vector<float> scale;  // [o] for rounding float, else empty
  std::int32_t x_zp = 0, w_zp = 0, y_zp = 0, act_min = -128, act_max = 127;
  bool operator==(const OpValues&) const = default;
};

// An operator's values together with one input, w.x_bytes() long (NHWC bytes of the activation
// type).
struct OpCase {
  OpValues values;
  std::vector<std::uint8_t> x;
};

// The data sets of every trial. uniform: values as real networks have them. edges: extremes, zero
// points at the ends of their range, accumulators at rounding ties.
enum class DataSet : std::uint8_t { kUniform, kEdges };

// Data recipe, version kDataRecipeVersion: integer arithmetic only, so that x86 and arm64 make the
// same bytes from the same seed. The multipliers are drawn as real networks have them for this kind
// of op (docs/kernels.md), inside of the class that the workload names: `pack` accepts them.
inline constexpr int kDataRecipeVersion = 3;
OpCase MakeCase(const Workload& workload, DataSet set, std::uint64_t seed);

// The classes that the values are in: the workload with type, shape and pc or pt as given, and act,
// rq and the class of weights from the values; rq is the cheapest form that is valid for every channel
// whatever the input (ops/requantize_form.h). Values with scales have rounding float, else rounding
// is as given. Full-range activation is `none`, but `lo` where y_zp is the type's minimum and that
// lets int7 be used. The values fit the workload (Misfit). Never fails: gen is always valid.
Workload Classify(Workload shape, const OpValues& values);

// What any input of the activations' type can make of the accumulator of one output channel, bias
// included, with the weights as they are. Exact but for padding, which only leaves terms out:
//   high = bias + (qmax - x_zp) * P + (x_zp - qmin) * N
//   low  = bias - (x_zp - qmin) * P - (qmax - x_zp) * N
// where P is the sum of the channel's positive (w - w_zp) and -N that of the negative ones.
struct AccumulatorRange {
  std::int64_t low = 0, high = 0;
};
AccumulatorRange ReachableAccumulators(const Workload& workload, const OpValues& values,
                                       std::int32_t channel);
// Why the values are not those of an operator of this shape, type and rounding; empty if they are.
// All that compute (the reference, `pack`) rely on what is checked here:
//   - arrays have the workload's sizes; with pt all channels have one factor
//   - zero points and act_min <= act_max lie in the range of their type; w_zp is 0 for s8 weights
//   - multipliers are 0 or in [2^30, 2^31), shifts in [-31, 30], scales finite and not negative
//   - accumulators fit 32 bits whatever the input and the order of summation, also shifted left
std::string Misfit(const Workload& workload, const OpValues& values);

// The weights of the operator `given` in the order that `canonical`, which is *Canonical(given),
// demands: transposed where a conv2d became a depthwise or a depthwise a conv2d, else as they are.
std::vector<std::uint8_t> CanonicalWeights(const Workload& given, const Workload& canonical,
                                           const std::vector<std::uint8_t>& w);

// For the wire between kiln and kiln-host.
std::string Serialize(const OpCase& op_case);
bool Deserialize(std::string_view bytes, OpCase& op_case);

}  // namespace kiln
