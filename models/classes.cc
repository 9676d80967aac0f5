#include "models/classes.h"

#include "ops/workload_key.h"

namespace kiln {

StatusOr<Workload> WithDefaultClasses(Workload shape, Activation act) {
  shape.act = act;
  shape.rq = act == Activation::kLo ? RequantizeForm::kInt7 : RequantizeForm::kInt9;
  shape.rounding = Rounding::kDouble;
  return Canonical(shape);
}

}  // namespace kiln
