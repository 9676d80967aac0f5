// One operator of a .tflite file as a Layer. The real factors of requantization are formed as
// TFLite's kernels form them, in float or double; which, decides the low bits of the multiplier:
//   int8 convolutions, and int8 FULLY_CONNECTED with a scale per channel:
//     double(x_scale) * double(w_scale[channel]) / double(y_scale)
//   uint8 operators, and int8 FULLY_CONNECTED with one scale:
//     double(float(x_scale * w_scale)) / double(y_scale)
// Source: TFLite's PopulateConvolutionQuantizationParams, GetQuantizedConvolutionMultipler and
// CalculateActivationRangeQuantized (kernel_util.cc, 2024).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "models/output_sizes.h"
#include "models/padding.h"
#include "models/tflite_import.h"
#include "ops/op_data.h"
#include "ops/quantization.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

// Why Kiln does not tune an operator: what it is counted under.
template <typename... Parts>
Status Skip(const Parts&... parts) {
  return Error(StatusCode::kInvalidArgument, parts...);
}

// The tensors of a convolution or a fully connected layer.
struct Operands {
  const TfliteTensor& x;
  const TfliteTensor& w;
  const TfliteTensor* bias;
  const TfliteTensor& y;
};

StatusOr<Operands> OperandsOf(const TfliteModel& model, const TfliteOperator& op) {
  const std::int32_t bias = op.input(2);
  if (op.input(0) < 0 || op.input(1) < 0 || op.outputs.size() != 1 || op.output(0) < 0) {
    return Skip("without an input, weights or its one output");
  }
  return Operands{model.tensors[op.input(0)], model.tensors[op.input(1)],
                  bias < 0 ? nullptr : &model.tensors[bias], model.tensors[op.output(0)]};
}

// Whether it is one of the kinds that Kiln tunes, as far as types, options and storage say.
Status CheckKind(const TfliteOperator& op, const Operands& t) {
  const auto all_are = [&](ElementType type) {
    return t.x.type == type && t.w.type == type && t.y.type == type;
  };
  if (!all_are(ElementType::kInt8) && !all_are(ElementType::kUint8)) {
    const bool same = t.x.type_name == t.w.type_name && t.x.type_name == t.y.type_name;
    return same ? Skip(t.x.type_name)
                : Skip(t.x.type_name, " * ", t.w.type_name, " -> ", t.y.type_name);
  }
  if (t.bias != nullptr && t.bias->type != ElementType::kInt32) {
    return Skip(t.bias->type_name, " bias");
  }
  for (const TfliteTensor* tensor : {&t.x, &t.w, t.bias, &t.y}) {
    if (tensor != nullptr && !tensor->fault.empty()) return Skip(tensor->fault);
  }
  if (!t.w.constant || (t.bias != nullptr && !t.bias->constant)) return Skip("computed weights");
  if (t.w.sparse || (t.bias != nullptr && t.bias->sparse)) return Skip("sparse weights");
  if (op.options.shuffled_weights) return Skip("shuffled weights");
  if (op.options.activation == FusedActivation::kOther) return Skip("unusual fused activation");
  return {};
}

std::string ShapeText(const std::vector<std::int32_t>& shape) {
  std::string text = "[";
  for (const std::int32_t size : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(size);
  }
  return text + "]";
}

Status CheckRank(const TfliteTensor& tensor, const char* role, std::size_t rank) {
  const bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
  if (tensor.shape.size() == rank && !empty) return {};
  // An image without a shape is one of unknown rank.
  if (tensor.shape.empty()) return Skip(kDynamicShape);
  return Skip("the shape of its ", role, " is ", ShapeText(tensor.shape), ", must be of ", rank,
              " sizes above 0");
}

// Shapes of CONV_2D (weights o, kh, kw, c/groups) and DEPTHWISE_CONV_2D (weights 1, kh, kw, o).
StatusOr<Workload> ConvolutionShape(const TfliteOperator& op, const Operands& t) {
  const TfliteOptions& options = op.options;
  if (!options.present) return Skip("no options");
  RETURN_IF_ERROR(CheckRank(t.x, "input", 4));
  RETURN_IF_ERROR(CheckRank(t.w, "weights", 4));
  RETURN_IF_ERROR(CheckRank(t.y, "output", 4));
  if (std::min({options.stride_h, options.stride_w, options.dilation_h, options.dilation_w}) < 1) {
    return Skip("its strides and dilations must be above 0");
  }
  Workload shape{.n = t.x.shape[0], .h = t.x.shape[1], .w = t.x.shape[2], .c = t.x.shape[3]};
  shape.kh = t.w.shape[1];
  shape.kw = t.w.shape[2];
  shape.stride_h = options.stride_h;
  shape.stride_w = options.stride_w;
  shape.dilation_h = options.dilation_h;
  shape.dilation_w = options.dilation_w;
  if (op.kind == TfliteKind::kConv2d) {
    shape.o = t.w.shape[0];
    if (shape.c % t.w.shape[3] != 0) {
      return Skip("its input has ", shape.c, " channels, its weights ", t.w.shape[3]);
    }
    shape.groups = shape.c / t.w.shape[3];
  } else {
    shape.op = OpKind::kDepthwise;
    shape.o = t.w.shape[3];
    if (t.w.shape[0] != 1 || shape.o % shape.c != 0) {
      return Skip("its input has ", shape.c, " channels, its weights are ", ShapeText(t.w.shape));
    }
    shape.multiplier = shape.o / shape.c;
  }
  Padding rows, columns;
  if (options.same_padding) {
    rows = SamePadding(shape.h, shape.kh, shape.stride_h, shape.dilation_h);
    columns = SamePadding(shape.w, shape.kw, shape.stride_w, shape.dilation_w);
  }
  shape.pad_top = rows.before;
  shape.pad_bottom = rows.after;
  shape.pad_left = columns.before;
  shape.pad_right = columns.after;
  return shape;
}

// FULLY_CONNECTED, weights o, c: rows of c values, however the input is shaped.
StatusOr<Workload> DenseShape(const Operands& t) {
  if (t.x.shape.empty() || t.y.shape.empty()) return Skip(kDynamicShape);
  RETURN_IF_ERROR(CheckRank(t.w, "weights", 2));
  Workload shape{.op = OpKind::kDense, .c = t.w.shape[1], .o = t.w.shape[0]};
  const std::int64_t rows = t.x.elements() / shape.c;
  if (rows < 1 || rows > std::numeric_limits<std::int32_t>::max() ||
      t.x.elements() != rows * shape.c) {
    return Skip("its input ", ShapeText(t.x.shape), " is not made of rows of ", shape.c);
  }
  shape.n = static_cast<std::int32_t>(rows);
  return shape;
}

// What the output tensor says of a workload's output.
OutputSizes SizesOf(const TfliteTensor& y, const Workload& shape) {
  if (shape.op != OpKind::kDense) return {y.shape[0], y.shape[1], y.shape[2], y.shape[3]};
  // Rows, however they are shaped.
  const bool whole = y.elements() % shape.o == 0;
  return whole ? OutputSizes{y.elements() / shape.o, 1, 1, shape.o}
               : OutputSizes{1, 1, 1, y.elements()};
}

// The axis of the weights that output channels lie on.
std::int32_t ChannelAxis(TfliteKind kind) { return kind == TfliteKind::kDepthwiseConv2d ? 3 : 0; }

struct WeightScales {
  std::vector<float> scale;  // one, or one per channel
  std::int32_t zero_point = 0;
};

// A scale of 0 is TFLite's for channels without weights: they are the output's zero point.
StatusOr<WeightScales> WeightScalesOf(const TfliteOperator& op, const TfliteTensor& w) {
  const std::size_t scales = w.scale.size();
  if (scales == 0 || scales != w.zero_point.size()) {
    return Skip("weights with ", scales, " scales and ", w.zero_point.size(), " zero points");
  }
  for (const float scale : w.scale) {
    if (!std::isfinite(scale) || scale < 0) return Skip("weights with scale ", scale);
  }
  const bool is_signed = w.type == ElementType::kInt8;
  const auto is_zero = [](std::int64_t zero_point) { return zero_point == 0; };
  if (is_signed && !std::all_of(w.zero_point.begin(), w.zero_point.end(), is_zero)) {
    return Skip("int8 weights with a zero point");
  }
  if (scales == 1) {
    if (w.zero_point[0] < 0 || w.zero_point[0] > 255) {
      return Skip("uint8 weights with zero point ", w.zero_point[0]);
    }
    return WeightScales{w.scale, static_cast<std::int32_t>(w.zero_point[0])};
  }
  if (!is_signed) return Skip("uint8 weights with several scales");
  const std::int32_t axis = ChannelAxis(op.kind);
  const auto channels = static_cast<std::size_t>(w.shape[axis]);
  if (w.axis != axis || scales != channels) {
    return Skip("weights with ", scales, " scales along axis ", w.axis, ", must be ", channels,
                " along axis ", axis);
  }
  return WeightScales{w.scale, 0};
}

// Factors that requantize the accumulators of o channels.
Status SetMultipliers(const TfliteOperator& op, float x_scale, const WeightScales& w, float y_scale,
                      std::int32_t o, OpValues& values, bool is_signed) {
  const bool in_double =
      is_signed && (op.kind != TfliteKind::kFullyConnected || w.scale.size() > 1);
  for (std::int32_t i = 0; i < o; ++i) {
    const float w_scale = w.scale[w.scale.size() == 1 ? 0 : i];
    const double product =
        in_double ? double{x_scale} * double{w_scale} : static_cast<double>(x_scale * w_scale);
    const double real = product / double{y_scale};
    if (!std::isfinite(real)) return Skip("channel ", i, " is multiplied by ", real);
    const FixedPoint factor = QuantizeMultiplier(real);
    values.multiplier.push_back(factor.multiplier);
    values.shift.push_back(factor.shift);
  }
  return {};
}

// `given` has the file's shape, `canonical` is what the key calls it.
StatusOr<OpValues> ValuesOf(const TfliteOperator& op, const Operands& t, const Workload& given,
                            const Workload& canonical) {
  ASSIGN_OR_RETURN(const TensorScale x, ScaleOf(t.x));
  ASSIGN_OR_RETURN(const TensorScale y, ScaleOf(t.y));
  ASSIGN_OR_RETURN(const WeightScales w, WeightScalesOf(op, t.w));
  OpValues values;
  values.w = CanonicalWeights(given, canonical, {t.w.data.begin(), t.w.data.end()});
  if (t.bias != nullptr) {
    if (t.bias->elements() != canonical.o) {
      return Skip(t.bias->elements(), " biases for ", canonical.o, " channels");
    }
    values.bias.resize(canonical.o);
    std::memcpy(values.bias.data(), t.bias->data.data(), t.bias->data.size());
  }
  RETURN_IF_ERROR(
      SetMultipliers(op, x.scale, w, y.scale, canonical.o, values, t.x.type == ElementType::kInt8));
  values.x_zp = x.zero_point;
  values.w_zp = w.zero_point;
  values.y_zp = y.zero_point;
  const ActivationRange range = RangeOf(op.options.activation, t.y.type, y.scale, y.zero_point);
  values.act_min = range.min;
  values.act_max = range.max;
  return values;
}

// Converters join the names of all that they fused with semicolons; the first one is the output's.
std::string LayerName(const TfliteTensor& y, std::int32_t number) {
  std::string name = y.name.substr(0, y.name.find(';'));
  return name.empty() ? "tensor " + std::to_string(number) : name;
}

StatusOr<Layer> LayerOf(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const Operands operands, OperandsOf(model, op));
  RETURN_IF_ERROR(CheckKind(op, operands));
  const bool dense = op.kind == TfliteKind::kFullyConnected;
  ASSIGN_OR_RETURN(Workload shape, dense ? DenseShape(operands) : ConvolutionShape(op, operands));
  shape.type = operands.x.type == ElementType::kInt8 ? DataType::kI8 : DataType::kU8;
  shape.per_channel = operands.w.scale.size() > 1;
  ASSIGN_OR_RETURN(const Workload canonical, Canonical(shape));
  RETURN_IF_ERROR(CheckOutput(canonical, SizesOf(operands.y, shape)));
  ASSIGN_OR_RETURN(OpValues values, ValuesOf(op, operands, shape, canonical));
  // For example sums that some input could drive over 32 bits.
  if (const std::string misfit = Misfit(canonical, values); !misfit.empty()) return Skip(misfit);
  Layer layer{.name = LayerName(operands.y, op.outputs[0]),
              .workload = Classify(canonical, values),
              .values = std::nullopt,
              .output_tensor = op.outputs[0]};
  layer.values = std::move(values);
  return layer;
}

}  // namespace

StatusOr<TensorScale> ScaleOf(const TfliteTensor& tensor) {
  const std::string name = "tensor \"" + tensor.name + "\"";
  if (tensor.scale.size() != 1 || tensor.zero_point.size() != 1) {
    return Skip(name, " has ", tensor.scale.size(), " scales and ", tensor.zero_point.size(),
                " zero points, must have one");
  }
  if (!std::isfinite(tensor.scale[0]) || tensor.scale[0] <= 0) {
    return Skip(name, " has scale ", tensor.scale[0]);
  }
  const std::int32_t least = tensor.type == ElementType::kInt8 ? -128 : 0;
  if (tensor.zero_point[0] < least || tensor.zero_point[0] > least + 255) {
    return Skip(name, " has zero point ", tensor.zero_point[0], ", which its type ",
                tensor.type_name, " cannot hold");
  }
  return TensorScale{tensor.scale[0], static_cast<std::int32_t>(tensor.zero_point[0])};
}

ActivationRange RangeOf(FusedActivation activation, ElementType type, float scale,
                        std::int32_t zero_point) {
  const std::int32_t least = type == ElementType::kInt8 ? -128 : 0;
  ActivationRange range{least, least + 255};
  const auto quantized = [&](float real) {
    const float steps = std::round(real / scale);  // halves away from zero
    return zero_point + static_cast<std::int32_t>(std::clamp(steps, -512.0F, 512.0F));
  };
  if (activation == FusedActivation::kRelu || activation == FusedActivation::kRelu6) {
    range.min = std::max(range.min, zero_point);
  }
  if (activation == FusedActivation::kRelu6) range.max = std::min(range.max, quantized(6));
  if (activation == FusedActivation::kReluN1To1) {
    range.min = std::max(range.min, quantized(-1));
    range.max = std::min(range.max, quantized(1));
  }
  return range;
}

ImportedOperator ImportOperator(const TfliteModel& model, std::size_t index) {
  const TfliteOperator& op = model.operators[index];
  if (op.kind != TfliteKind::kFullyConnected && op.kind != TfliteKind::kConv2d &&
      op.kind != TfliteKind::kDepthwiseConv2d) {
    return {.layer = std::nullopt, .skipped = op.name};
  }
  StatusOr<Layer> layer = LayerOf(model, op);
  if (layer.ok()) return {.layer = *std::move(layer), .skipped = ""};
  return {.layer = std::nullopt, .skipped = op.name + " (" + Message(layer.status()) + ")"};
}

}  // namespace kiln
