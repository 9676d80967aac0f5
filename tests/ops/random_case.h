#pragma once

#include <algorithm>

#include "base/rng.h"
#include "ops/op_data.h"

namespace kiln {

// Values and an input anywhere in their ranges, as no network has them: any bytes or one byte
// everywhere, zero points and clamps anywhere, factors from 0 to 8, one for all channels where the
// workload says so. Accumulators may not fit 32 bits: see Misfit. Apart from the data recipe, which
// draws inside of a class.
inline OpCase DrawCase(const Workload& w, Rng& rng) {
  const auto between = [&rng](std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(rng.Between(low, high));
  };
  OpCase out;
  OpValues& v = out.values;
  const auto channels = static_cast<std::size_t>(w.o);
  out.x.resize(static_cast<std::size_t>(w.x_bytes()));
  for (auto& byte : out.x) byte = static_cast<std::uint8_t>(rng.Next());
  v.w.resize(static_cast<std::size_t>(w.w_bytes()));
  const bool even = rng.Below(8) == 0;
  const auto everywhere = static_cast<std::uint8_t>(rng.Below(2) == 0 ? 0x80 : rng.Next());
  for (auto& byte : v.w) byte = even ? everywhere : static_cast<std::uint8_t>(rng.Next());
  v.bias.resize(rng.Below(4) == 0 ? 0 : channels);
  for (auto& bias : v.bias) bias = between(-100'000, 100'000);
  v.x_zp = between(w.qmin(), w.qmax());
  v.y_zp = rng.Below(4) == 0 ? w.qmin() : between(w.qmin(), w.qmax());
  v.w_zp = w.type == DataType::kU8 ? between(0, 255) : 0;
  v.act_min = rng.Below(2) == 0 ? v.y_zp : between(w.qmin(), w.qmax());
  v.act_max = rng.Below(2) == 0 ? w.qmax() : between(v.act_min, w.qmax());
  const bool extreme = rng.Below(4) == 0;
  for (std::size_t i = 0; i < channels; ++i) {
    if (w.rounding == Rounding::kFloat) {
      v.scale.push_back(static_cast<float>(rng.Between(0, 1000)) * 0x1p-17f);
    } else {
      const bool is_zero = rng.Below(16) == 0;
      v.multiplier.push_back(is_zero ? 0 : between(1 << 30, INT32_MAX));
      v.shift.push_back(is_zero ? 0 : extreme ? between(-31, 3) : between(-12, -2));
    }
  }
  if (!w.per_channel) {
    for (auto* const factors : {&v.multiplier, &v.shift}) {
      if (!factors->empty()) std::ranges::fill(*factors, factors->front());
    }
    if (!v.scale.empty()) std::ranges::fill(v.scale, v.scale.front());
  }
  return out;
}

}  // namespace kiln
