#include "models/graph.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/read_file.h"
#include "models/graph_ops.h"
#include "models/tflite_import.h"
#include "models/tflite_model.h"
#include "ops/reference.h"

namespace kiln {
namespace {

constexpr std::int64_t kMostActivationBytes = std::int64_t{1} << 30;

StatusOr<GraphKernel> Prepare(const TfliteModel& model, const TfliteOperator& op) {
  switch (op.kind) {
    case TfliteKind::kAdd:
      return PrepareAdd(model, op);
    case TfliteKind::kAveragePool2d:
      return PrepareAveragePool(model, op);
    case TfliteKind::kMaxPool2d:
      return PrepareMaxPool(model, op);
    case TfliteKind::kConcatenation:
      return PrepareConcatenation(model, op);
    case TfliteKind::kDequantize:
      return PrepareDequantize(model, op);
    case TfliteKind::kMean:
      return PrepareMean(model, op);
    case TfliteKind::kPad:
      return PreparePad(model, op);
    case TfliteKind::kQuantize:
      return PrepareQuantize(model, op);
    case TfliteKind::kReshape:
      return PrepareReshape(model, op);
    case TfliteKind::kSoftmax:
      return PrepareSoftmax(model, op);
    default:
      return CannotCompute("there is no reference kernel for it");
  }
}

// A layer that Kiln tunes.
StatusOr<GraphKernel> PrepareLayer(const TfliteModel& model, const TfliteOperator& op,
                                   const Layer& layer) {
  ASSIGN_OR_RETURN(const TfliteTensor* x, InputTensor(model, op, 0));
  ASSIGN_OR_RETURN(const TfliteTensor* y, OutputTensor(model, op));
  if (x->bytes() != layer.workload.x_bytes() || y->bytes() != layer.workload.y_bytes()) {
    return CannotCompute("its workload ", Key(layer.workload), " takes ", layer.workload.x_bytes(),
                         " bytes to ", layer.workload.y_bytes(), ", its tensors have ", x->bytes(),
                         " and ", y->bytes());
  }
  return GraphKernel([&layer](GraphInputs inputs, std::span<std::uint8_t> output) {
    const std::vector<std::uint8_t> bytes = RunReference(layer.workload, *layer.values, inputs[0]);
    std::copy(bytes.begin(), bytes.end(), output.begin());
  });
}

class TfliteGraph : public GraphExecutor {
 public:
  TfliteGraph(TfliteModel model, ImportedModel imported)
      : model_(std::move(model)),
        network_(std::move(imported.network)),
        values_(model_.tensors.size()) {
    for (std::size_t i = 0; i < model_.operators.size(); ++i) {
      AddOp(model_.operators[i], imported.layer_of[i]);
    }
  }

  const Network& network() const override { return network_; }
  std::span<const GraphOp> ops() const override { return ops_; }

  Status SetInput(std::span<const std::uint8_t> bytes) override {
    if (model_.inputs.size() != 1 || model_.inputs[0] < 0) {
      return Error(StatusCode::kInvalidArgument, network_.name, " has ", model_.inputs.size(),
                   " inputs; only models with one can be run");
    }
    return SetTensor(model_.inputs[0], bytes);
  }

  StatusOr<std::span<const std::uint8_t>> InputOf(std::size_t op) const override {
    return TensorBytes(model_.operators[op].input(0), op);
  }

  StatusOr<std::span<const std::uint8_t>> Run(std::size_t op) override {
    if (!ops_[op].unsupported.empty()) {
      return Error(StatusCode::kUnimplemented, Name(op), ": ", ops_[op].unsupported);
    }
    std::vector<std::span<const std::uint8_t>> inputs;
    for (const std::int32_t input : model_.operators[op].inputs) {
      inputs.emplace_back();
      if (input < 0) continue;
      ASSIGN_OR_RETURN(inputs.back(), TensorBytes(input, op));
    }
    const GraphOutput& y = ops_[op].outputs[0];
    std::vector<std::uint8_t> output(static_cast<std::size_t>(y.bytes));
    kernels_[op](inputs, output);
    std::vector<std::uint8_t>& kept = values_[y.tensor];
    kept = std::move(output);
    return kept;
  }

  Status SetOutput(std::size_t op, std::size_t output,
                   std::span<const std::uint8_t> bytes) override {
    const std::int32_t tensor = model_.operators[op].output(output);
    if (tensor < 0) {
      return Error(StatusCode::kInvalidArgument, Name(op), " has no output ", output);
    }
    return SetTensor(tensor, bytes);
  }

 private:
  void AddOp(const TfliteOperator& op, std::optional<std::size_t> layer) {
    GraphOp entry{.op = op.name, .outputs = {}, .layer = layer, .unsupported = ""};
    for (const std::int32_t number : op.outputs) {
      entry.outputs.emplace_back();
      if (number < 0) continue;
      const TfliteTensor& y = model_.tensors[number];
      const bool known = y.fault.empty() && y.type != ElementType::kOther;
      entry.outputs.back() = {y.name, number, known ? y.bytes() : 0};
    }
    StatusOr<GraphKernel> kernel =
        layer ? PrepareLayer(model_, op, network_.layers[*layer]) : Prepare(model_, op);
    if (!kernel.ok()) entry.unsupported = Message(kernel.status());
    kernels_.push_back(kernel.ok() ? *std::move(kernel) : GraphKernel());
    ops_.push_back(std::move(entry));
  }

  std::string Name(std::size_t op) const {
    return "operator " + std::to_string(op) + " (" + ops_[op].op + ")";
  }

  Status SetTensor(std::int32_t number, std::span<const std::uint8_t> bytes) {
    const TfliteTensor& tensor = model_.tensors[number];
    if (!tensor.fault.empty()) {
      return Error(StatusCode::kInvalidArgument, "tensor ", number, ": ", tensor.fault);
    }
    if (tensor.type == ElementType::kOther ||
        static_cast<std::int64_t>(bytes.size()) != tensor.bytes()) {
      return Error(StatusCode::kInvalidArgument, "tensor ", number, " (", tensor.type_name,
                   ") cannot hold ", bytes.size(), " bytes, its shape needs ", tensor.bytes());
    }
    values_[number].assign(bytes.begin(), bytes.end());
    return {};
  }

  StatusOr<std::span<const std::uint8_t>> TensorBytes(std::int32_t number, std::size_t op) const {
    if (number < 0) {
      return Error(StatusCode::kFailedPrecondition, Name(op), " has no activation input");
    }
    const TfliteTensor& tensor = model_.tensors[number];
    const std::span<const std::uint8_t> bytes =
        tensor.constant ? tensor.data : std::span<const std::uint8_t>(values_[number]);
    if (bytes.empty() && tensor.elements() != 0) {
      return Error(StatusCode::kFailedPrecondition, Name(op), " reads tensor ", number, " \"",
                   tensor.name, "\", which has no value yet");
    }
    if (static_cast<std::int64_t>(bytes.size()) != tensor.bytes()) {
      return Error(StatusCode::kInternal, Name(op), " reads tensor ", number, " \"", tensor.name,
                   "\" of ", tensor.bytes(), " bytes, its value has ", bytes.size());
    }
    return bytes;
  }

  const TfliteModel model_;
  const Network network_;  // kernels_ refer to its layers
  std::vector<GraphOp> ops_;
  std::vector<GraphKernel> kernels_;               // as ops_; empty where unsupported
  std::vector<std::vector<std::uint8_t>> values_;  // by tensor; empty: not computed yet
};

Status CheckActivationBytes(const TfliteModel& model) {
  std::int64_t total = 0;
  for (const TfliteTensor& tensor : model.tensors) {
    if (!tensor.constant && tensor.fault.empty() && tensor.type != ElementType::kOther)
      total += tensor.bytes();
    if (total > kMostActivationBytes) {
      return Error(StatusCode::kInvalidArgument, "its activations need more than ",
                   kMostActivationBytes, " bytes");
    }
  }
  return {};
}

}  // namespace

namespace {

// A tensor whose bytes an operator can read or write.
StatusOr<const TfliteTensor*> Usable(const TfliteTensor& tensor, const std::string& role) {
  if (!tensor.fault.empty()) return CannotCompute(role, ": ", tensor.fault);
  if (tensor.sparse) return CannotCompute(role, " is sparse");
  if (tensor.type == ElementType::kOther) return CannotCompute(role, " is ", tensor.type_name);
  return &tensor;
}

}  // namespace

StatusOr<const TfliteTensor*> InputTensor(const TfliteModel& model, const TfliteOperator& op,
                                          std::size_t position) {
  const std::int32_t number = op.input(position);
  if (number < 0) return CannotCompute("it has no input ", position);
  return Usable(model.tensors[number], "its input " + std::to_string(position));
}

StatusOr<const TfliteTensor*> OutputTensor(const TfliteModel& model, const TfliteOperator& op) {
  if (op.outputs.size() != 1) return CannotCompute("it has ", op.outputs.size(), " outputs");
  if (op.output(0) < 0) return CannotCompute("it has no output");
  return Usable(model.tensors[op.output(0)], "its output");
}

StatusOr<std::vector<std::int32_t>> ConstantInts(const TfliteModel& model, const TfliteOperator& op,
                                                 std::size_t position) {
  ASSIGN_OR_RETURN(const TfliteTensor* tensor, InputTensor(model, op, position));
  if (!tensor->constant || tensor->type != ElementType::kInt32) {
    return CannotCompute("its input ", position, " is not a constant of type INT32");
  }
  std::vector<std::int32_t> values(static_cast<std::size_t>(tensor->elements()));
  std::memcpy(values.data(), tensor->data.data(), tensor->data.size());
  return values;
}

StatusOr<std::unique_ptr<GraphExecutor>> LoadGraph(const std::string& tflite_path) {
  ASSIGN_OR_RETURN(TfliteModel model, ReadTflite(tflite_path));
  RETURN_IF_ERROR(InFile(tflite_path, CheckActivationBytes(model)));
  ImportedModel imported = ImportOperators(model, tflite_path);
  return std::unique_ptr<GraphExecutor>(
      std::make_unique<TfliteGraph>(std::move(model), std::move(imported)));
}

}  // namespace kiln
