// The operators as TFLite's reference kernels define them (reference_integer_ops/conv.h,
// depthwise_conv.h, fully_connected.h, reference/conv.h; common.h and quantization_util.cc for the
// arithmetic; kernel_util.cc for factors and ranges), written anew in 64-bit numbers.
#include "tflite_definition.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace kiln {
namespace {

using Kind = DescribedOperator::Kind;

// A real factor as multiplier * 2^(exponent - 31).
struct Factor {
  std::int64_t multiplier = 0;
  int exponent = 0;
};

// QuantizeMultiplier
Factor FactorOf(double real) {
  if (real == 0) return {};
  Factor factor;
  const double fraction = std::frexp(real, &factor.exponent);
  factor.multiplier = std::llround(fraction * 2147483648.0);
  if (factor.multiplier == 2147483648) {
    factor.multiplier /= 2;
    ++factor.exponent;
  }
  return factor.exponent < -31 ? Factor{} : factor;
}

std::int64_t PowerOfTwo(int exponent) { return std::int64_t{1} << exponent; }

// SaturatingRoundingDoublingHighMul: the product over 2^31, a half added with the sign of the
// product, towards zero. Wide enough for sums that TFLite could not hold.
std::int64_t DoublingHighMultiply(std::int64_t a, std::int64_t b) {
  const __int128_t product = static_cast<__int128_t>(a) * b;
  const std::int64_t nudge = product >= 0 ? PowerOfTwo(30) : 1 - PowerOfTwo(30);
  return static_cast<std::int64_t>((product + nudge) / PowerOfTwo(31));
}

// RoundingDivideByPOT: to the nearest, halves away from zero.
std::int64_t DivideByPowerOfTwo(std::int64_t a, int exponent) {
  const std::int64_t divisor = PowerOfTwo(exponent);
  const std::int64_t magnitude = (std::abs(a) * 2 + divisor) / (2 * divisor);
  return a < 0 ? -magnitude : magnitude;
}

// MultiplyByQuantizedMultiplier
std::int64_t Scaled(std::int64_t acc, const Factor& factor, DefinedRounding rounding) {
  if (rounding == DefinedRounding::kOnce) {
    const std::int64_t sum = acc * factor.multiplier + PowerOfTwo(30 - factor.exponent);
    return sum >> (31 - factor.exponent);
  }
  const int left = std::max(factor.exponent, 0), right = std::max(-factor.exponent, 0);
  return DivideByPowerOfTwo(DoublingHighMultiply(acc * PowerOfTwo(left), factor.multiplier), right);
}

// The factor of an output channel. Legacy uint8 operators, and fully connected ones with one scale,
// multiply the two scales in single precision.
Factor FactorOfChannel(const DescribedOperator& op, const DescribedTensor& x, bool is_signed,
                       std::int64_t channel) {
  const bool one_scale = op.w.scale.size() == 1;
  const float w_scale = op.w.scale[one_scale ? 0 : static_cast<std::size_t>(channel)];
  const bool in_single = !is_signed || (op.kind == Kind::kFullyConnected && one_scale);
  const float product = x.scale[0] * w_scale;
  const double real = in_single ? static_cast<double>(product)
                                : static_cast<double>(x.scale[0]) * static_cast<double>(w_scale);
  return FactorOf(real / static_cast<double>(op.y.scale[0]));
}

// CalculateActivationRangeQuantized
struct Range {
  std::int64_t low, high;
};
Range RangeOfOutput(const DescribedOperator& op, bool is_signed) {
  using Activation = DescribedOperator::Activation;
  const std::int64_t zero = op.y.zero_point[0];
  const auto quantized = [&](float real) {
    return zero + static_cast<std::int64_t>(std::round(real / op.y.scale[0]));
  };
  Range range = is_signed ? Range{-128, 127} : Range{0, 255};
  switch (op.activation) {
    case Activation::kNone:
      break;
    case Activation::kRelu:
      range.low = std::max(range.low, quantized(0));
      break;
    case Activation::kRelu6:
      range = {std::max(range.low, quantized(0)), std::min(range.high, quantized(6))};
      break;
    case Activation::kReluN1To1:
      range = {std::max(range.low, quantized(-1)), std::min(range.high, quantized(1))};
      break;
  }
  return range;
}

// One axis of a window. SAME makes ceil(in / stride) outputs, with the odd padding behind; VALID
// those whose window lies inside.
struct Axis {
  std::int64_t in, kernel, stride, dilation;
  bool same;

  std::int64_t reach() const { return (kernel - 1) * dilation + 1; }
  std::int64_t outputs() const {
    return same ? (in + stride - 1) / stride : (in - reach() + stride) / stride;
  }
  std::int64_t pad() const {
    return same ? std::max<std::int64_t>(0, (outputs() - 1) * stride + reach() - in) / 2 : 0;
  }
  // Where tap `tap` of output `output` is; outside of [0, in): in the padding.
  std::int64_t Place(std::int64_t output, std::int64_t tap) const {
    return output * stride - pad() + tap * dilation;
  }
  bool Inside(std::int64_t place) const { return place >= 0 && place < in; }
};

struct Axes {
  Axis rows, columns;
};
Axes AxesOf(const DescribedOperator& op, const std::vector<std::int32_t>& x) {
  return {{x[1], op.w.shape[1], op.stride_h, op.dilation_h, op.same_padding},
          {x[2], op.w.shape[2], op.stride_w, op.dilation_w, op.same_padding}};
}

// Everything that one output needs.
class Evaluation {
 public:
  Evaluation(const DescribedOperator& op, const DescribedTensor& x, bool is_signed,
             const std::vector<std::uint8_t>& input)
      : op_(op), x_(x), signed_(is_signed), input_(input) {}

  // The sums of conv and depthwise: (n, row, column, channel) by the definition's nested loops.
  std::int64_t Window(std::int64_t n, std::int64_t row, std::int64_t column,
                      std::int64_t channel) const {
    const auto [rows, columns] = AxesOf(op_, x_.shape);
    const std::int64_t kh = op_.w.shape[1], kw = op_.w.shape[2], c = x_.shape[3];
    const bool depthwise = op_.kind == Kind::kDepthwiseConv2d;
    const std::int64_t o = depthwise ? op_.w.shape[3] : op_.w.shape[0];
    const std::int64_t depth = depthwise ? 1 : op_.w.shape[3];
    // Output channels share input channels: those of a group, or of one with its multiplier.
    const std::int64_t sharing = depthwise ? o / c : o / (c / depth);
    const std::int64_t first = channel / sharing * depth;
    std::int64_t sum = 0;
    for (std::int64_t y = 0; y < kh; ++y) {
      for (std::int64_t x = 0; x < kw; ++x) {
        const std::int64_t image_y = rows.Place(row, y), image_x = columns.Place(column, x);
        if (!rows.Inside(image_y) || !columns.Inside(image_x)) continue;
        for (std::int64_t i = 0; i < depth; ++i) {
          const std::int64_t weight =
              depthwise ? (y * kw + x) * o + channel : ((channel * kh + y) * kw + x) * depth + i;
          const std::int64_t pixel = (n * x_.shape[1] + image_y) * x_.shape[2] + image_x;
          sum += Product(pixel * c + first + i, weight);
        }
      }
    }
    return sum;
  }

  // That of a fully connected layer.
  std::int64_t Row(std::int64_t row, std::int64_t channel) const {
    const std::int64_t depth = op_.w.shape[1];
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < depth; ++i) sum += Product(row * depth + i, channel * depth + i);
    return sum;
  }

 private:
  std::int64_t Product(std::int64_t x, std::int64_t w) const {
    const std::int64_t w_zero = op_.w.zero_point[0];
    return (NumberOf(input_[static_cast<std::size_t>(x)], signed_) - x_.zero_point[0]) *
           (NumberOf(op_.w.bytes[static_cast<std::size_t>(w)], signed_) - w_zero);
  }

  const DescribedOperator& op_;
  const DescribedTensor& x_;
  const bool signed_;
  const std::vector<std::uint8_t>& input_;
};

}  // namespace

std::vector<std::int32_t> OutputShapeByDefinition(const DescribedOperator& op,
                                                  const std::vector<std::int32_t>& x_shape) {
  if (op.kind == Kind::kFullyConnected) {
    const std::int64_t rows = ElementsOf(x_shape) / op.w.shape[1];
    return {static_cast<std::int32_t>(rows), op.w.shape[0]};
  }
  const auto [rows, columns] = AxesOf(op, x_shape);
  return {x_shape[0], static_cast<std::int32_t>(rows.outputs()),
          static_cast<std::int32_t>(columns.outputs()),
          op.kind == Kind::kDepthwiseConv2d ? op.w.shape[3] : op.w.shape[0]};
}

std::vector<std::uint8_t> ComputeByDefinition(const DescribedOperator& op, const DescribedTensor& x,
                                              bool is_signed,
                                              const std::vector<std::uint8_t>& input,
                                              DefinedRounding rounding) {
  const Evaluation evaluation(op, x, is_signed, input);
  const Range range = RangeOfOutput(op, is_signed);
  std::vector<std::uint8_t> output;
  const auto put = [&](std::int64_t sum, std::int64_t channel) {
    const std::int64_t bias = op.has_bias ? op.bias[static_cast<std::size_t>(channel)] : 0;
    const Factor factor = FactorOfChannel(op, x, is_signed, channel);
    const std::int64_t value = Scaled(sum + bias, factor, rounding) + op.y.zero_point[0];
    output.push_back(static_cast<std::uint8_t>(std::clamp(value, range.low, range.high)));
  };
  const std::vector<std::int32_t> shape = OutputShapeByDefinition(op, x.shape);
  if (op.kind == Kind::kFullyConnected) {
    for (std::int64_t row = 0; row < shape[0]; ++row) {
      for (std::int64_t o = 0; o < shape[1]; ++o) put(evaluation.Row(row, o), o);
    }
    return output;
  }
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    for (std::int64_t row = 0; row < shape[1]; ++row) {
      for (std::int64_t column = 0; column < shape[2]; ++column) {
        for (std::int64_t o = 0; o < shape[3]; ++o) put(evaluation.Window(n, row, column, o), o);
      }
    }
  }
  return output;
}

std::vector<std::vector<std::uint8_t>> ComputeByDefinition(const DescribedModel& model,
                                                           const std::vector<std::uint8_t>& input) {
  std::vector<std::vector<std::uint8_t>> outputs;
  const DescribedTensor* x = &model.x;
  for (const DescribedOperator& op : model.operators) {
    const std::vector<std::uint8_t>& in = outputs.empty() ? input : outputs.back();
    outputs.push_back(ComputeByDefinition(op, *x, model.is_signed, in));
    x = &op.y;
  }
  return outputs;
}

}  // namespace kiln
