#include "models/output_sizes.h"

#include <string>

#include "models/padding.h"

namespace kiln {
namespace {

std::string Text(const OutputSizes& sizes) {
  return "[" + std::to_string(sizes.n) + ", " + std::to_string(sizes.h) + ", " +
         std::to_string(sizes.w) + ", " + std::to_string(sizes.o) + "]";
}

}  // namespace

OutputSizes OutputSizesOf(const Workload& given) {
  if (given.op == OpKind::kDense) return {given.n, 1, 1, given.o};
  const std::int64_t channels =
      given.op == OpKind::kDepthwise ? std::int64_t{given.c} * given.multiplier : given.o;
  return {given.n,
          WindowOutputs(given.h, {given.pad_top, given.pad_bottom}, given.kh, given.stride_h,
                        given.dilation_h),
          WindowOutputs(given.w, {given.pad_left, given.pad_right}, given.kw, given.stride_w,
                        given.dilation_w),
          channels};
}

Status CheckOutput(const Workload& canonical, const OutputSizes& wanted) {
  const OutputSizes computed = OutputSizesOf(canonical);
  if (computed == wanted) return {};
  return Error(StatusCode::kInvalidArgument, "the shape of its output is ", Text(wanted),
               ", must be ", Text(computed));
}

}  // namespace kiln
