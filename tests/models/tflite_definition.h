#pragma once

#include <cstdint>
#include <vector>

#include "described_model.h"

namespace kiln {

// How accumulators are scaled. TFLite's reference kernels round twice; its optimized ones once.
enum class DefinedRounding : std::uint8_t { kTwice, kOnce };

// What TFLite's reference kernels make of an operator and its input, byte for byte, by their
// definition: plain loops over the file's numbers in 64 bits. Written apart from ops/reference.cc and
// from models/, with nothing of either, so that an error which the importer, the workload's key and
// that reference share is seen here. x_shape: of the operator's input, NHWC or any for a fully
// connected one.
std::vector<std::uint8_t> ComputeByDefinition(const DescribedOperator& op, const DescribedTensor& x,
                                              bool is_signed,
                                              const std::vector<std::uint8_t>& input,
                                              DefinedRounding rounding = DefinedRounding::kTwice);

// The shape of the operator's output: what the generator of models writes.
std::vector<std::int32_t> OutputShapeByDefinition(const DescribedOperator& op,
                                                  const std::vector<std::int32_t>& x_shape);

// The outputs of all operators in turn.
std::vector<std::vector<std::uint8_t>> ComputeByDefinition(const DescribedModel& model,
                                                           const std::vector<std::uint8_t>& input);

}  // namespace kiln
