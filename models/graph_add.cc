// ADD: both inputs are brought to a common scale with 20 more bits, added, and requantized.
#include <algorithm>

#include "models/graph_ops.h"
#include "models/tflite_import.h"
#include "ops/quantization.h"

namespace kiln {

StatusOr<GraphKernel> PrepareAdd(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* a, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* b, InputTensor(model, op, 1));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  if (!IsQuantized(*a) || a->type != b->type || a->type != y->type) {
    return CannotCompute(a->type_name, " + ", b->type_name, " -> ", y->type_name);
  }
  if (a->shape != b->shape || a->shape != y->shape) return CannotCompute("broadcast inputs");
  if (op.options.activation == FusedActivation::kOther) return CannotCompute("fused activation");
  ASSIGN_OR_RETURN(const TensorScale a_scale, ScaleOf(*a));
  ASSIGN_OR_RETURN(const TensorScale b_scale, ScaleOf(*b));
  ASSIGN_OR_RETURN(const TensorScale y_scale, ScaleOf(*y));

  constexpr int kLeftShift = 20;
  const double common = 2 * static_cast<double>(std::max(a_scale.scale, b_scale.scale));
  const FixedPoint a_factor = QuantizeMultiplier(static_cast<double>(a_scale.scale) / common);
  const FixedPoint b_factor = QuantizeMultiplier(static_cast<double>(b_scale.scale) / common);
  const double y_real = common / static_cast<double>((1 << kLeftShift) * y_scale.scale);
  // TFLite's kernel demands it.
  if (!(y_real < 1)) return CannotCompute("an output scale far below its inputs'");
  const FixedPoint y_factor = QuantizeMultiplier(y_real);
  const ActivationRange range =
      RangeOf(op.options.activation, y->type, y_scale.scale, y_scale.zero_point);
  const ElementType type = a->type;
  const auto scaled = [type](std::uint8_t byte, std::int32_t zero_point, FixedPoint factor) {
    const std::int32_t value = (FromByte(type, byte) - zero_point) * (1 << kLeftShift);
    return MultiplyByQuantizedMultiplier(value, factor, Rounding::kDouble);
  };
  return GraphKernel([=](GraphInputs inputs, std::span<std::uint8_t> output) {
    for (std::size_t i = 0; i < output.size(); ++i) {
      const std::int32_t sum = scaled(inputs[0][i], a_scale.zero_point, a_factor) +
                               scaled(inputs[1][i], b_scale.zero_point, b_factor);
      const std::int32_t value =
          MultiplyByQuantizedMultiplier(sum, y_factor, Rounding::kDouble) + y_scale.zero_point;
      output[i] = ToByte(std::clamp(value, range.min, range.max));
    }
  });
}

}  // namespace kiln
