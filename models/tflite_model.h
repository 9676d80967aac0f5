#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace kiln {

// Types of tensors whose bytes Kiln understands.
enum class ElementType : std::uint8_t { kFloat32, kInt8, kUint8, kInt32, kInt64, kOther };

// The fault of a tensor with a size that only a run knows.
inline constexpr char kDynamicShape[] = "shape known at run time only";

// A tensor of a .tflite file. Values of quantized types are real = scale * (q - zero_point).
struct TfliteTensor {
  std::string name;  // printable ASCII
  ElementType type = ElementType::kOther;
  std::string type_name;                 // "INT8"
  std::vector<std::int32_t> shape;       // sizes from 0; a scalar has none
  std::vector<float> scale;              // none; one; or one per slice along `axis`, if it is used
  std::vector<std::int64_t> zero_point;  // as the file has them; none: 0
  std::int32_t axis = 0;                 // not checked: nothing reads that of a bias
  bool constant = false;                 // its values are in the file:
  bool sparse = false;                   // fewer of them than the shape has
  std::span<const std::uint8_t> data;    // in the file's bytes; as many as the shape needs
  // Why nothing can be made of it ("values in another file", kDynamicShape): operators that have it
  // among their tensors are skipped. It is then without shape and data. Empty: it is sound.
  std::string fault;

  std::int64_t elements() const;
  std::int64_t bytes() const;  // elements of a known type
};

// The operators that Kiln imports or can execute by reference.
enum class TfliteKind : std::uint8_t {
  kConv2d,
  kDepthwiseConv2d,
  kFullyConnected,
  kAdd,
  kAveragePool2d,
  kMaxPool2d,
  kConcatenation,
  kDequantize,
  kMean,
  kPad,
  kQuantize,
  kReshape,
  kSoftmax,
  kOther
};
enum class FusedActivation : std::uint8_t { kNone, kRelu, kReluN1To1, kRelu6, kOther };

// What an operator's options say; those that its kind has are read, the others keep these values.
struct TfliteOptions {
  bool present = false;  // an options table of the operator's kind
  bool same_padding = true;
  std::int32_t stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1;
  std::int32_t filter_h = 1, filter_w = 1;  // pooling
  FusedActivation activation = FusedActivation::kNone;
  bool shuffled_weights = false;  // FULLY_CONNECTED
  float beta = 1;                 // SOFTMAX
  std::int32_t axis = 0;          // CONCATENATION
};

struct TfliteOperator {
  TfliteKind kind = TfliteKind::kOther;
  std::string name;                   // "CONV_2D"
  std::vector<std::int32_t> inputs;   // tensor numbers; -1: an optional one that is absent
  std::vector<std::int32_t> outputs;  // likewise
  TfliteOptions options;

  // The tensor number of an input or output, or -1.
  std::int32_t input(std::size_t position) const {
    return position < inputs.size() ? inputs[position] : -1;
  }
  std::int32_t output(std::size_t position) const {
    return position < outputs.size() ? outputs[position] : -1;
  }
};

// This is a .tflite file, checked: every index is in range, and of a tensor without a fault the
// constant has the bytes that its shape needs, and one operator at most writes it. What single
// operators demand of their tensors is not checked. Only the main subgraph.
struct TfliteModel {
  std::vector<std::uint8_t> file;
  std::vector<TfliteTensor> tensors;
  std::vector<TfliteOperator> operators;
  std::vector<std::int32_t> inputs, outputs;  // tensor numbers
  std::size_t other_operators = 0;            // in other subgraphs

  TfliteModel() = default;
  TfliteModel(TfliteModel&&) = default;  // tensors point into `file`, which a move keeps in place
  TfliteModel& operator=(TfliteModel&&) = default;
};

// Takes the bytes of a file apart. kInvalidArgument: they are not a model, of another version, or
// damaged, that is: the FlatBuffer does not verify, or something in it is said to be where the file
// has nothing; the message says which part is wrong. What is odd about a single tensor refuses
// nothing (TfliteTensor::fault). Memory is bounded by the size of the file.
StatusOr<TfliteModel> ParseTflite(std::vector<std::uint8_t> file);

// Reads and parses a file, of at most 2 GB. Errors name it.
StatusOr<TfliteModel> ReadTflite(const std::string& path);

}  // namespace kiln
