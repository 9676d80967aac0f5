#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ops/op_data.h"

namespace kiln {

// The operator by its definition, bit-exact with TFLite's reference kernels (rounding double), its
// optimized ones (single), and ONNX Runtime's rule (float). Padded taps contribute real zero. Plain
// on purpose, but not wasteful: several GMAC per second. The values must fit the workload
// (ops/op_data.h, Misfit). x: workload.x_bytes() bytes.
std::vector<std::uint8_t> RunReference(const Workload& workload, const OpValues& values,
                                       std::span<const std::uint8_t> x);

// The accumulators before requantization, [n, out_h, out_w, o].
std::vector<std::int32_t> ReferenceAccumulators(const Workload& workload, const OpValues& values,
                                                std::span<const std::uint8_t> x);

// One output from its accumulator (bias included), channel `channel`.
std::uint8_t RequantizeReference(const Workload& workload, const OpValues& values,
                                 std::int32_t channel, std::int32_t acc);

}  // namespace kiln
