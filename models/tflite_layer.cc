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

#include "models/padding.h"
#include "models/tflite_import.h"
#include "ops/op_data.h"
#include "ops/quantization.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

template <typename... Parts>
Status Impossible(const Parts&... parts) {
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
  if (op.input(0) < 0 || op.input(1) < 0 || op.outputs.size() != 1) {
    return Impossible("it must have an input, weights and one output");
  }
  return Operands{model.tensors[op.input(0)], model.tensors[op.input(1)],
                  bias < 0 ? nullptr : &model.tensors[bias], model.tensors[op.outputs[0]]};
}

// Why Kiln does not tune the operator; empty if it does.
std::string NotTuned(const TfliteOperator& op, const Operands& t) {
  const auto all_are = [&](ElementType type) {
    return t.x.type == type && t.w.type == type && t.y.type == type;
  };
  if (!all_are(ElementType::kInt8) && !all_are(ElementType::kUint8)) {
    const bool same = t.x.type_name == t.w.type_name && t.x.type_name == t.y.type_name;
    return same ? t.x.type_name : t.x.type_name + " * " + t.w.type_name + " -> " + t.y.type_name;
  }
  if (t.bias != nullptr && t.bias->type != ElementType::kInt32) return t.bias->type_name + " bias";
  if (!t.w.constant || (t.bias != nullptr && !t.bias->constant)) return "computed weights";
  if (t.w.sparse || (t.bias != nullptr && t.bias->sparse)) return "sparse weights";
  if (op.options.shuffled_weights) return "shuffled weights";
  if (op.options.activation == FusedActivation::kOther) return "unusual fused activation";
  return "";
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
  return Impossible("the shape of its ", role, " is ", ShapeText(tensor.shape), ", must be of ",
                    rank, " sizes above 0");
}

Status CheckOutputs(const TfliteTensor& y, std::int64_t n, std::int64_t h, std::int64_t w,
                    std::int64_t o) {
  if (y.shape[0] == n && y.shape[1] == h && y.shape[2] == w && y.shape[3] == o) return {};
  return Impossible("the shape of its output is ", ShapeText(y.shape), ", must be [", n, ", ", h,
                    ", ", w, ", ", o, "]");
}

// Shapes of CONV_2D (weights o, kh, kw, c/groups) and DEPTHWISE_CONV_2D (weights 1, kh, kw, o).
StatusOr<Workload> ConvolutionShape(const TfliteOperator& op, const Operands& t) {
  const TfliteOptions& options = op.options;
  if (!options.present) return Impossible("it has no options");
  RETURN_IF_ERROR(CheckRank(t.x, "input", 4));
  RETURN_IF_ERROR(CheckRank(t.w, "weights", 4));
  RETURN_IF_ERROR(CheckRank(t.y, "output", 4));
  if (std::min({options.stride_h, options.stride_w, options.dilation_h, options.dilation_w}) < 1) {
    return Impossible("its strides and dilations must be above 0");
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
      return Impossible("its input has ", shape.c, " channels, its weights ", t.w.shape[3]);
    }
    shape.groups = shape.c / t.w.shape[3];
  } else {
    shape.op = OpKind::kDepthwise;
    shape.o = t.w.shape[3];
    if (t.w.shape[0] != 1 || shape.o % shape.c != 0) {
      return Impossible("its input has ", shape.c, " channels, its weights are ",
                        ShapeText(t.w.shape));
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
  RETURN_IF_ERROR(CheckOutputs(
      t.y, shape.n, WindowOutputs(shape.h, rows, shape.kh, shape.stride_h, shape.dilation_h),
      WindowOutputs(shape.w, columns, shape.kw, shape.stride_w, shape.dilation_w), shape.o));
  return shape;
}

// FULLY_CONNECTED, weights o, c: rows of c values, however the input is shaped.
StatusOr<Workload> DenseShape(const Operands& t) {
  RETURN_IF_ERROR(CheckRank(t.w, "weights", 2));
  Workload shape{.op = OpKind::kDense, .c = t.w.shape[1], .o = t.w.shape[0]};
  const std::int64_t rows = t.x.elements() / shape.c;
  if (rows < 1 || rows > std::numeric_limits<std::int32_t>::max() ||
      t.x.elements() != rows * shape.c) {
    return Impossible("its input ", ShapeText(t.x.shape), " is not made of rows of ", shape.c);
  }
  if (t.y.elements() != rows * shape.o) {
    return Impossible("the shape of its output is ", ShapeText(t.y.shape), ", must have ", rows,
                      " * ", shape.o, " elements");
  }
  shape.n = static_cast<std::int32_t>(rows);
  return shape;
}

// The axis of the weights that output channels lie on.
std::int32_t ChannelAxis(TfliteKind kind) { return kind == TfliteKind::kDepthwiseConv2d ? 3 : 0; }

struct WeightScales {
  std::vector<float> scale;  // one, or one per channel
  std::int32_t zero_point = 0;
};

StatusOr<WeightScales> WeightScalesOf(const TfliteOperator& op, const TfliteTensor& w) {
  if (w.scale.size() < 2) {
    ASSIGN_OR_RETURN(const TensorScale one, ScaleOf(w));
    if (w.type == ElementType::kInt8 && one.zero_point != 0) {
      return Impossible("the zero point of int8 weights must be 0, not ", one.zero_point);
    }
    return WeightScales{{one.scale}, one.zero_point};
  }
  if (w.type == ElementType::kUint8) return Impossible("uint8 weights must have one scale");
  if (w.axis != ChannelAxis(op.kind)) {
    return Impossible("its weights have a scale per slice of axis ", w.axis, ", must be axis ",
                      ChannelAxis(op.kind));
  }
  for (std::size_t i = 0; i < w.scale.size(); ++i) {
    if (!std::isfinite(w.scale[i]) || w.scale[i] <= 0 || w.zero_point[i] != 0) {
      return Impossible("channel ", i, " of its weights has scale ", w.scale[i], " and zero point ",
                        w.zero_point[i]);
    }
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
    if (!std::isfinite(real)) return Impossible("channel ", i, " is multiplied by ", real);
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
      return Impossible("it has ", t.bias->elements(), " biases for ", canonical.o, " channels");
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

}  // namespace

StatusOr<TensorScale> ScaleOf(const TfliteTensor& tensor) {
  const std::string name = "tensor \"" + tensor.name + "\"";
  if (tensor.scale.size() != 1) {
    return Impossible(name, " has ", tensor.scale.size(), " scales, must have one");
  }
  if (!std::isfinite(tensor.scale[0]) || tensor.scale[0] <= 0) {
    return Impossible(name, " has scale ", tensor.scale[0]);
  }
  const std::int32_t least = tensor.type == ElementType::kInt8 ? -128 : 0;
  if (tensor.zero_point[0] < least || tensor.zero_point[0] > least + 255) {
    return Impossible(name, " has zero point ", tensor.zero_point[0], ", which its type ",
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

StatusOr<ImportedOperator> ImportOperator(const TfliteModel& model, std::size_t index) {
  const TfliteOperator& op = model.operators[index];
  const bool dense = op.kind == TfliteKind::kFullyConnected;
  if (!dense && op.kind != TfliteKind::kConv2d && op.kind != TfliteKind::kDepthwiseConv2d) {
    return ImportedOperator{.layer = std::nullopt, .skipped = op.name};
  }
  ASSIGN_OR_RETURN(const Operands operands, OperandsOf(model, op));
  const auto skipped = [&op](const std::string& reason) {
    return ImportedOperator{.layer = std::nullopt, .skipped = op.name + " (" + reason + ")"};
  };
  if (const std::string reason = NotTuned(op, operands); !reason.empty()) return skipped(reason);
  ASSIGN_OR_RETURN(Workload shape, dense ? DenseShape(operands) : ConvolutionShape(op, operands));
  shape.type = operands.x.type == ElementType::kInt8 ? DataType::kI8 : DataType::kU8;
  shape.per_channel = operands.w.scale.size() > 1;
  // What is over Kiln's limits, or may overflow an int32 accumulator, is no damage.
  const StatusOr<Workload> canonical = Canonical(shape);
  if (!canonical.ok()) return skipped(Message(canonical.status()));
  ASSIGN_OR_RETURN(OpValues values, ValuesOf(op, operands, shape, *canonical));
  if (const std::string misfit = Misfit(*canonical, values); !misfit.empty()) {
    return skipped(misfit);
  }
  Layer layer{.name = LayerName(operands.y, op.outputs[0]),
              .workload = Classify(*canonical, values),  // NOLINT(bugprone-use-after-move)
              .values = std::move(values),
              .output_tensor = op.outputs[0]};
  return ImportedOperator{.layer = std::move(layer), .skipped = ""};
}

}  // namespace kiln
