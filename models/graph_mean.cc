// MEAN of int8 tensors over constant axes: the division by the number of values is folded into the
// multiplier that requantizes the sum, with as many bits as fit.
#include <algorithm>
#include <bit>

#include "models/graph_ops.h"
#include "models/tflite_import.h"
#include "ops/quantization.h"

namespace kiln {
namespace {

// The multiplier of a sum of `count` values.
FixedPoint DividedBy(FixedPoint factor, std::int64_t count) {
  int bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(count))) - 1;
  bits = std::min({bits, 32, 31 + factor.shift});
  const std::int64_t multiplier = (std::int64_t{factor.multiplier} << bits) / count;
  return {static_cast<std::int32_t>(multiplier), factor.shift - bits};
}

// For each axis of `shape`: the stride of its index in the output, 0 if it is averaged away.
StatusOr<std::vector<std::int64_t>> OutputStrides(const std::vector<std::int32_t>& shape,
                                                  const std::vector<std::int32_t>& axes) {
  const auto rank = static_cast<std::int32_t>(shape.size());
  std::vector<bool> averaged(shape.size(), false);
  for (const std::int32_t axis : axes) {
    if (axis < -rank || axis >= rank) return CannotCompute("axis ", axis);
    averaged[axis < 0 ? axis + rank : axis] = true;
  }
  std::vector<std::int64_t> strides(shape.size(), 0);
  std::int64_t stride = 1;
  for (std::size_t i = shape.size(); i-- > 0;) {
    if (averaged[i]) continue;
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

// Steps through the indices of `shape` in row-major order, keeping the place in the output.
class OutputPlace {
 public:
  OutputPlace(const std::vector<std::int32_t>& shape, const std::vector<std::int64_t>& strides)
      : shape_(shape), strides_(strides), index_(shape.size(), 0) {}
  std::int64_t place() const { return place_; }
  void Next() {
    for (std::size_t i = shape_.size(); i-- > 0;) {
      place_ += strides_[i];
      if (++index_[i] < shape_[i]) return;
      place_ -= strides_[i] * shape_[i];
      index_[i] = 0;
    }
  }

 private:
  const std::vector<std::int32_t>& shape_;
  const std::vector<std::int64_t>& strides_;
  std::vector<std::int32_t> index_;
  std::int64_t place_ = 0;
};

}  // namespace

StatusOr<GraphKernel> PrepareMean(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  ASSIGN_OR_RETURN(const std::vector<std::int32_t> axes, ConstantInts(model, op, 1));
  if (x->type != ElementType::kInt8 || y->type != ElementType::kInt8) {
    return CannotCompute(x->type_name, " -> ", y->type_name);
  }
  ASSIGN_OR_RETURN(const TensorScale x_scale, ScaleOf(*x));
  ASSIGN_OR_RETURN(const TensorScale y_scale, ScaleOf(*y));
  ASSIGN_OR_RETURN(const std::vector<std::int64_t> strides, OutputStrides(x->shape, axes));
  std::int64_t count = 1;
  for (std::size_t i = 0; i < strides.size(); ++i) count *= strides[i] == 0 ? x->shape[i] : 1;
  constexpr std::int64_t kMostValues = 1 << 23;  // whose sum fits an int32
  const bool whole = count > 0 && y->elements() * count == x->elements();
  if (!whole || count > kMostValues) return CannotCompute("shapes that do not fit");
  const FixedPoint unit =
      QuantizeMultiplier(static_cast<double>(x_scale.scale) / static_cast<double>(y_scale.scale));
  if (unit.shift < -31 || unit.shift > 7) return CannotCompute("scales far apart");
  const FixedPoint factor = DividedBy(unit, count);
  return GraphKernel([=, shape = x->shape](GraphInputs inputs, std::span<std::uint8_t> output) {
    std::vector<std::int32_t> sums(output.size(), 0);
    OutputPlace place(shape, strides);
    for (const std::uint8_t byte : inputs[0]) {
      sums[place.place()] += FromByte(ElementType::kInt8, byte) - x_scale.zero_point;
      place.Next();
    }
    for (std::size_t i = 0; i < output.size(); ++i) {
      const std::int32_t mean = MultiplyByQuantizedMultiplier(sums[i], factor, Rounding::kDouble);
      output[i] = ToByte(std::clamp(mean + y_scale.zero_point, -128, 127));
    }
  });
}

}  // namespace kiln
