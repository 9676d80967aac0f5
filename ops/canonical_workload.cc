#include "ops/canonical_workload.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

namespace kiln {
namespace {

using Fault = std::optional<WorkloadFault>;

std::string Text(std::int64_t number) { return std::to_string(number); }

Fault CheckNumbers(KeyPart part, const char* what, std::int32_t least,
                   std::initializer_list<std::int32_t> numbers) {
  for (const std::int32_t number : numbers) {
    if (number >= least && number <= kMaxKeyNumber) continue;
    return WorkloadFault{part, std::string(what) + " must be from " + Text(least) + " to " +
                                   Text(kMaxKeyNumber) + ", not " + Text(number)};
  }
  return std::nullopt;
}

// The product, or no value if it exceeds `limit`. Factors are positive.
std::optional<std::int64_t> Product(std::int64_t limit,
                                    std::initializer_list<std::int64_t> factors) {
  std::int64_t product = 1;
  for (const std::int64_t factor : factors) {
    if (product > limit / factor) return std::nullopt;
    product *= factor;
  }
  return product;
}

// Gives fields that the op does not use their default, so that they cannot tell equal workloads
// apart, and o its value for a depthwise.
Fault ResetUnusedFields(Workload& w) {
  const Workload defaults;
  if (w.op == OpKind::kDense) {
    w.h = w.w = w.kh = w.kw = w.stride_h = w.stride_w = w.dilation_h = w.dilation_w = 1;
    w.pad_top = w.pad_left = w.pad_bottom = w.pad_right = 0;
  }
  if (w.op != OpKind::kConv2d) w.groups = defaults.groups;
  if (w.op != OpKind::kDepthwise) {
    w.multiplier = defaults.multiplier;
    return std::nullopt;
  }
  if (auto fault =
          CheckNumbers(KeyPart::kOutput, "the channel multiplier", 1, {w.multiplier, w.c})) {
    return fault;
  }
  const auto o = Product(kMaxKeyNumber, {w.c, w.multiplier});
  if (!o) {
    return WorkloadFault{KeyPart::kOutput, "more than " + Text(kMaxKeyNumber) + " output channels"};
  }
  w.o = static_cast<std::int32_t>(*o);
  return std::nullopt;
}

Fault CheckRanges(const Workload& w) {
  if (auto fault = CheckNumbers(KeyPart::kInput, "input sizes", 1, {w.n, w.h, w.w, w.c})) {
    return fault;
  }
  if (auto fault = CheckNumbers(KeyPart::kOutput, "output channels", 1, {w.o})) return fault;
  if (auto fault = CheckNumbers(KeyPart::kKernel, "kernel sizes", 1, {w.kh, w.kw})) return fault;
  if (auto fault = CheckNumbers(KeyPart::kStride, "strides", 1, {w.stride_h, w.stride_w})) {
    return fault;
  }
  if (auto fault = CheckNumbers(KeyPart::kPadding, "paddings", 0,
                                {w.pad_top, w.pad_left, w.pad_bottom, w.pad_right})) {
    return fault;
  }
  if (auto fault = CheckNumbers(KeyPart::kDilation, "dilations", 1, {w.dilation_h, w.dilation_w})) {
    return fault;
  }
  if (auto fault = CheckNumbers(KeyPart::kGroups, "groups", 1, {w.groups})) return fault;
  if (w.c % w.groups != 0 || w.o % w.groups != 0) {
    return WorkloadFault{KeyPart::kGroups, Text(w.groups) + " groups do not divide " + Text(w.c) +
                                               " input and " + Text(w.o) + " output channels"};
  }
  return std::nullopt;
}

// One axis of the image.
struct Axis {
  const char* name;
  std::int32_t size, taps;
  std::int32_t &stride, &dilation, &pad_before, &pad_after;
};

Fault CanonicalizeAxis(Axis axis) {
  if (axis.taps == 1) axis.dilation = 1;
  const std::int64_t extent = std::int64_t{axis.taps - 1} * axis.dilation + 1;
  if (std::max(axis.pad_before, axis.pad_after) >= extent) {
    return WorkloadFault{KeyPart::kPadding,
                         std::string("padding must be smaller than the kernel's ") + axis.name +
                             ", " + Text(extent)};
  }
  const std::int64_t room = std::int64_t{axis.size} + axis.pad_before + axis.pad_after - extent;
  if (room < 0) {
    return WorkloadFault{KeyPart::kKernel,
                         std::string("the output is empty: the kernel's ") + axis.name + " of " +
                             Text(extent) + " exceeds the padded image's " + Text(room + extent)};
  }
  const std::int64_t steps = room / axis.stride;
  const std::int64_t reached = steps * axis.stride + extent - axis.pad_before;
  axis.pad_after = static_cast<std::int32_t>(std::max<std::int64_t>(0, reached - axis.size));
  // One window: the least stride that has no second one in what of the image lies behind it.
  if (steps == 0) {
    const std::int64_t behind = axis.size + axis.pad_after - reached;
    axis.stride = static_cast<std::int32_t>(behind + 1);
  }
  return std::nullopt;
}

// For an image with axes in order. Afterwards no size overflows.
Fault CheckVolume(const Workload& w) {
  struct Tensor {
    KeyPart part;
    const char* name;
    std::initializer_list<std::int64_t> sizes;
  };
  for (const Tensor& tensor : {
           Tensor{KeyPart::kInput, "input", {w.n, w.h, w.w, w.c}},
           Tensor{KeyPart::kOutput, "output", {w.n, w.out_h(), w.out_w(), w.o}},
           Tensor{KeyPart::kOutput, "weights", {w.o, w.kh, w.kw, w.reduce_c()}},
       }) {
    if (Product(kMaxTensorBytes, tensor.sizes)) continue;
    return WorkloadFault{tensor.part, std::string("more than ") + Text(kMaxTensorBytes) +
                                          " bytes of " + tensor.name};
  }
  if (w.taps() > kMaxTaps) {
    return WorkloadFault{w.op == OpKind::kDense ? KeyPart::kInput : KeyPart::kKernel,
                         "more than " + Text(kMaxTaps) + " products in one sum"};
  }
  if (!Product(kMaxMacs, {w.outputs(), w.taps()})) {
    return WorkloadFault{KeyPart::kInput, "more than " + Text(kMaxMacs) + " multiply-accumulates"};
  }
  return std::nullopt;
}

// The op that the computation is called by.
void CanonicalizeOp(Workload& w) {
  if (w.op == OpKind::kDepthwise && w.c == 1) {
    w.op = OpKind::kConv2d;
    w.multiplier = 1;
  }
  if (w.op != OpKind::kConv2d) return;
  if (w.groups == w.c && w.c > 1) {
    w.op = OpKind::kDepthwise;
    w.multiplier = w.o / w.c;
    w.groups = 1;
    return;
  }
  const bool one_pixel = w.h == 1 && w.w == 1 && w.out_h() == 1 && w.out_w() == 1;
  if (one_pixel && w.kh == 1 && w.kw == 1 && w.groups == 1) w.op = OpKind::kDense;
}

Fault CanonicalizeClasses(Workload& w) {
  if (w.o == 1) w.per_channel = true;
  if (w.weight_zero_point && w.type != DataType::kU8) {
    return WorkloadFault{KeyPart::kWeightZeroPoint, "only type u8 may have wz"};
  }
  if (w.type == DataType::kU8) w.full_range_weights = false;
  if ((w.rq == RequantizeForm::kFloat) != (w.rounding == Rounding::kFloat)) {
    return WorkloadFault{KeyPart::kForm, "rq=float and rounding float go together"};
  }
  // Single rounding has no kink at zero: forms that follow one are those without.
  if (w.rounding == Rounding::kSingle) {
    if (w.rq == RequantizeForm::kInt9) w.rq = RequantizeForm::kInt7;
    if (w.rq == RequantizeForm::kSigned1 || w.rq == RequantizeForm::kSigned2) {
      w.rq = RequantizeForm::kStep2;
    }
  }
  if (IsForRelu(w.rq) && w.rounding == Rounding::kDouble && w.act == Activation::kNone) {
    return WorkloadFault{KeyPart::kForm, "rq=" + std::string(Name(w.rq)) +
                                             " with rounding double needs act=lo or act=lohi"};
  }
  return std::nullopt;
}

}  // namespace

std::optional<WorkloadFault> Canonicalize(Workload& w) {
  if (auto fault = ResetUnusedFields(w)) return fault;
  if (auto fault = CheckRanges(w)) return fault;
  if (auto fault = CanonicalizeAxis(
          {"height", w.h, w.kh, w.stride_h, w.dilation_h, w.pad_top, w.pad_bottom})) {
    return fault;
  }
  if (auto fault = CanonicalizeAxis(
          {"width", w.w, w.kw, w.stride_w, w.dilation_w, w.pad_left, w.pad_right})) {
    return fault;
  }
  if (auto fault = CheckVolume(w)) return fault;
  CanonicalizeOp(w);
  return CanonicalizeClasses(w);
}

}  // namespace kiln
