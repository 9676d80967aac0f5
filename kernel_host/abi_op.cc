#include "kernel_host/abi_op.h"

namespace kiln {

kiln_op AbiOp(const OpValues& values) {
  const auto data = [](const auto& array) { return array.empty() ? nullptr : array.data(); };
  return {.w = values.w.data(),
          .bias = data(values.bias),
          .mult = data(values.multiplier),
          .shift = data(values.shift),
          .scale = data(values.scale),
          .x_zp = values.x_zp,
          .w_zp = values.w_zp,
          .y_zp = values.y_zp,
          .act_min = values.act_min,
          .act_max = values.act_max};
}

}  // namespace kiln
