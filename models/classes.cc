#include "models/classes.h"

#include "ops/workload_key.h"

namespace kiln {

StatusOr<Workload> WithDefaultClasses(Workload shape, Activation act) {
  shape.act = act;
  const bool small_sums = shape.taps() <= 1024;
  shape.rq = act != Activation::kLo ? RequantizeForm::kSigned1
             : small_sums           ? RequantizeForm::kStep1
                                    : RequantizeForm::kStep2;
  shape.rounding = Rounding::kDouble;
  return Canonical(shape);
}

}  // namespace kiln
