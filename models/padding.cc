#include "models/padding.h"

#include <algorithm>
#include <limits>

namespace kiln {

Padding SamePadding(std::int32_t in, std::int32_t kernel, std::int32_t stride,
                    std::int32_t dilation) {
  const std::int64_t outputs = (std::int64_t{in} + stride - 1) / stride;
  const std::int64_t reach = (std::int64_t{kernel} - 1) * dilation + 1;
  const std::int64_t total = std::clamp<std::int64_t>((outputs - 1) * stride + reach - in, 0,
                                                      std::numeric_limits<std::int32_t>::max());
  const auto before = static_cast<std::int32_t>(total / 2);
  return {before, static_cast<std::int32_t>(total) - before};
}

std::int64_t WindowOutputs(std::int32_t in, Padding padding, std::int32_t kernel,
                           std::int32_t stride, std::int32_t dilation) {
  const std::int64_t reach = (std::int64_t{kernel} - 1) * dilation + 1;
  const std::int64_t room = std::int64_t{in} + padding.before + padding.after - reach;
  return room < 0 ? 0 : room / stride + 1;
}

}  // namespace kiln
