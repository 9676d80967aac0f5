#include "described_file.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/golden.h"
#include "tflite_definition.h"
#include "tflite_writer.h"

namespace kiln {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Kind = DescribedOperator::Kind;

std::int32_t BuiltinOf(Kind kind) {
  return kind == Kind::kConv2d            ? TfliteWriter::kConv2d
         : kind == Kind::kDepthwiseConv2d ? TfliteWriter::kDepthwiseConv2d
                                          : TfliteWriter::kFullyConnected;
}
const char* NameOf(Kind kind) {
  return kind == Kind::kConv2d            ? "CONV_2D"
         : kind == Kind::kDepthwiseConv2d ? "DEPTHWISE_CONV_2D"
                                          : "FULLY_CONNECTED";
}

FusedActivation ActivationOf(DescribedOperator::Activation activation) {
  using Activation = DescribedOperator::Activation;
  return activation == Activation::kNone    ? FusedActivation::kNone
         : activation == Activation::kRelu  ? FusedActivation::kRelu
         : activation == Activation::kRelu6 ? FusedActivation::kRelu6
                                            : FusedActivation::kReluN1To1;
}

WrittenScale ScaleOf(const DescribedTensor& tensor) {
  return {tensor.scale, tensor.zero_point, tensor.axis};
}

// Writes an operator that reads tensor `x` and returns the number of its output.
std::int32_t Write(const DescribedOperator& op, const std::string& name, ElementType type,
                   std::int32_t x, TfliteWriter& writer) {
  std::vector<std::int32_t> inputs = {
      x, writer.Constant(name + "/weights", type, op.w.shape, op.w.bytes, ScaleOf(op.w))};
  if (op.has_bias) {
    inputs.push_back(writer.ConstantInts(name + "/bias", op.bias_scales.shape, op.bias,
                                         ScaleOf(op.bias_scales)));
  }
  const std::int32_t y = writer.Tensor(name, type, op.y.shape, ScaleOf(op.y));
  writer.Operator(BuiltinOf(op.kind), inputs, {y},
                  {.same_padding = op.same_padding,
                   .stride_h = op.stride_h,
                   .stride_w = op.stride_w,
                   .dilation_h = op.dilation_h,
                   .dilation_w = op.dilation_w,
                   .activation = ActivationOf(op.activation)});
  return y;
}

// The file, and the tensor numbers of its operators' outputs.
std::pair<Bytes, std::vector<std::int32_t>> Write(const DescribedModel& model) {
  TfliteWriter writer;
  const ElementType type = model.is_signed ? ElementType::kInt8 : ElementType::kUint8;
  std::int32_t tensor = writer.Tensor("input", type, model.x.shape, ScaleOf(model.x));
  writer.SetInput(tensor);
  std::vector<std::int32_t> outputs;
  for (const DescribedOperator& op : model.operators) {
    const std::string name = "layer" + std::to_string(outputs.size());
    tensor = Write(op, name, type, tensor, writer);
    outputs.push_back(tensor);
  }
  if (model.values_behind) writer.StoreBehind();
  return {writer.File(), outputs};
}

std::string Hex(std::uint32_t crc) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", crc);
  return text;
}

void WriteFile(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

nlohmann::json WriteCase(const std::filesystem::path& folder, const DescribedModel& model,
                         const Bytes& input, std::size_t number) {
  const auto file_name = [&](const char* what) {
    return what + std::string("_") + std::to_string(number) + ".bin";
  };
  const std::vector<Bytes> outputs = ComputeByDefinition(model, input);
  Bytes intermediates;
  nlohmann::json crcs;
  for (const Bytes& output : outputs) {
    crcs.push_back(Hex(Crc32(output)));
    intermediates.insert(intermediates.end(), output.begin(), output.end());
  }
  WriteFile(folder / file_name("input"), input);
  WriteFile(folder / file_name("output"), outputs.back());
  WriteFile(folder / file_name("intermediates"), intermediates);
  return {{"input", file_name("input")},
          {"input_crc32", Hex(Crc32(input))},
          {"output", file_name("output")},
          {"output_crc32", Hex(Crc32(outputs.back()))},
          {"op_crc32", crcs},
          {"intermediates", file_name("intermediates")}};
}

}  // namespace

std::vector<std::uint8_t> FileOf(const DescribedModel& model) { return Write(model).first; }

void WriteWithGolden(const std::string& directory, const DescribedModel& model,
                     const std::vector<std::vector<std::uint8_t>>& inputs) {
  const std::filesystem::path file = std::filesystem::path(directory) / (model.name + ".tflite");
  const std::filesystem::path folder = std::filesystem::path(directory) / (model.name + ".golden");
  std::filesystem::create_directories(folder);
  const auto [bytes, tensors] = Write(model);
  WriteFile(file, bytes);
  nlohmann::json manifest = {{"model", model.name}, {"format", 1}};
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::int64_t size = ElementsOf(model.operators[i].y.shape);
    manifest["op_outputs"].push_back({{"op", NameOf(model.operators[i].kind)},
                                      {"tensor_index", tensors[i]},
                                      {"nbytes", size},
                                      {"offset", offset}});
    offset += size;
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    manifest["cases"].push_back(WriteCase(folder, model, inputs[i], i));
  }
  std::ofstream(folder / "manifest.json") << manifest.dump(1) << "\n";
}

}  // namespace kiln
