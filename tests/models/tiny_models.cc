#include "tiny_models.h"

#include <cmath>

#include "base/rng.h"
#include "random_model.h"
#include "tflite_definition.h"

namespace kiln {
namespace {

using Activation = DescribedOperator::Activation;
using Kind = DescribedOperator::Kind;

// Adds operators with values as training leaves them: weights on both sides of zero, scales that
// bring the sums to the output's range.
class TinyNetwork {
 public:
  TinyNetwork(const char* name, bool is_signed, bool per_channel)
      : per_channel_(per_channel), rng_(is_signed ? (per_channel ? 1 : 2) : 3) {
    model_.name = name;
    model_.is_signed = is_signed;
    model_.x = {{1, 13, 11, 3}, {0.0078125F}, {is_signed ? -1 : 127}, 0, {}};
  }

  void Add(DescribedOperator op) {
    const DescribedTensor& x = model_.operators.empty() ? model_.x : model_.operators.back().y;
    const bool depthwise = op.kind == Kind::kDepthwiseConv2d;
    const std::int32_t axis = depthwise ? 3 : 0;
    const auto channels = static_cast<std::size_t>(op.w.shape[static_cast<std::size_t>(axis)]);
    const std::int64_t weights = ElementsOf(op.w.shape);
    const std::int64_t zero = model_.is_signed ? 0 : 131;
    for (std::int64_t i = 0; i < weights; ++i) {
      op.w.bytes.push_back(static_cast<std::uint8_t>(zero + rng_.Between(-120, 120)));
    }
    const std::size_t scales = per_channel_ ? channels : 1;
    for (std::size_t i = 0; i < scales; ++i) op.w.scale.push_back(Real(0.004));
    op.w.zero_point.assign(scales, zero);
    op.w.axis = per_channel_ ? axis : 0;
    const double taps = static_cast<double>(weights) / static_cast<double>(channels);
    const double real_sum = 70 * 0.004 * 50 * static_cast<double>(x.scale[0]) * std::sqrt(taps);
    const bool relu = op.activation != Activation::kNone;
    op.y.shape = OutputShapeByDefinition(op, x.shape);
    op.y.scale = {op.activation == Activation::kRelu6 ? 6.0F / 255 : Real(real_sum / 60)};
    op.y.zero_point = {(model_.is_signed ? -128 : 0) + (relu ? 0 : 121)};
    op.has_bias = true;
    for (std::size_t i = 0; i < channels; ++i) {
      op.bias.push_back(static_cast<std::int32_t>(rng_.Between(-3000, 3000)));
    }
    op.bias_scales.shape = {static_cast<std::int32_t>(channels)};
    model_.operators.push_back(std::move(op));
  }

  DescribedModel Take() { return std::move(model_); }

 private:
  float Real(double middle) { return static_cast<float>(middle * (0.75 + 0.5 * rng_.Unit())); }

  const bool per_channel_;
  Rng rng_;
  DescribedModel model_;
};

DescribedOperator Window(Kind kind, std::vector<std::int32_t> weights, std::int32_t stride,
                         Activation activation) {
  DescribedOperator op;
  op.kind = kind;
  op.w.shape = std::move(weights);
  op.stride_h = op.stride_w = stride;
  op.activation = activation;
  return op;
}

DescribedModel Tiny(const char* name, bool is_signed, bool per_channel) {
  TinyNetwork net(name, is_signed, per_channel);
  net.Add(Window(Kind::kConv2d, {8, 3, 3, 3}, 2, Activation::kRelu6));
  net.Add(Window(Kind::kDepthwiseConv2d, {1, 3, 3, 8}, 1, Activation::kRelu));
  net.Add(Window(Kind::kConv2d, {16, 1, 1, 8}, 1, Activation::kNone));
  DescribedOperator dilated = Window(Kind::kConv2d, {5, 2, 3, 16}, 1, Activation::kReluN1To1);
  dilated.same_padding = false;
  dilated.dilation_h = dilated.dilation_w = 2;
  net.Add(dilated);
  DescribedOperator dense = Window(Kind::kFullyConnected, {10, 5 * 5 * 2}, 1, Activation::kNone);
  net.Add(dense);
  return net.Take();
}

}  // namespace

std::vector<DescribedModel> TinyModels() {
  return {Tiny("tiny_int8_per_channel", true, true), Tiny("tiny_int8_per_tensor", true, false),
          Tiny("tiny_uint8", false, false)};
}

std::vector<std::uint8_t> TinyInput(const DescribedModel& model, std::uint64_t number) {
  return RandomInput(model, number);
}

}  // namespace kiln
