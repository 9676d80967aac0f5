#pragma once

#include "base/status.h"
#include "ops/workload.h"

namespace kiln {

// The classes that a layer gets when its values are not known, in one place: what its shape, type,
// per_channel and weight_zero_point say stays; rounding is TFLite's reference rule, and rq is the
// form that the values of nearly all such layers of the networks at hand admit (docs/kernels.md):
// step1 after a fused ReLU, step2 if more than 1,024 products make the accumulator too large for
// it, else signed1. The result is canonical; an error is Canonical's.
StatusOr<Workload> WithDefaultClasses(Workload shape, Activation act);

}  // namespace kiln
