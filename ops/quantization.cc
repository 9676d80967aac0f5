#include "ops/quantization.h"

#include <algorithm>
#include <cmath>

namespace kiln {
namespace {

// (acc * M + 2^30) >> 31: gemmlowp's SaturatingRoundingDoublingHighMul. Its truncating division of
// the nudged product rounds halves towards +infinity for either sign, which a floor does too.
std::int64_t RoundingDoublingHighMultiply(std::int64_t acc, std::int32_t multiplier) {
  return (acc * multiplier + (std::int64_t{1} << 30)) >> 31;
}

// gemmlowp's RoundingDivideByPOT: halves away from zero.
std::int64_t RoundingDivideByPowerOfTwo(std::int64_t value, std::int32_t exponent) {
  if (exponent == 0) return value;
  return (value + (std::int64_t{1} << (exponent - 1)) - (value < 0)) >> exponent;
}

}  // namespace

FixedPoint QuantizeMultiplier(double real) {
  if (real == 0) return {};
  int exponent = 0;
  const double fraction = std::frexp(real, &exponent);
  auto multiplier = static_cast<std::int64_t>(std::round(std::ldexp(fraction, 31)));
  if (multiplier == std::int64_t{1} << 31) {
    multiplier /= 2;
    ++exponent;
  }
  if (exponent < -31) return {};
  return {static_cast<std::int32_t>(multiplier), exponent};
}

std::int32_t MultiplyByQuantizedMultiplier(std::int32_t acc, FixedPoint factor, Rounding rounding) {
  if (rounding == Rounding::kSingle) {
    const std::int64_t half = std::int64_t{1} << (30 - factor.shift);
    return static_cast<std::int32_t>((std::int64_t{acc} * factor.multiplier + half) >>
                                     (31 - factor.shift));
  }
  const std::int64_t shifted = std::int64_t{acc} * (std::int64_t{1} << std::max(factor.shift, 0));
  const std::int64_t high = RoundingDoublingHighMultiply(shifted, factor.multiplier);
  return static_cast<std::int32_t>(RoundingDivideByPowerOfTwo(high, std::max(-factor.shift, 0)));
}

std::int32_t MultiplyByScale(std::int32_t acc, float scale) {
  constexpr float kFar = 0x1p24f;
  const float scaled = static_cast<float>(acc) * scale;
  return static_cast<std::int32_t>(std::nearbyint(std::clamp(scaled, -kFar, kFar)));
}

namespace {

std::uint8_t Clamped(std::int64_t scaled, const OutputRange& range) {
  return static_cast<std::uint8_t>(
      std::clamp<std::int64_t>(scaled + range.y_zp, range.act_min, range.act_max));
}

}  // namespace

std::uint8_t Requantize(std::int32_t acc, FixedPoint factor, Rounding rounding,
                        const OutputRange& range) {
  return Clamped(MultiplyByQuantizedMultiplier(acc, factor, rounding), range);
}

std::uint8_t Requantize(std::int32_t acc, float scale, const OutputRange& range) {
  return Clamped(MultiplyByScale(acc, scale), range);
}

}  // namespace kiln
