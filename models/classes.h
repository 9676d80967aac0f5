#pragma once

#include "base/status.h"
#include "ops/workload.h"

namespace kiln {

// The classes that a layer gets when its values are not known, in one place: what its shape, type,
// per_channel and weight_zero_point say stays; rounding is TFLite's reference rule, and rq is the
// integer form that fits every multiplier of the networks at hand (docs/kernels.md): int7 where a
// fused ReLU bounds the output below, else int9. The result is canonical; an error is Canonical's.
StatusOr<Workload> WithDefaultClasses(Workload shape, Activation act);

}  // namespace kiln
