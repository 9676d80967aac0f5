#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

// What is computed: one fused int8 operator
//   acc[int32] = sum (x - x_zp) * (w - w_zp) + bias;  y = clamp(requantize(acc) + y_zp, act_min,
//   act_max)
// by its shape and the classes of its values; the values themselves (weights, multipliers, zero
// points) are data, see ops/op_data.h. Plain C++: kiln-host includes it without absl.

namespace kiln {

enum class OpKind : std::uint8_t { kConv2d, kDepthwise, kDense };

// i8: s8 activations and s8 weights. u8s8: u8 activations, s8 weights. u8: legacy TFLite, u8 both.
// The output has the type of the activations. The zero point of s8 weights is always 0. That of u8
// weights is 128 when the workload has no weight zero point (wz0: then w ^ 0x80 is the same weight
// as s8 and a kernel needs no sums of the activations) and any other value in 0..255 when it has
// one (wz: w - w_zp needs 9 bits).
enum class DataType : std::uint8_t { kI8, kU8S8, kU8 };

// What the kernel must do after requantizing. none: act_min and act_max are the range of y's type,
// so saturation is the clamp. lo: act_min >= y_zp and act_max is the type's maximum (a fused ReLU).
// lohi: any act_min and act_max.
enum class Activation : std::uint8_t { kNone, kLo, kLoHi };

// How requantize is computed; every form gives the same bytes as the rounding rule says, each is
// valid for some class of multipliers (design notes in docs/kernels.md). gen is valid always.
enum class RequantizeForm : std::uint8_t {
  kStep1,
  kStep2,
  kSigned1,
  kSigned2,
  kInt7,
  kInt9,
  kGen,
  kFloat
};

// Whether the form's rounding has no kink at zero, so that with rounding double it is right only
// where a ReLU hides the kink: step1, step2, int7.
bool IsForRelu(RequantizeForm form);

// double: TFLite's reference kernels. single: TFLite's optimized kernels (ruy). float: ONNX
// Runtime.
enum class Rounding : std::uint8_t { kDouble, kSingle, kFloat };

// One operator. Fields that an op does not use have their default, so equal computations compare
// equal.
struct Workload {
  OpKind op = OpKind::kConv2d;
  DataType type = DataType::kI8;
  std::int32_t n = 1, h = 1, w = 1, c = 1;  // input, NHWC; dense: n rows of c
  std::int32_t o = 1;                       // output channels; depthwise: c * multiplier
  std::int32_t kh = 1, kw = 1;
  std::int32_t stride_h = 1, stride_w = 1;
  std::int32_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;
  std::int32_t dilation_h = 1, dilation_w = 1;
  std::int32_t groups = 1;         // conv2d; weights are o x kh x kw x c/groups
  std::int32_t multiplier = 1;     // depthwise; output channel = input channel * multiplier + m
  bool per_channel = true;         // pc: one scale per output channel; pt: one for all
  bool weight_zero_point = false;  // wz: see DataType
  // wz0full: s8 weights may be -128. Without, they are in -127..127, as TFLite's converter makes
  // them, and two products of int8 fit 16 bits.
  bool full_range_weights = false;
  Activation act = Activation::kNone;
  RequantizeForm rq = RequantizeForm::kGen;
  Rounding rounding = Rounding::kDouble;

  auto operator<=>(const Workload&) const = default;  // NOLINT(modernize-use-nullptr)

  std::int32_t out_h() const {
    return (h + pad_top + pad_bottom - (kh - 1) * dilation_h - 1) / stride_h + 1;
  }
  std::int32_t out_w() const {
    return (w + pad_left + pad_right - (kw - 1) * dilation_w - 1) / stride_w + 1;
  }
  // Input channels that one output value sees.
  std::int32_t reduce_c() const { return op == OpKind::kDepthwise ? 1 : c / groups; }
  std::int64_t taps() const { return std::int64_t{kh} * kw * reduce_c(); }
  std::int64_t outputs() const { return std::int64_t{n} * out_h() * out_w() * o; }
  std::int64_t macs() const { return outputs() * taps(); }  // padded taps counted
  std::int64_t x_bytes() const { return std::int64_t{n} * h * w * c; }
  std::int64_t y_bytes() const { return outputs(); }
  std::int64_t w_bytes() const { return o * taps(); }
  bool unsigned_activations() const { return type != DataType::kI8; }
  std::int32_t qmin() const { return unsigned_activations() ? 0 : -128; }
  std::int32_t qmax() const { return unsigned_activations() ? 255 : 127; }
  // The least weight as kernels for signed bytes store it: w - 128 where it is unsigned.
  std::int32_t lowest_weight() const {
    return type == DataType::kU8 || full_range_weights ? -128 : -127;
  }
};

// The words that keys are made of: "conv2d", "u8s8", "lohi", "int7", "double".
std::string_view Name(OpKind op);
std::string_view Name(DataType type);
std::string_view Name(Activation act);
std::string_view Name(RequantizeForm form);
std::string_view Name(Rounding rounding);

// The canonical key, what is stored and compared: equal computations have equal keys. Grammar and
// parser: ops/workload_key.h. For example
//   conv2d/i8/n1h56w56c64/o64/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=step1/double
std::string Key(const Workload& workload);

}  // namespace kiln
