#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "base/status.h"
#include "models/tflite_model.h"

// Reference kernels of the operators that Kiln does not tune: TFLite's integer reference kernels
// written from their definitions (docs/models.md), slow and plain. A Prepare function looks at one
// operator and gives the function that computes it, or says why there is none (kUnimplemented).

namespace kiln {

// The bytes of the operator's inputs, in its order, constants included; an absent input is empty.
using GraphInputs = std::span<const std::span<const std::uint8_t>>;

// Computes one output from the operator's inputs. The spans have the sizes of their tensors, which
// the executor compares before every call; that those sizes fit each other, the Prepare function
// has shown: no kernel reads or writes beyond them.
using GraphKernel = std::function<void(GraphInputs inputs, std::span<std::uint8_t> output)>;

// graph_add.cc: two int8 or uint8 tensors of one shape.
StatusOr<GraphKernel> PrepareAdd(const TfliteModel& model, const TfliteOperator& op);
// graph_pool.cc: int8 and uint8.
StatusOr<GraphKernel> PrepareAveragePool(const TfliteModel& model, const TfliteOperator& op);
StatusOr<GraphKernel> PrepareMaxPool(const TfliteModel& model, const TfliteOperator& op);
// graph_mean.cc: int8.
StatusOr<GraphKernel> PrepareMean(const TfliteModel& model, const TfliteOperator& op);
// graph_shape.cc: copies. PAD and CONCATENATION of int8 and uint8, RESHAPE of anything.
StatusOr<GraphKernel> PreparePad(const TfliteModel& model, const TfliteOperator& op);
StatusOr<GraphKernel> PrepareReshape(const TfliteModel& model, const TfliteOperator& op);
StatusOr<GraphKernel> PrepareConcatenation(const TfliteModel& model, const TfliteOperator& op);
// graph_quantize.cc: between float32, int8 and uint8.
StatusOr<GraphKernel> PrepareQuantize(const TfliteModel& model, const TfliteOperator& op);
StatusOr<GraphKernel> PrepareDequantize(const TfliteModel& model, const TfliteOperator& op);
// graph_softmax.cc: int8 and uint8, over the last axis.
StatusOr<GraphKernel> PrepareSoftmax(const TfliteModel& model, const TfliteOperator& op);

// What the Prepare functions share.

template <typename... Parts>
Status CannotCompute(const Parts&... parts) {
  return Error(StatusCode::kUnimplemented, parts...);
}
inline bool IsQuantized(const TfliteTensor& tensor) {
  return tensor.type == ElementType::kInt8 || tensor.type == ElementType::kUint8;
}
// A stored byte as the number that it is in the tensor's type, and back.
inline std::int32_t FromByte(ElementType type, std::uint8_t byte) {
  return type == ElementType::kInt8 ? static_cast<std::int8_t>(byte) : byte;
}
inline std::uint8_t ToByte(std::int32_t value) { return static_cast<std::uint8_t>(value); }

// Tensor `position` of the operator's inputs and its one output, both sound and of a type whose
// bytes Kiln knows; kUnimplemented if it has none.
StatusOr<const TfliteTensor*> InputTensor(const TfliteModel& model, const TfliteOperator& op,
                                          std::size_t position);
StatusOr<const TfliteTensor*> OutputTensor(const TfliteModel& model, const TfliteOperator& op);

// The values of a constant int32 input.
StatusOr<std::vector<std::int32_t>> ConstantInts(const TfliteModel& model, const TfliteOperator& op,
                                                 std::size_t position);

}  // namespace kiln
