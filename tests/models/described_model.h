#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Models of convolutions, depthwise convolutions and fully connected layers as a .tflite file
// describes them, in plain numbers: what tests write a file from (described_file.h) and what the
// definition computes (tflite_definition.h). Nothing here knows Kiln's own types.

namespace kiln {

// A tensor's values are real = scale * (q - zero_point).
struct DescribedTensor {
  std::vector<std::int32_t> shape;
  std::vector<float> scale;              // one, or one per slice along `axis`
  std::vector<std::int64_t> zero_point;  // as many
  std::int32_t axis = 0;
  std::vector<std::uint8_t> bytes;  // of a constant
};

struct DescribedOperator {
  enum class Kind : std::uint8_t { kConv2d, kDepthwiseConv2d, kFullyConnected };
  enum class Activation : std::uint8_t { kNone, kRelu, kRelu6, kReluN1To1 };
  Kind kind = Kind::kConv2d;
  DescribedTensor w;  // conv: o, kh, kw, c / groups; depthwise: 1, kh, kw, o; fully connected: o, c
  bool has_bias = false;
  std::vector<std::int32_t> bias;
  DescribedTensor bias_scales;  // that nothing reads
  DescribedTensor y;
  bool same_padding = true;
  std::int32_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  Activation activation = Activation::kNone;
};

// Operators in a chain, each taking the output of the one before.
struct DescribedModel {
  std::string name;
  bool is_signed = true;  // int8, or legacy uint8: activations and weights
  DescribedTensor x;
  std::vector<DescribedOperator> operators;
  bool values_behind = false;  // constants are stored behind the FlatBuffer
};

// The number of a byte in the model's type.
inline std::int64_t NumberOf(std::uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<std::int8_t>(byte) : byte;
}

inline std::int64_t ElementsOf(const std::vector<std::int32_t>& shape) {
  std::int64_t elements = 1;
  for (const std::int32_t size : shape) elements *= size;
  return elements;
}

}  // namespace kiln
