#pragma once

#include <optional>

#include "base/rng.h"
#include "ops/workload_key.h"

namespace kiln {

// A small workload with odd shapes and any classes as a model or a person may give it: in no
// canonical form, and often no computation (an empty output, classes that contradict).
inline Workload DrawGivenWorkload(Rng& rng) {
  const auto up_to = [&rng](std::int64_t high, std::int64_t low = 1) {
    return static_cast<std::int32_t>(rng.Between(low, high));
  };
  Workload w;
  w.op = static_cast<OpKind>(rng.Below(3));
  w.type = static_cast<DataType>(rng.Below(3));
  w.n = up_to(2), w.h = up_to(12), w.w = up_to(12);
  w.groups = rng.Below(3) == 0 ? up_to(4) : 1;
  w.c = w.groups * up_to(9), w.o = w.groups * up_to(9);
  w.multiplier = up_to(3);
  w.kh = up_to(5), w.kw = up_to(5);
  w.stride_h = up_to(3), w.stride_w = up_to(3);
  w.dilation_h = up_to(2), w.dilation_w = up_to(2);
  w.pad_top = up_to(3, 0), w.pad_left = up_to(3, 0);
  w.pad_bottom = up_to(3, 0), w.pad_right = up_to(3, 0);
  w.per_channel = rng.Below(2) == 0;
  w.weight_zero_point = rng.Below(4) == 0;
  w.full_range_weights = rng.Below(4) == 0;
  w.act = static_cast<Activation>(rng.Below(3));
  w.rq = static_cast<RequantizeForm>(rng.Below(8));
  w.rounding =
      w.rq == RequantizeForm::kFloat ? Rounding::kFloat : static_cast<Rounding>(rng.Below(2));
  return w;
}

// One in canonical form; no value where the draw is no computation.
inline std::optional<Workload> DrawWorkload(Rng& rng) {
  const auto canonical = Canonical(DrawGivenWorkload(rng));
  if (!canonical.ok()) return std::nullopt;
  return *canonical;
}

}  // namespace kiln
