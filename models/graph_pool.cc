// AVERAGE_POOL_2D and MAX_POOL_2D over the taps inside the image. Input and output have one scale,
// so both work on the stored values; the average rounds halves away from zero.
#include <algorithm>
#include <limits>

#include "models/graph_ops.h"
#include "models/padding.h"
#include "models/tflite_import.h"

namespace kiln {
namespace {

// One axis of a pooling window over an image.
struct Axis {
  std::int32_t size = 1, outputs = 1, filter = 1, stride = 1, pad = 0;
  // The taps [first, last) of output `i` that lie inside of the image.
  std::int32_t first(std::int32_t i) const { return std::max(i * stride - pad, 0); }
  std::int32_t last(std::int32_t i) const {
    return static_cast<std::int32_t>(
        std::min<std::int64_t>(std::int64_t{i} * stride - pad + filter, size));
  }
};

struct Pooling {
  Axis rows, columns;
  std::int32_t n = 1, channels = 1;
  ElementType type = ElementType::kInt8;
  ActivationRange range;

  // The byte of the input at image b, row y, column x, channel c, as a number.
  std::int32_t At(std::span<const std::uint8_t> input, std::int32_t b, std::int32_t y,
                  std::int32_t x, std::int32_t c) const {
    const std::size_t row = std::size_t{static_cast<std::uint32_t>(b)} * rows.size + y;
    return FromByte(type, input[(row * columns.size + x) * channels + c]);
  }
};

StatusOr<Axis> AxisOf(std::int32_t in, std::int32_t out, std::int32_t filter, std::int32_t stride,
                      bool same_padding) {
  if (in < 1 || filter < 1 || stride < 1) return CannotCompute("a window that cannot be");
  const Padding padding = same_padding ? SamePadding(in, filter, stride, 1) : Padding{};
  if (WindowOutputs(in, padding, filter, stride, 1) != out) {
    return CannotCompute("an output whose shape does not fit its window");
  }
  return Axis{in, out, filter, stride, padding.before};
}

StatusOr<Pooling> PoolingOf(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  const TfliteOptions& options = op.options;
  if (!IsQuantized(*x) || x->type != y->type) return CannotCompute(x->type_name);
  if (!options.present || options.activation == FusedActivation::kOther) {
    return CannotCompute("unusual options");
  }
  if (x->shape.size() != 4 || y->shape.size() != 4 || x->shape[0] != y->shape[0] ||
      x->shape[3] != y->shape[3]) {
    return CannotCompute("shapes that do not fit");
  }
  ASSIGN_OR_RETURN(const TensorScale x_scale, ScaleOf(*x));
  ASSIGN_OR_RETURN(const TensorScale y_scale, ScaleOf(*y));
  if (x_scale.scale != y_scale.scale || x_scale.zero_point != y_scale.zero_point) {
    return CannotCompute("input and output of different scales");
  }
  Pooling pooling;
  pooling.n = x->shape[0];
  pooling.channels = x->shape[3];
  pooling.type = x->type;
  ASSIGN_OR_RETURN(pooling.rows, AxisOf(x->shape[1], y->shape[1], options.filter_h,
                                        options.stride_h, options.same_padding));
  ASSIGN_OR_RETURN(pooling.columns, AxisOf(x->shape[2], y->shape[2], options.filter_w,
                                           options.stride_w, options.same_padding));
  pooling.range = RangeOf(options.activation, y->type, y_scale.scale, y_scale.zero_point);
  return pooling;
}

struct Average {
  std::int64_t sum = 0, count = 0;
  void Take(std::int32_t value) {
    sum += value;
    ++count;
  }
  std::int32_t result() const {
    return static_cast<std::int32_t>(sum > 0 ? (sum + count / 2) / count
                                             : (sum - count / 2) / count);
  }
};

struct Maximum {
  std::int32_t largest = std::numeric_limits<std::int32_t>::min();
  void Take(std::int32_t value) { largest = std::max(largest, value); }
  std::int32_t result() const { return largest; }
};

template <typename Reduction>
StatusOr<GraphKernel> Prepare(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const Pooling pooling, PoolingOf(model, op));
  return GraphKernel([pooling](GraphInputs inputs, std::span<std::uint8_t> output) {
    const auto& [rows, columns, n, channels, type, range] = pooling;
    const auto reduced = [&](std::int32_t b, std::int32_t i, std::int32_t j, std::int32_t c) {
      Reduction reduction;
      for (std::int32_t y = pooling.rows.first(i); y < pooling.rows.last(i); ++y) {
        for (std::int32_t x = pooling.columns.first(j); x < pooling.columns.last(j); ++x) {
          reduction.Take(pooling.At(inputs[0], b, y, x, c));
        }
      }
      return std::clamp(reduction.result(), pooling.range.min, pooling.range.max);
    };
    std::size_t next = 0;
    for (std::int32_t b = 0; b < n; ++b) {
      for (std::int32_t i = 0; i < rows.outputs; ++i) {
        for (std::int32_t j = 0; j < columns.outputs; ++j) {
          for (std::int32_t c = 0; c < channels; ++c) output[next++] = ToByte(reduced(b, i, j, c));
        }
      }
    }
  });
}

}  // namespace

StatusOr<GraphKernel> PrepareAveragePool(const TfliteModel& model, const TfliteOperator& op) {
  return Prepare<Average>(model, op);
}

StatusOr<GraphKernel> PrepareMaxPool(const TfliteModel& model, const TfliteOperator& op) {
  return Prepare<Maximum>(model, op);
}

}  // namespace kiln
