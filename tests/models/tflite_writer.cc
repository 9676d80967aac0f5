#include "tflite_writer.h"

#include <cstring>
#include <optional>
#include <utility>

#include "tflite_generated.h"

namespace kiln {
namespace {

schema::TensorType Stored(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return schema::TensorType::FLOAT32;
    case ElementType::kInt8:
      return schema::TensorType::INT8;
    case ElementType::kUint8:
      return schema::TensorType::UINT8;
    case ElementType::kInt32:
      return schema::TensorType::INT32;
    case ElementType::kInt64:
      return schema::TensorType::INT64;
    case ElementType::kOther:
      return schema::TensorType::INT16;
  }
  return schema::TensorType::INT16;
}

schema::Activation Stored(FusedActivation activation) {
  switch (activation) {
    case FusedActivation::kNone:
      return schema::Activation::NONE;
    case FusedActivation::kRelu:
      return schema::Activation::RELU;
    case FusedActivation::kReluN1To1:
      return schema::Activation::RELU_N1_TO_1;
    case FusedActivation::kRelu6:
      return schema::Activation::RELU6;
    case FusedActivation::kOther:
      return schema::Activation::TANH;
  }
  return schema::Activation::TANH;
}

template <typename Table>
void SetWindow(const TfliteOptions& options, Table& table) {
  table.padding = options.same_padding ? schema::Padding::SAME : schema::Padding::VALID;
  table.stride_h = options.stride_h;
  table.stride_w = options.stride_w;
  table.activation = Stored(options.activation);
}
template <typename Table>
void SetDilation(const TfliteOptions& options, Table& table) {
  table.dilation_h = options.dilation_h;
  table.dilation_w = options.dilation_w;
}

schema::OperatorOptionsUnion StoredOptions(std::int32_t builtin, const TfliteOptions& options) {
  schema::OperatorOptionsUnion stored;
  switch (builtin) {
    case TfliteWriter::kConv2d: {
      schema::Conv2DOptionsT table;
      SetWindow(options, table);
      SetDilation(options, table);
      stored.Set(std::move(table));
      break;
    }
    case TfliteWriter::kDepthwiseConv2d: {
      schema::DepthwiseConv2DOptionsT table;
      SetWindow(options, table);
      SetDilation(options, table);
      stored.Set(std::move(table));
      break;
    }
    case TfliteWriter::kAveragePool2d:
    case TfliteWriter::kMaxPool2d: {
      schema::Pool2DOptionsT table;
      SetWindow(options, table);
      table.filter_h = options.filter_h;
      table.filter_w = options.filter_w;
      stored.Set(std::move(table));
      break;
    }
    case TfliteWriter::kFullyConnected: {
      schema::FullyConnectedOptionsT table;
      table.activation = Stored(options.activation);
      table.weights_format = options.shuffled_weights ? 1 : 0;
      stored.Set(std::move(table));
      break;
    }
    case TfliteWriter::kSoftmax: {
      schema::SoftmaxOptionsT table;
      table.beta = options.beta;
      stored.Set(std::move(table));
      break;
    }
    case TfliteWriter::kConcatenation: {
      schema::ConcatenationOptionsT table;
      table.axis = options.axis;
      stored.Set(std::move(table));
      break;
    }
    case TfliteWriter::kAdd: {
      schema::AddOptionsT table;
      table.activation = Stored(options.activation);
      stored.Set(std::move(table));
      break;
    }
    default:
      break;
  }
  return stored;
}

std::vector<std::uint8_t> Pattern(std::size_t size, int step, int offset) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::uint8_t>(static_cast<int>(i * step % 251) - 125 + offset);
  }
  return bytes;
}

WrittenScale PerChannel(std::int32_t channels, std::int32_t axis) {
  WrittenScale scale{.scale = {}, .zero_point = {}, .axis = axis};
  for (std::int32_t i = 0; i < channels; ++i) {
    scale.scale.push_back(0.004F + 0.001F * static_cast<float>(i));
    scale.zero_point.push_back(0);
  }
  return scale;
}

}  // namespace

struct TfliteWriter::Model {
  schema::ModelT table;
  std::optional<std::uint64_t> behind;  // StoreBehind(), and its error
  schema::SubgraphT& graph() { return *table.subgraphs[0]; }
};

TfliteWriter::TfliteWriter() : model_(std::make_unique<Model>()) {
  model_->table.version = 3;
  model_->table.subgraphs.push_back(std::make_unique<schema::SubgraphT>());
  model_->table.buffers.push_back(std::make_unique<schema::BufferT>());  // the empty one
}
TfliteWriter::~TfliteWriter() = default;
TfliteWriter::TfliteWriter(TfliteWriter&&) noexcept = default;

std::int32_t TfliteWriter::Tensor(const std::string& name, ElementType type,
                                  const std::vector<std::int32_t>& shape,
                                  const WrittenScale& scale) {
  auto tensor = std::make_unique<schema::TensorT>();
  tensor->name = name;
  tensor->type = Stored(type);
  tensor->shape = shape;
  if (!scale.scale.empty()) {
    tensor->quantization = std::make_unique<schema::QuantizationT>();
    tensor->quantization->scale = scale.scale;
    tensor->quantization->zero_point = scale.zero_point;
    tensor->quantization->axis = scale.axis;
  }
  model_->graph().tensors.push_back(std::move(tensor));
  return static_cast<std::int32_t>(model_->graph().tensors.size() - 1);
}

std::int32_t TfliteWriter::Constant(const std::string& name, ElementType type,
                                    const std::vector<std::int32_t>& shape,
                                    const std::vector<std::uint8_t>& bytes,
                                    const WrittenScale& scale) {
  const std::int32_t number = Tensor(name, type, shape, scale);
  model_->graph().tensors[number]->buffer =
      static_cast<std::uint32_t>(model_->table.buffers.size());
  model_->table.buffers.push_back(std::make_unique<schema::BufferT>());
  model_->table.buffers.back()->data = bytes;
  return number;
}

std::int32_t TfliteWriter::ConstantInts(const std::string& name,
                                        const std::vector<std::int32_t>& shape,
                                        const std::vector<std::int32_t>& values,
                                        const WrittenScale& scale) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(std::int32_t));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return Constant(name, ElementType::kInt32, shape, bytes, scale);
}

void TfliteWriter::Operator(std::int32_t builtin, const std::vector<std::int32_t>& inputs,
                            const std::vector<std::int32_t>& outputs, TfliteOptions options) {
  auto code = std::make_unique<schema::OperatorCodeT>();
  code->short_code = static_cast<std::int8_t>(builtin < 127 ? builtin : 127);
  // As files of before 2020 do, codes that fit have only the short form.
  code->code = static_cast<schema::BuiltinOperator>(builtin < 127 ? 0 : builtin);
  model_->table.operator_codes.push_back(std::move(code));
  auto op = std::make_unique<schema::OperatorT>();
  op->opcode_index = static_cast<std::uint32_t>(model_->table.operator_codes.size() - 1);
  op->inputs = inputs;
  op->outputs = outputs;
  op->options = StoredOptions(builtin, options);
  model_->graph().operators.push_back(std::move(op));
}

void TfliteWriter::SetInput(std::int32_t tensor) { model_->graph().inputs = {tensor}; }
void TfliteWriter::SetVersion(std::uint32_t version) { model_->table.version = version; }

void TfliteWriter::SetShapeSignature(std::int32_t tensor,
                                     const std::vector<std::int32_t>& signature) {
  model_->graph().tensors[tensor]->shape_signature = signature;
}
void TfliteWriter::SetExternalBuffer(std::int32_t tensor) {
  model_->graph().tensors[tensor]->external_buffer = 1;
}
void TfliteWriter::StoreBehind(std::uint64_t error) { model_->behind = error; }

std::vector<std::uint8_t> TfliteWriter::File() const {
  const auto pack = [this] {
    flatbuffers::FlatBufferBuilder builder;
    schema::FinishModelBuffer(builder, schema::Model::Pack(builder, &model_->table));
    return std::vector<std::uint8_t>(builder.GetBufferPointer(),
                                     builder.GetBufferPointer() + builder.GetSize());
  };
  if (!model_->behind) return pack();
  // A table without data, packed for its size, then again with the offsets behind it.
  std::vector<std::vector<std::uint8_t>> data;
  for (const auto& buffer : model_->table.buffers) {
    data.push_back(std::exchange(buffer->data, {}));
    buffer->offset = buffer->size = data.back().empty() ? 0 : 2;
  }
  std::uint64_t end = pack().size();
  for (std::size_t i = 0; i < data.size(); ++i) {
    if (data[i].empty()) continue;
    model_->table.buffers[i]->offset = end + *model_->behind;
    model_->table.buffers[i]->size = data[i].size();
    end += data[i].size();
  }
  std::vector<std::uint8_t> file = pack();
  for (std::size_t i = 0; i < data.size(); ++i) {
    file.insert(file.end(), data[i].begin(), data[i].end());
    *model_->table.buffers[i] = schema::BufferT();
    model_->table.buffers[i]->data = std::move(data[i]);
  }
  return file;
}

std::vector<std::uint8_t> SmallModel() {
  using Type = ElementType;
  TfliteWriter w;
  const WrittenScale sixth = Scale(6.0F / 255, -128);
  const auto x = w.Tensor("image", Type::kInt8, {1, 9, 8, 3}, Scale(0.02F, 3));
  const auto w0 =
      w.Constant("w0", Type::kInt8, {4, 3, 3, 3}, Pattern(108, 37, 0), PerChannel(4, 0));
  const auto b0 = w.ConstantInts("b0", {4}, {100, -200, 3000, -4000});
  const auto y0 = w.Tensor("conv/Relu6;conv/BiasAdd", Type::kInt8, {1, 5, 4, 4}, sixth);
  w.Operator(TfliteWriter::kConv2d, {x, w0, b0}, {y0},
             {.stride_h = 2, .stride_w = 2, .activation = FusedActivation::kRelu6});
  const auto w1 = w.Constant("w1", Type::kInt8, {1, 3, 3, 8}, Pattern(72, 29, 0), PerChannel(8, 3));
  const auto b1 = w.ConstantInts("b1", {8}, {1, 2, 3, 4, 5, 6, 7, 8});
  const auto y1 = w.Tensor("depthwise", Type::kInt8, {1, 5, 4, 8}, Scale(0.03F, -5));
  w.Operator(TfliteWriter::kDepthwiseConv2d, {y0, w1, b1}, {y1},
             {.activation = FusedActivation::kRelu});
  const auto w2 = w.Constant("w2", Type::kInt8, {8, 1, 1, 8}, Pattern(64, 23, 0), Scale(0.01F, 0));
  const auto y2 = w.Tensor("pointwise", Type::kInt8, {1, 5, 4, 8}, Scale(0.04F, 7));
  w.Operator(TfliteWriter::kConv2d, {y1, w2, -1}, {y2});
  const auto y3 = w.Tensor("sum", Type::kInt8, {1, 5, 4, 8}, Scale(0.05F, -1));
  w.Operator(TfliteWriter::kAdd, {y1, y2}, {y3});
  const auto axes = w.ConstantInts("axes", {2}, {1, 2});
  const auto y4 = w.Tensor("mean", Type::kInt8, {1, 8}, Scale(0.03F, 0));
  w.Operator(TfliteWriter::kMean, {y3, axes}, {y4});
  const auto w5 = w.Constant("w5", Type::kInt8, {5, 8}, Pattern(40, 31, 0), Scale(0.02F, 0));
  const auto b5 = w.ConstantInts("b5", {5}, {-10, 0, 10, 20, 30});
  const auto y5 = w.Tensor("logits", Type::kInt8, {1, 5}, Scale(0.1F, 2));
  w.Operator(TfliteWriter::kFullyConnected, {y4, w5, b5}, {y5});
  const auto y6 = w.Tensor("probabilities", Type::kInt8, {1, 5}, Scale(1.0F / 256, -128));
  w.Operator(TfliteWriter::kSoftmax, {y5}, {y6});
  const auto f = w.Tensor("float_image", Type::kFloat32, {1, 9, 8, 3});
  const auto fw = w.Tensor("float_weights", Type::kFloat32, {4, 3, 3, 3});
  const auto fy = w.Tensor("float_conv", Type::kFloat32, {1, 9, 8, 4});
  w.Operator(TfliteWriter::kConv2d, {f, fw, -1}, {fy});
  w.SetInput(x);
  return w.File();
}

std::vector<std::uint8_t> SharedVectorBomb(std::size_t operators, std::size_t length) {
  flatbuffers::FlatBufferBuilder builder;
  const auto inputs = builder.CreateVector(std::vector<std::int32_t>(length, -1));
  const auto code = schema::CreateOperatorCode(builder, 1);
  std::vector<flatbuffers::Offset<schema::Operator>> ops;
  for (std::size_t i = 0; i < operators; ++i) {
    ops.push_back(schema::CreateOperator(builder, 0, inputs));
  }
  const auto graph = schema::CreateSubgraph(builder, 0, 0, 0, builder.CreateVector(ops));
  const auto codes = builder.CreateVector(std::vector{code});
  const auto graphs = builder.CreateVector(std::vector{graph});
  schema::FinishModelBuffer(builder, schema::CreateModel(builder, 3, codes, graphs));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

}  // namespace kiln
