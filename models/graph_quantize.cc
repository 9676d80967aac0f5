// QUANTIZE and DEQUANTIZE between float32, int8 and uint8.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "models/graph_ops.h"
#include "models/tflite_import.h"
#include "ops/quantization.h"

namespace kiln {
namespace {

std::uint8_t Clamped(std::int64_t value, ElementType type) {
  const ActivationRange range = RangeOf(FusedActivation::kNone, type, 1, 0);
  return ToByte(static_cast<std::int32_t>(std::clamp<std::int64_t>(value, range.min, range.max)));
}

GraphKernel FromFloat(TensorScale y, ElementType type) {
  return [=](GraphInputs inputs, std::span<std::uint8_t> output) {
    for (std::size_t i = 0; i < output.size(); ++i) {
      float real = 0;
      std::memcpy(&real, inputs[0].data() + i * sizeof real, sizeof real);
      // Far outside of any 8-bit range the sum saturates; not a number counts as the lowest.
      const float steps = std::round(real / y.scale);
      const float near = std::isnan(steps) ? -512.0F : std::clamp(steps, -512.0F, 512.0F);
      output[i] = Clamped(static_cast<std::int64_t>(near) + y.zero_point, type);
    }
  };
}

StatusOr<GraphKernel> Requantize(TensorScale x, ElementType x_type, TensorScale y,
                                 ElementType y_type) {
  const double real = static_cast<double>(x.scale) / static_cast<double>(y.scale);
  if (!(real < 1 << 20)) return CannotCompute("scales far apart");
  const FixedPoint factor = QuantizeMultiplier(real);
  return GraphKernel([=](GraphInputs inputs, std::span<std::uint8_t> output) {
    for (std::size_t i = 0; i < output.size(); ++i) {
      const std::int32_t value = FromByte(x_type, inputs[0][i]) - x.zero_point;
      const std::int32_t scaled = MultiplyByQuantizedMultiplier(value, factor, Rounding::kDouble);
      output[i] = Clamped(std::int64_t{scaled} + y.zero_point, y_type);
    }
  });
}

}  // namespace

StatusOr<GraphKernel> PrepareQuantize(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  if (x->elements() != y->elements()) return CannotCompute("shapes that do not fit");
  const bool from_float = x->type == ElementType::kFloat32;
  if (!IsQuantized(*y) || !(from_float || IsQuantized(*x))) {
    return CannotCompute(x->type_name, " -> ", y->type_name);
  }
  ASSIGN_OR_RETURN(const TensorScale y_scale, ScaleOf(*y));
  if (from_float) return FromFloat(y_scale, y->type);
  ASSIGN_OR_RETURN(const TensorScale x_scale, ScaleOf(*x));
  return Requantize(x_scale, x->type, y_scale, y->type);
}

StatusOr<GraphKernel> PrepareDequantize(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  if (x->elements() != y->elements()) return CannotCompute("shapes that do not fit");
  if (!IsQuantized(*x) || y->type != ElementType::kFloat32) {
    return CannotCompute(x->type_name, " -> ", y->type_name);
  }
  ASSIGN_OR_RETURN(const TensorScale scale, ScaleOf(*x));
  return GraphKernel([scale, type = x->type](GraphInputs inputs, std::span<std::uint8_t> output) {
    for (std::size_t i = 0; i < inputs[0].size(); ++i) {
      const float real =
          scale.scale * static_cast<float>(FromByte(type, inputs[0][i]) - scale.zero_point);
      std::memcpy(output.data() + i * sizeof real, &real, sizeof real);
    }
  });
}

}  // namespace kiln
