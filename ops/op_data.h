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
inline constexpr int kDataRecipeVersion = 1;
OpCase MakeCase(const Workload& workload, DataSet set, std::uint64_t seed);

// The classes of values that fit: the workload with type and shape as given and act, rq, weight
// zero point, rounding from the values; rq is the cheapest form that is valid for every channel
// whatever the input. Never fails: gen is always valid.
Workload Classify(Workload shape, const OpValues& values);

// The largest |acc| that any input can reach, for one output channel: over the weights as they are.
std::int64_t AccumulatorBound(const Workload& workload, const OpValues& values,
                              std::int32_t channel);

// For the wire between kiln and kiln-host.
std::string Serialize(const OpCase& op_case);
bool Deserialize(std::string_view bytes, OpCase& op_case);

}  // namespace kiln
