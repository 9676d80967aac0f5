#pragma once

#include "kernel_host/kiln_kernel.h"
#include "ops/op_data.h"

namespace kiln {

// The values as the kernel ABI takes them; they must outlive the result.
kiln_op AbiOp(const OpValues& values);

}  // namespace kiln
