#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/tflite_model.h"

namespace kiln {

// The scales of a tensor that a test writes: none, one, or one per slice along `axis`.
struct WrittenScale {
  std::vector<float> scale;
  std::vector<std::int64_t> zero_point;
  std::int32_t axis = 0;
};
inline WrittenScale Scale(float scale, std::int64_t zero_point) { return {{scale}, {zero_point}}; }

// This builds .tflite files for tests, valid or not. Tensors and operators are numbered from 0 in
// the order in which they are added.
class TfliteWriter {
 public:
  TfliteWriter();
  ~TfliteWriter();
  TfliteWriter(TfliteWriter&&) noexcept;

  std::int32_t Tensor(const std::string& name, ElementType type,
                      const std::vector<std::int32_t>& shape, const WrittenScale& scale = {});
  std::int32_t Constant(const std::string& name, ElementType type,
                        const std::vector<std::int32_t>& shape,
                        const std::vector<std::uint8_t>& bytes, const WrittenScale& scale = {});
  std::int32_t ConstantInts(const std::string& name, const std::vector<std::int32_t>& shape,
                            const std::vector<std::int32_t>& values,
                            const WrittenScale& scale = {});
  // `builtin`: the operator's number in the schema. Options that its kind does not have are
  // ignored.
  void Operator(std::int32_t builtin, const std::vector<std::int32_t>& inputs,
                const std::vector<std::int32_t>& outputs, TfliteOptions options = {});
  void SetInput(std::int32_t tensor);
  void SetVersion(std::uint32_t version);
  // As shape; -1: a size that only a run knows.
  void SetShapeSignature(std::int32_t tensor, const std::vector<std::int32_t>& signature);
  // Its values are in another file.
  void SetExternalBuffer(std::int32_t tensor);
  // Constants are written behind the FlatBuffer, their offsets wrong by `error`.
  void StoreBehind(std::uint64_t error = 0);

  std::vector<std::uint8_t> File() const;

  // Operator numbers of the schema.
  static constexpr std::int32_t kAdd = 0, kAveragePool2d = 1, kConcatenation = 2, kConv2d = 3,
                                kDepthwiseConv2d = 4, kDequantize = 6, kFullyConnected = 9,
                                kMaxPool2d = 17, kReshape = 22, kSoftmax = 25, kPad = 34,
                                kMean = 40, kUnpack = 88, kQuantize = 114, kGelu = 150;

 private:
  struct Model;
  std::unique_ptr<Model> model_;
};

// conv (3x3, stride 2, SAME, ReLU6, per channel) -> depthwise -> 1x1 conv -> add -> mean -> fully
// connected -> softmax, and a float convolution beside them; int8; values are deterministic.
std::vector<std::uint8_t> SmallModel();

// A valid FlatBuffer whose operators all have one and the same vector of inputs: a small file that
// unfolds to operators * length numbers.
std::vector<std::uint8_t> SharedVectorBomb(std::size_t operators, std::size_t length);

}  // namespace kiln
