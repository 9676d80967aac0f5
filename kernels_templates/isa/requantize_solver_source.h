#pragma once

#include <string_view>

namespace kiln {

// The text of ops/requantize_solver.h, for the source of kernels.
std::string_view RequantizeSolverSource();

}  // namespace kiln
