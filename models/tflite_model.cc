#include "models/tflite_model.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstring>
#include <limits>
#include <utility>

#include "base/read_file.h"
#include "tflite_generated.h"

namespace kiln {
namespace {

constexpr std::uint64_t kLargestFile = std::numeric_limits<std::int32_t>::max();
constexpr std::uint32_t kSchemaVersion = 3;
constexpr std::size_t kLongestName = 1000;
constexpr int kDeepestTable = 32;  // a model nests tables 5 deep

template <typename... Parts>
Status Damaged(const Parts&... parts) {
  return Error(StatusCode::kInvalidArgument, "damaged model: ", parts...);
}

// Copies vectors and names out of a FlatBuffer. Its tables may share them, so that a small file can
// unfold without bound; what is copied is limited to a multiple of the file. Past the limit copies
// are empty and exhausted() is true: read everything, then ask.
class Copier {
 public:
  explicit Copier(std::size_t file_size) : left_(4 * file_size) {}

  // As bytes: the verifier does not demand that elements of eight bytes are aligned.
  template <typename T>
  std::vector<T> Vector(const flatbuffers::Vector<T>* values) {
    static_assert(std::endian::native == std::endian::little, "FlatBuffers are");
    if (values == nullptr || values->size() == 0 || !Take(values->size() * sizeof(T))) return {};
    std::vector<T> copy(values->size());
    std::memcpy(copy.data(), values->Data(), copy.size() * sizeof(T));
    return copy;
  }

  // Names are data of a stranger: they must not steer a terminal.
  std::string Name(const flatbuffers::String* text) {
    if (text == nullptr || !Take(std::min<std::size_t>(text->size(), kLongestName))) return {};
    std::string name = text->str().substr(0, kLongestName);
    for (char& c : name) {
      if (std::isprint(static_cast<unsigned char>(c)) == 0) c = '?';
    }
    return name;
  }

  bool exhausted() const { return exhausted_; }

 private:
  bool Take(std::size_t bytes) {
    exhausted_ = exhausted_ || bytes > left_;
    if (!exhausted_) left_ -= bytes;
    return !exhausted_;
  }
  std::size_t left_;
  bool exhausted_ = false;
};

template <typename T>
std::size_t Size(const flatbuffers::Vector<T>* values) {
  return values == nullptr ? 0 : values->size();
}

ElementType TypeOf(schema::TensorType type) {
  switch (type) {
    case schema::TensorType::FLOAT32:
      return ElementType::kFloat32;
    case schema::TensorType::INT8:
      return ElementType::kInt8;
    case schema::TensorType::UINT8:
      return ElementType::kUint8;
    case schema::TensorType::INT32:
      return ElementType::kInt32;
    case schema::TensorType::INT64:
      return ElementType::kInt64;
    default:
      return ElementType::kOther;
  }
}

std::int64_t ElementSize(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
    case ElementType::kInt32:
      return 4;
    case ElementType::kInt64:
      return 8;
    default:
      return 1;
  }
}

TfliteKind KindOf(schema::BuiltinOperator code) {
  using Code = schema::BuiltinOperator;
  switch (code) {
    case Code::CONV_2D:
      return TfliteKind::kConv2d;
    case Code::DEPTHWISE_CONV_2D:
      return TfliteKind::kDepthwiseConv2d;
    case Code::FULLY_CONNECTED:
      return TfliteKind::kFullyConnected;
    case Code::ADD:
      return TfliteKind::kAdd;
    case Code::AVERAGE_POOL_2D:
      return TfliteKind::kAveragePool2d;
    case Code::MAX_POOL_2D:
      return TfliteKind::kMaxPool2d;
    case Code::CONCATENATION:
      return TfliteKind::kConcatenation;
    case Code::DEQUANTIZE:
      return TfliteKind::kDequantize;
    case Code::MEAN:
      return TfliteKind::kMean;
    case Code::PAD:
      return TfliteKind::kPad;
    case Code::QUANTIZE:
      return TfliteKind::kQuantize;
    case Code::RESHAPE:
      return TfliteKind::kReshape;
    case Code::SOFTMAX:
      return TfliteKind::kSoftmax;
    default:
      return TfliteKind::kOther;
  }
}

FusedActivation ActivationOf(schema::Activation activation) {
  switch (activation) {
    case schema::Activation::NONE:
      return FusedActivation::kNone;
    case schema::Activation::RELU:
      return FusedActivation::kRelu;
    case schema::Activation::RELU_N1_TO_1:
      return FusedActivation::kReluN1To1;
    case schema::Activation::RELU6:
      return FusedActivation::kRelu6;
    default:
      return FusedActivation::kOther;
  }
}

// Options that several kinds of operators have.
template <typename Table>
void ReadWindow(const Table& table, TfliteOptions& options) {
  options.same_padding = table.padding() == schema::Padding::SAME;
  options.stride_h = table.stride_h();
  options.stride_w = table.stride_w();
}
template <typename Table>
void ReadDilation(const Table& table, TfliteOptions& options) {
  options.dilation_h = table.dilation_h();
  options.dilation_w = table.dilation_w();
}

TfliteOptions OptionsOf(TfliteKind kind, const schema::Operator& op) {
  TfliteOptions options;
  const auto read = [&](const auto* table, auto... readers) {
    if (table == nullptr) return;
    options.present = true;
    (readers(*table), ...);
  };
  const auto window = [&](const auto& table) { ReadWindow(table, options); };
  const auto dilation = [&](const auto& table) { ReadDilation(table, options); };
  const auto activation = [&](const auto& table) {
    options.activation = ActivationOf(table.activation());
  };
  switch (kind) {
    case TfliteKind::kConv2d:
      read(op.options_as_Conv2DOptions(), window, dilation, activation);
      break;
    case TfliteKind::kDepthwiseConv2d:
      read(op.options_as_DepthwiseConv2DOptions(), window, dilation, activation);
      break;
    case TfliteKind::kFullyConnected:
      read(op.options_as_FullyConnectedOptions(), activation,
           [&](const auto& table) { options.shuffled_weights = table.weights_format() != 0; });
      break;
    case TfliteKind::kAveragePool2d:
    case TfliteKind::kMaxPool2d:
      read(op.options_as_Pool2DOptions(), window, activation, [&](const auto& table) {
        options.filter_h = table.filter_h();
        options.filter_w = table.filter_w();
      });
      break;
    case TfliteKind::kSoftmax:
      read(op.options_as_SoftmaxOptions(), [&](const auto& table) { options.beta = table.beta(); });
      break;
    case TfliteKind::kConcatenation:
      read(op.options_as_ConcatenationOptions(), activation,
           [&](const auto& table) { options.axis = table.axis(); });
      break;
    case TfliteKind::kAdd:
      read(op.options_as_AddOptions(), activation);
      break;
    default:
      break;
  }
  return options;
}

// Why a shape is none; empty if it has sizes from 0 whose product is far from overflow. -1 is a size
// that only a run knows: in the signature, or, as old converters wrote it, in the shape. A batch
// that only the signature leaves open has the size that is stored.
std::string FaultOfShape(const std::vector<std::int32_t>& shape,
                         const std::vector<std::int32_t>& signature) {
  constexpr std::int64_t kMostElements = std::int64_t{1} << 40;
  constexpr std::size_t kMostSizes = 32;
  const auto has_unknown = [](std::span<const std::int32_t> sizes) {
    return std::find(sizes.begin(), sizes.end(), -1) != sizes.end();
  };
  const bool open_signature = signature.size() > 1 && has_unknown(std::span(signature).subspan(1));
  if (has_unknown(shape) || open_signature) return kDynamicShape;
  if (shape.size() > kMostSizes) return std::to_string(shape.size()) + " dimensions";
  std::int64_t elements = 1;
  for (const std::int32_t size : shape) {
    if (size < 0) return "a size of " + std::to_string(size);
    if (size != 0 && elements > kMostElements / size) return "a shape that is too large";
    elements *= size;
  }
  return "";
}

std::string TypeName(schema::TensorType type) {
  const std::string name = schema::EnumNameTensorType(type);
  return name.empty() ? "type " + std::to_string(static_cast<int>(type)) : name;
}

// One pass over a verified FlatBuffer.
class ModelReader {
 public:
  ModelReader(const schema::Model& stored, TfliteModel& model)
      : stored_(stored), model_(model), copy_(model.file.size()) {}

  Status Read() {
    if (stored_.version() != kSchemaVersion) {
      return Error(StatusCode::kInvalidArgument, "TensorFlow Lite schema version ",
                   stored_.version(), "; Kiln reads version ", kSchemaVersion);
    }
    if (Size(stored_.subgraphs()) == 0) return Damaged("no subgraph");
    const schema::Subgraph& graph = *stored_.subgraphs()->Get(0);
    RETURN_IF_ERROR(ReadTensors(graph));
    RETURN_IF_ERROR(ReadOperators(graph));
    model_.inputs = copy_.Vector<std::int32_t>(graph.inputs());
    model_.outputs = copy_.Vector<std::int32_t>(graph.outputs());
    RETURN_IF_ERROR(CheckTensorNumbers(model_.inputs, 0, "graph input"));
    RETURN_IF_ERROR(CheckTensorNumbers(model_.outputs, 0, "graph output"));
    for (flatbuffers::uoffset_t i = 1; i < stored_.subgraphs()->size(); ++i) {
      model_.other_operators += Size(stored_.subgraphs()->Get(i)->operators());
    }
    if (copy_.exhausted()) return Damaged("its parts unfold to many times the size of the file");
    return {};
  }

 private:
  Status ReadTensors(const schema::Subgraph& graph) {
    for (flatbuffers::uoffset_t i = 0; i < Size(graph.tensors()); ++i) {
      StatusOr<TfliteTensor> tensor = ReadTensor(*graph.tensors()->Get(i));
      if (!tensor.ok()) {
        return Error(tensor.status().code(), "tensor ", i, ": ", Message(tensor.status()));
      }
      model_.tensors.push_back(*std::move(tensor));
    }
    return {};
  }

  StatusOr<TfliteTensor> ReadTensor(const schema::Tensor& stored) {
    TfliteTensor tensor;
    tensor.name = copy_.Name(stored.name());
    tensor.type = TypeOf(stored.type());
    tensor.type_name = TypeName(stored.type());
    tensor.shape = copy_.Vector<std::int32_t>(stored.shape());
    ReadQuantization(stored.quantization(), tensor);
    tensor.sparse = stored.sparsity() != nullptr;
    ASSIGN_OR_RETURN(tensor.data, DataOf(stored.buffer()));
    tensor.constant = !tensor.data.empty();
    if (std::string fault = FaultOf(stored, tensor); !fault.empty()) SetFault(fault, tensor);
    return tensor;
  }

  void ReadQuantization(const schema::Quantization* stored, TfliteTensor& tensor) {
    // Other details (blocks of one scale, several axes) make the fields below meaningless.
    if (stored == nullptr || stored->details_type() != 0) return;
    tensor.scale = copy_.Vector<float>(stored->scale());
    tensor.zero_point = copy_.Vector<std::int64_t>(stored->zero_point());
    tensor.axis = stored->axis();
    if (tensor.zero_point.empty()) tensor.zero_point.assign(tensor.scale.size(), 0);
  }

  // What is stored of a buffer; fails if the file does not have it.
  StatusOr<std::span<const std::uint8_t>> DataOf(std::uint32_t number) const {
    if (number >= Size(stored_.buffers())) {
      return Damaged("it is in buffer ", number, " of ", Size(stored_.buffers()));
    }
    const schema::Buffer& buffer = *stored_.buffers()->Get(number);
    const std::span<const std::uint8_t> file(model_.file);
    if (buffer.offset() <= 1) {
      if (Size(buffer.data()) == 0) return std::span<const std::uint8_t>();
      return std::span<const std::uint8_t>(buffer.data()->data(), buffer.data()->size());
    }
    if (buffer.offset() > file.size() || buffer.size() > file.size() - buffer.offset()) {
      return Damaged("its ", buffer.size(), " bytes at offset ", buffer.offset(),
                     " are not in the file of ", file.size(), " bytes");
    }
    return file.subspan(buffer.offset(), buffer.size());
  }

  std::string FaultOf(const schema::Tensor& stored, const TfliteTensor& tensor) {
    if (stored.external_buffer() != 0) return "values in another file";
    const auto signature = copy_.Vector<std::int32_t>(stored.shape_signature());
    if (std::string fault = FaultOfShape(tensor.shape, signature); !fault.empty()) return fault;
    const bool countable = tensor.type != ElementType::kOther && !tensor.sparse;
    if (!tensor.constant || !countable ||
        tensor.bytes() == static_cast<std::int64_t>(tensor.data.size())) {
      return "";
    }
    return std::to_string(tensor.data.size()) + " bytes for a shape that needs " +
           std::to_string(tensor.bytes());
  }

  static void SetFault(const std::string& fault, TfliteTensor& tensor) {
    tensor.fault = fault;
    tensor.shape.clear();
    tensor.data = {};
    tensor.constant = false;
  }

  Status ReadOperators(const schema::Subgraph& graph) {
    std::vector<bool> written(model_.tensors.size(), false);
    for (flatbuffers::uoffset_t i = 0; i < Size(graph.operators()); ++i) {
      StatusOr<TfliteOperator> op = ReadOperator(*graph.operators()->Get(i));
      if (!op.ok()) return Error(op.status().code(), "operator ", i, ": ", Message(op.status()));
      for (const std::int32_t output : op->outputs) {
        if (output < 0) continue;
        // Which value a reader gets is not said.
        TfliteTensor& tensor = model_.tensors[output];
        if (written[output] || tensor.constant) SetFault("a tensor with two values", tensor);
        written[output] = true;
      }
      model_.operators.push_back(*std::move(op));
    }
    return {};
  }

  StatusOr<TfliteOperator> ReadOperator(const schema::Operator& stored) {
    if (stored.opcode_index() >= Size(stored_.operator_codes())) {
      return Damaged("its code is number ", stored.opcode_index(), " of ",
                     Size(stored_.operator_codes()));
    }
    const schema::OperatorCode& code = *stored_.operator_codes()->Get(stored.opcode_index());
    // Old files have only the short code, new ones both; the larger one counts.
    const auto builtin =
        std::max(code.code(), static_cast<schema::BuiltinOperator>(code.short_code()));
    TfliteOperator op;
    op.kind = KindOf(builtin);
    op.name = OperatorName(code, builtin);
    op.inputs = copy_.Vector<std::int32_t>(stored.inputs());
    op.outputs = copy_.Vector<std::int32_t>(stored.outputs());
    op.options = OptionsOf(op.kind, stored);
    RETURN_IF_ERROR(CheckTensorNumbers(op.inputs, -1, "input"));
    RETURN_IF_ERROR(CheckTensorNumbers(op.outputs, -1, "output"));
    return op;
  }

  std::string OperatorName(const schema::OperatorCode& code, schema::BuiltinOperator builtin) {
    if (builtin == schema::BuiltinOperator::CUSTOM) {
      return "CUSTOM " + copy_.Name(code.custom_code());
    }
    const std::string name = schema::EnumNameBuiltinOperator(builtin);
    return name.empty() ? "BUILTIN " + std::to_string(static_cast<int>(builtin)) : name;
  }

  Status CheckTensorNumbers(const std::vector<std::int32_t>& numbers, std::int32_t least,
                            const char* role) const {
    const auto count = static_cast<std::int64_t>(model_.tensors.size());
    for (const std::int32_t number : numbers) {
      if (number < least || number >= count) {
        return Damaged("its ", role, " is tensor ", number, " of ", count);
      }
    }
    return {};
  }

  const schema::Model& stored_;
  TfliteModel& model_;
  Copier copy_;
};

}  // namespace

std::int64_t TfliteTensor::elements() const {
  std::int64_t elements = 1;
  for (const std::int32_t size : shape) elements *= size;
  return elements;
}

std::int64_t TfliteTensor::bytes() const { return elements() * ElementSize(type); }

StatusOr<TfliteModel> ParseTflite(std::vector<std::uint8_t> file) {
  constexpr std::size_t kHeader = 8;  // the root's offset, the identifier
  if (file.size() < kHeader || !schema::ModelBufferHasIdentifier(file.data())) {
    return Error(StatusCode::kInvalidArgument, "not a TensorFlow Lite model: no file identifier ",
                 schema::ModelIdentifier(), "; Kiln reads .tflite files of schema version ",
                 kSchemaVersion);
  }
  // A table costs at least 4 bytes of offset, so a larger limit than this would limit nothing.
  const auto most_tables = static_cast<flatbuffers::uoffset_t>(file.size() / 4);
  flatbuffers::Verifier verifier(file.data(), file.size(), kDeepestTable, most_tables);
  if (!schema::VerifyModelBuffer(verifier)) {
    return Damaged("its FlatBuffer does not verify (cut short or overwritten?)");
  }
  TfliteModel model;
  model.file = std::move(file);
  RETURN_IF_ERROR(ModelReader(*schema::GetModel(model.file.data()), model).Read());
  return model;
}

StatusOr<TfliteModel> ReadTflite(const std::string& path) {
  ASSIGN_OR_RETURN(std::vector<std::uint8_t> file, ReadFile(path, kLargestFile));
  StatusOr<TfliteModel> model = ParseTflite(std::move(file));
  if (!model.ok()) return InFile(path, model.status());
  return model;
}

}  // namespace kiln
