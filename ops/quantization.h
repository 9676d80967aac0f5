#pragma once

#include <cstdint>
#include <limits>

#include "ops/workload.h"

namespace kiln {

// A positive real factor as TFLite stores it: real = multiplier * 2^(shift - 31), multiplier in
// [2^30, 2^31) or 0. A negative shift is a right shift.
struct FixedPoint {
  std::int32_t multiplier = 0;
  std::int32_t shift = 0;
  bool operator==(const FixedPoint&) const = default;
};

// TFLite's QuantizeMultiplier: the nearest such value (half away from zero); 0 for factors under
// 2^-32. 0 <= real < 2^30.
FixedPoint QuantizeMultiplier(double real);

// acc * factor, rounded as the rule says; Rounding::kDouble and kSingle only. -31 <= shift <= 30,
// and acc << shift must fit 32 bits for shift > 0. Both rules never decrease as acc grows.
//   double: round(round(acc * 2^max(shift, 0) * multiplier / 2^31) / 2^max(-shift, 0)), halves of
//   the
//           inner one towards +infinity, of the outer one away from zero
//   single: acc * multiplier / 2^(31 - shift), halves towards +infinity
// Source: gemmlowp fixedpoint.h and TFLite's common.h, 2024.
std::int32_t MultiplyByQuantizedMultiplier(std::int32_t acc, FixedPoint factor, Rounding rounding);

// The float rule: round to nearest even of float(acc) * scale, in float32, before the zero point is
// added (ONNX Runtime, MlasRequantizeOutput); saturates far outside of int8's range.
std::int32_t MultiplyByScale(std::int32_t acc, float scale);

// What a product is made into an output by: y_zp is added, then it is clamped.
struct OutputRange {
  std::int32_t y_zp = 0, act_min = 0, act_max = 0;
};

// The output of an accumulator, bias included: by the rules double and single, by the float rule.
std::uint8_t Requantize(std::int32_t acc, FixedPoint factor, Rounding rounding,
                        const OutputRange& range);
std::uint8_t Requantize(std::int32_t acc, float scale, const OutputRange& range);

}  // namespace kiln
