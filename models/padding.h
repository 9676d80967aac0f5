#pragma once

#include <cstdint>

namespace kiln {

// Padded rows (or columns) before and after an image.
struct Padding {
  std::int32_t before = 0, after = 0;
};

// TensorFlow's SAME: as much as makes ceil(in / stride) outputs; the odd one goes after. All
// arguments are from 1; large ones do not overflow.
Padding SamePadding(std::int32_t in, std::int32_t kernel, std::int32_t stride,
                    std::int32_t dilation);

// The number of outputs of a window that moves over `in` values; 0 or less: the window does not
// fit.
std::int64_t WindowOutputs(std::int32_t in, Padding padding, std::int32_t kernel,
                           std::int32_t stride, std::int32_t dilation);

}  // namespace kiln
