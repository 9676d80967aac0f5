// Each choice is drawn by how often it occurs in real files, with enough weight on the odd ones that
// a hundred models hold all of them.
#include "random_model.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>

#include "base/rng.h"
#include "tflite_definition.h"

namespace kiln {
namespace {

using Activation = DescribedOperator::Activation;
using Bytes = std::vector<std::uint8_t>;
using Kind = DescribedOperator::Kind;
using Shape = std::vector<std::int32_t>;

constexpr std::int64_t kMostMacs = 400'000;  // of one operator

class ModelMaker {
 public:
  explicit ModelMaker(std::uint64_t seed) : rng_(seed) {}

  DescribedModel Make(std::uint64_t seed) {
    model_.name = "random_" + std::to_string(seed);
    model_.is_signed = !Once(3);
    model_.values_behind = Once(5);
    model_.x.shape = {Once(5) ? Number(2, 3) : 1, Size(), Size(), Channels()};
    model_.x = {model_.x.shape, {Real(0.02)}, {ZeroPoint()}, 0, {}};
    const std::int32_t operators = Number(1, 4);
    for (std::int32_t i = 0; i < operators; ++i) {
      const DescribedTensor& x = i == 0 ? model_.x : model_.operators.back().y;
      std::optional<DescribedOperator> op;
      while (!op) op = Operator(x);
      model_.operators.push_back(*std::move(op));
    }
    return model_;
  }

 private:
  bool Once(std::uint64_t in) { return rng_.Below(in) == 0; }
  std::int32_t Number(std::int32_t low, std::int32_t high) {
    return static_cast<std::int32_t>(rng_.Between(low, high));
  }
  std::int32_t OneOf(std::initializer_list<std::int32_t> choices) {
    return choices.begin()[rng_.Below(choices.size())];
  }
  // Around `middle`, by up to a factor of two.
  float Real(double middle) { return static_cast<float>(middle * (0.5 + 1.5 * rng_.Unit())); }
  std::int32_t Size() { return OneOf({1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14}); }
  std::int32_t Channels() { return OneOf({1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 24, 31, 32, 33}); }
  std::int32_t low() const { return model_.is_signed ? -128 : 0; }
  std::int32_t high() const { return low() + 255; }
  std::int64_t ZeroPoint() {
    return OneOf({low(), low(), high(), 0, Number(low(), high()), Number(low(), high())});
  }

  // An operator on x; none if the draw has no output or too many products.
  std::optional<DescribedOperator> Operator(const DescribedTensor& x) {
    DescribedOperator op;
    const bool image = x.shape.size() == 4;
    const std::uint64_t kind = image ? rng_.Below(8) : 7;
    op.kind = kind < 4 ? Kind::kConv2d : kind < 7 ? Kind::kDepthwiseConv2d : Kind::kFullyConnected;
    if (op.kind == Kind::kFullyConnected) {
      SetRows(op, x);
    } else {
      SetWindow(op, x.shape);
    }
    const Shape shape = OutputShapeByDefinition(op, x.shape);
    const bool empty = *std::min_element(shape.begin(), shape.end()) < 1;
    if (empty || ElementsOf(shape) * Taps(op) > kMostMacs) return std::nullopt;
    op.y.shape = shape;
    if (op.kind == Kind::kFullyConnected && image && op.w.shape[1] == x.shape[3] && Once(2)) {
      op.y.shape = {x.shape[0], x.shape[1], x.shape[2], op.w.shape[0]};  // keep_num_dims
    }
    op.activation = static_cast<Activation>(OneOf({0, 0, 1, 2, 3}));
    op.y.zero_point = {ZeroPoint()};
    SetWeights(op);
    SetScales(op, x);
    SetBias(op, x);
    return op;
  }

  static std::int64_t Taps(const DescribedOperator& op) {
    const std::int64_t weights = ElementsOf(op.w.shape);
    return op.kind == Kind::kDepthwiseConv2d ? weights / op.w.shape[3] : weights / op.w.shape[0];
  }
  static std::int64_t Outputs(const DescribedOperator& op) {
    return op.kind == Kind::kDepthwiseConv2d ? op.w.shape[3] : op.w.shape[0];
  }

  // Rows are any part of the input that divides it.
  void SetRows(DescribedOperator& op, const DescribedTensor& x) {
    const std::int64_t elements = ElementsOf(x.shape);
    std::vector<std::int64_t> lengths = {x.shape.back(), elements};
    for (std::int64_t length = 1; length <= std::min<std::int64_t>(elements, 40); ++length) {
      if (elements % length == 0) lengths.push_back(length);
    }
    const std::int64_t length = lengths[rng_.Below(lengths.size())];
    op.w.shape = {Channels(), static_cast<std::int32_t>(length)};
  }

  void SetWindow(DescribedOperator& op, const Shape& x) {
    const auto kernel = [&] { return OneOf({1, 1, 1, 2, 3, 3, 3, 4, 5, 7}); };
    const auto stride = [&] { return OneOf({1, 1, 1, 2, 2, 3, 4, 7}); };
    const auto dilation = [&] { return OneOf({1, 1, 1, 1, 2, 3}); };
    const std::int32_t kh = kernel(), kw = Once(3) ? kernel() : kh;
    op.same_padding = Once(2);
    op.stride_h = stride();
    op.stride_w = Once(4) ? stride() : op.stride_h;
    op.dilation_h = dilation();
    op.dilation_w = Once(4) ? dilation() : op.dilation_h;
    if (op.kind == Kind::kDepthwiseConv2d) {
      op.w.shape = {1, kh, kw, x[3] * OneOf({1, 1, 1, 2, 3, x[3] == 1 ? 8 : 1})};
      return;
    }
    // All input channels, or a group of them; sometimes a group each.
    std::int32_t groups = 1;
    if (model_.is_signed && Once(4)) {
      std::vector<std::int32_t> divisors;
      for (std::int32_t g = 1; g <= x[3]; ++g) {
        if (x[3] % g == 0) divisors.push_back(g);
      }
      groups = divisors[rng_.Below(divisors.size())];
    }
    const std::int32_t o = groups == 1 ? Channels() : groups * Number(1, 3);
    op.w.shape = {o, kh, kw, x[3] / groups};
  }

  void SetWeights(DescribedOperator& op) {
    enum : std::uint64_t { kFull, kWithMinus128, kEnds, kSmall, kStyles };
    const std::uint64_t style = rng_.Below(kStyles);
    const bool depthwise = op.kind == Kind::kDepthwiseConv2d;
    const auto count = static_cast<std::size_t>(ElementsOf(op.w.shape));
    const auto channels = static_cast<std::size_t>(Outputs(op));
    const std::int64_t zero = model_.is_signed ? 0 : OneOf({128, 0, 255, 120, Number(0, 255)});
    op.w.zero_point = {zero};
    std::vector<bool> dead(channels);
    for (std::size_t i = 0; i < channels; ++i) dead[i] = Once(12);
    const std::int32_t least = model_.is_signed && style != kWithMinus128 ? -127 : low();
    for (std::size_t i = 0; i < count; ++i) {
      std::int64_t weight = rng_.Between(least, high());
      if (style == kWithMinus128 && Once(4)) weight = low();
      if (style == kEnds) weight = Once(2) ? least : high();
      if (style == kSmall) weight = std::clamp<std::int64_t>(zero + Number(-3, 3), least, high());
      if (dead[depthwise ? i % channels : i / (count / channels)]) weight = zero;
      op.w.bytes.push_back(static_cast<std::uint8_t>(weight));
    }
  }

  // Scales that bring the sums to the range of y, each channel with its own; some far from it.
  void SetScales(DescribedOperator& op, const DescribedTensor& x) {
    const auto channels = static_cast<std::size_t>(Outputs(op));
    const bool per_channel = model_.is_signed && Once(2);
    const double w_scale = 0.01;
    const double spread = 50.0 * 50.0 * std::sqrt(static_cast<double>(Taps(op)));
    const double y_scale = static_cast<double>(x.scale[0]) * w_scale * spread / 64;
    op.y.scale = {Real(y_scale)};
    op.w.scale = {Real(w_scale)};
    if (per_channel) {
      op.w.axis = op.kind == Kind::kDepthwiseConv2d ? 3 : 0;
      op.w.scale.clear();
      for (std::size_t i = 0; i < channels; ++i) op.w.scale.push_back(Real(w_scale));
      op.w.zero_point.assign(channels, 0);
    }
    for (float& scale : op.w.scale) {
      if (Once(10)) scale = std::ldexp(scale, Number(-28, 6));
      if (Once(20)) scale = OneOf({0, 1}) == 0 ? 0.0F : 1e-40F;
    }
    // The output's range is then far too small, or far too large.
    if (Once(8)) op.y.scale[0] = std::ldexp(op.y.scale[0], Number(-12, 20));
  }

  void SetBias(DescribedOperator& op, const DescribedTensor& x) {
    op.has_bias = !Once(4);
    if (!op.has_bias) return;
    const auto channels = static_cast<std::size_t>(Outputs(op));
    for (std::size_t i = 0; i < channels; ++i) {
      const double y_steps = static_cast<double>(op.y.scale[0]) * Number(-100, 100);
      const float w_scale = op.w.scale[op.w.scale.size() == 1 ? 0 : i];
      const double real =
          y_steps / (static_cast<double>(x.scale[0]) * static_cast<double>(w_scale));
      const std::int32_t most = Once(50) ? 1 << 30 : 1 << 20;
      op.bias.push_back(static_cast<std::int32_t>(
          std::isfinite(real) ? std::clamp<double>(std::round(real), -most, most) : most));
    }
    op.bias_scales.shape = {static_cast<std::int32_t>(channels)};
    if (Once(2)) return;
    op.bias_scales.axis = op.w.axis;  // as the weights have it
    op.bias_scales.scale = op.w.scale;
    op.bias_scales.zero_point.assign(op.w.scale.size(), 0);
  }

  Rng rng_;
  DescribedModel model_;
};

}  // namespace

DescribedModel RandomModel(std::uint64_t seed) { return ModelMaker(seed).Make(seed); }

std::vector<std::uint8_t> RandomInput(const DescribedModel& model, std::uint64_t number) {
  Rng rng(number);
  Bytes input(static_cast<std::size_t>(ElementsOf(model.x.shape)));
  for (std::uint8_t& byte : input) {
    byte = static_cast<std::uint8_t>(rng.Next());
    if (number % 4 == 1) byte = static_cast<std::uint8_t>((byte & 1) != 0 ? 0x7f : 0x80);
    if (number % 4 == 2) byte = static_cast<std::uint8_t>(model.x.zero_point[0]);
  }
  // The ends of unsigned bytes are others.
  if (number % 4 == 1 && !model.is_signed) {
    for (std::uint8_t& byte : input) byte = static_cast<std::uint8_t>(byte == 0x7f ? 0xff : 0);
  }
  return input;
}

}  // namespace kiln
