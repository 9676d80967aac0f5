#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "models/model.h"
#include "models/tflite_model.h"

namespace kiln {

// Operator `index` of a model as a layer with its values; or the name that it is counted under, with
// the reason if Kiln tunes others of its kind: "SOFTMAX", "CONV_2D (FLOAT32)". What is wrong with
// one operator never refuses a file.
struct ImportedOperator {
  std::optional<Layer> layer;
  std::string skipped;
};
ImportedOperator ImportOperator(const TfliteModel& model, std::size_t index);

// The range that a fused activation leaves of quantized values: TFLite's
// CalculateActivationRangeQuantized. Not for FusedActivation::kOther.
struct ActivationRange {
  std::int32_t min = 0, max = 0;
};
ActivationRange RangeOf(FusedActivation activation, ElementType type, float scale,
                        std::int32_t zero_point);

// One scale, finite and above zero, and one zero point that the type can hold: what arithmetic on a
// quantized tensor needs. kInvalidArgument says what it has instead.
struct TensorScale {
  float scale = 1;
  std::int32_t zero_point = 0;
};
StatusOr<TensorScale> ScaleOf(const TfliteTensor& tensor);

// All operators of a model; layer_of has an entry per operator.
struct ImportedModel {
  Network network;
  std::vector<std::optional<std::size_t>> layer_of;  // index in network.layers
};
ImportedModel ImportOperators(const TfliteModel& model, const std::string& path);

}  // namespace kiln
