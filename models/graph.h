#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "models/model.h"

namespace kiln {

// What an operator computes: one value, or several (SPLIT, UNPACK).
struct GraphOutput {
  std::string name;
  std::int32_t tensor = -1;  // -1: an optional output that is absent
  std::int64_t bytes = 0;    // 0: not known
};

// One operator of a .tflite file, executed by plain reference code. What `kiln verify --golden`
// needs in order to reach the tuned operators' inputs; not an inference engine.
struct GraphOp {
  std::string op;  // "CONV_2D", "ADD"
  std::vector<GraphOutput> outputs;
  std::optional<std::size_t> layer;  // index in Network::layers if Kiln tunes it
  std::string unsupported;           // why the reference cannot compute it; empty: it can
};

// This executes a model operator by operator, bit-exact with TFLite's reference kernels (double
// rounding; docs/models.md). Not thread-safe. Outputs are kept until they are computed or set
// again.
class GraphExecutor {
 public:
  virtual ~GraphExecutor() = default;
  virtual const Network& network() const = 0;
  virtual std::span<const GraphOp> ops() const = 0;
  // The model's input, which must be one tensor; kInvalidArgument: not as many bytes as it has.
  virtual Status SetInput(std::span<const std::uint8_t> bytes) = 0;
  // The bytes of the activation input of operator `op`. kFailedPrecondition: the operator that
  // computes it has not run.
  virtual StatusOr<std::span<const std::uint8_t>> InputOf(std::size_t op) const = 0;
  // Computes operator `op`, which then has one output, by reference, and keeps that. kUnimplemented:
  // it cannot; names the operator. kFailedPrecondition: as InputOf. kInternal: an input has not the
  // size of its tensor.
  virtual StatusOr<std::span<const std::uint8_t>> Run(std::size_t op) = 0;
  // Puts bytes in place of one of the operator's outputs (a golden intermediate, or a kernel's
  // result). kInvalidArgument: it has no such output, or not of this size.
  virtual Status SetOutput(std::size_t op, std::size_t output,
                           std::span<const std::uint8_t> bytes) = 0;
};

// kInvalidArgument: as ImportTflite, or the activations need more than 1 GB of memory.
StatusOr<std::unique_ptr<GraphExecutor>> LoadGraph(const std::string& tflite_path);

}  // namespace kiln
