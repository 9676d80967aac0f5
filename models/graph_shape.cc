// Operators that move values without computing: RESHAPE, PAD, CONCATENATION.
#include <algorithm>
#include <numeric>

#include "models/graph_ops.h"
#include "models/tflite_import.h"

namespace kiln {
namespace {

std::int64_t Product(const std::vector<std::int32_t>& sizes, std::size_t first, std::size_t last) {
  return std::accumulate(sizes.begin() + static_cast<std::ptrdiff_t>(first),
                         sizes.begin() + static_cast<std::ptrdiff_t>(last), std::int64_t{1},
                         std::multiplies<>());
}

Status CheckSameScale(const TfliteTensor& x, const TfliteTensor& y) {
  if (!IsQuantized(x) || x.type != y.type) return CannotCompute(x.type_name, " -> ", y.type_name);
  ASSIGN_OR_RETURN(const TensorScale x_scale, ScaleOf(x));
  ASSIGN_OR_RETURN(const TensorScale y_scale, ScaleOf(y));
  const bool same = x_scale.scale == y_scale.scale && x_scale.zero_point == y_scale.zero_point;
  return same ? Status() : CannotCompute("input and output of different scales");
}

// Copies an array into the middle of a larger one, axis by axis.
struct Placement {
  std::vector<std::int32_t> inner, outer, before;  // sizes; rows that come before

  void Copy(std::span<const std::uint8_t> x, std::span<std::uint8_t> y, std::size_t axis) const {
    if (axis == inner.size()) {
      y[0] = x[0];
      return;
    }
    const auto x_step = static_cast<std::size_t>(Product(inner, axis + 1, inner.size()));
    const auto y_step = static_cast<std::size_t>(Product(outer, axis + 1, outer.size()));
    for (std::size_t i = 0; i < static_cast<std::size_t>(inner[axis]); ++i) {
      Copy(x.subspan(i * x_step, x_step), y.subspan((before[axis] + i) * y_step, y_step), axis + 1);
    }
  }
};

}  // namespace

StatusOr<GraphKernel> PrepareReshape(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  if (x->type != y->type || x->elements() != y->elements()) {
    return CannotCompute("types or shapes that do not fit");
  }
  return GraphKernel([](GraphInputs inputs, std::span<std::uint8_t> output) {
    std::copy(inputs[0].begin(), inputs[0].end(), output.begin());
  });
}

StatusOr<GraphKernel> PreparePad(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  ASSIGN_OR_RETURN(const std::vector<std::int32_t> paddings, ConstantInts(model, op, 1));
  RETURN_IF_ERROR(CheckSameScale(*x, *y));
  ASSIGN_OR_RETURN(const TensorScale y_scale, ScaleOf(*y));
  const std::size_t rank = x->shape.size();
  if (y->shape.size() != rank || paddings.size() != 2 * rank) {
    return CannotCompute("paddings that do not fit its input");
  }
  Placement placement{x->shape, y->shape, {}};
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int32_t before = paddings[2 * i], after = paddings[2 * i + 1];
    if (before < 0 || after < 0 || std::int64_t{x->shape[i]} + before + after != y->shape[i]) {
      return CannotCompute("paddings that do not fit its output");
    }
    placement.before.push_back(before);
  }
  return GraphKernel([placement, zero = ToByte(y_scale.zero_point)](
                         GraphInputs inputs, std::span<std::uint8_t> output) {
    std::fill(output.begin(), output.end(), zero);
    placement.Copy(inputs[0], output, 0);
  });
}

StatusOr<GraphKernel> PrepareConcatenation(const TfliteModel& model, const TfliteOperator& op) {
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  const auto rank = static_cast<std::int32_t>(y->shape.size());
  const std::int32_t stored_axis = op.options.axis;
  const std::int32_t axis = stored_axis < 0 ? stored_axis + rank : stored_axis;
  if (!op.options.present || op.options.activation != FusedActivation::kNone || axis < 0 ||
      axis >= rank) {
    return CannotCompute("unusual options");
  }
  std::vector<std::size_t> pieces;  // bytes that each input contributes in turn
  std::vector<std::int32_t> shape = y->shape;
  std::int64_t joined = 0;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, i));
    RETURN_IF_ERROR(CheckSameScale(*x, *y));
    if (x->shape.size() != shape.size()) return CannotCompute("shapes that do not fit");
    shape[axis] = x->shape[axis];
    if (x->shape != shape) return CannotCompute("shapes that do not fit");
    pieces.push_back(static_cast<std::size_t>(Product(shape, axis, shape.size())));
    joined += shape[axis];
  }
  if (joined != y->shape[axis]) return CannotCompute("shapes that do not fit");
  return GraphKernel([pieces, rounds = Product(y->shape, 0, axis)](GraphInputs inputs,
                                                                   std::span<std::uint8_t> output) {
    auto next = output.begin();
    for (std::int64_t round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < pieces.size(); ++i) {
        const auto piece = inputs[i].subspan(round * pieces[i], pieces[i]);
        next = std::copy(piece.begin(), piece.end(), next);
      }
    }
  });
}

}  // namespace kiln
