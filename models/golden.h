#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "models/graph.h"

// Recorded outputs of a model: what TFLite's reference kernels gave, operator by operator.
// `kiln verify --golden` feeds each tuned operator the recorded (or recomputed) input and compares
// the checksum of a kernel's output.

namespace kiln {

// One output of an operator; one with several has an entry for each.
struct GoldenOp {
  std::string op;            // "CONV_2D"
  std::int32_t tensor = -1;  // its number in the model
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;  // in the file of intermediates
};

// Checksums of another TFLite build where it differs (docs/models.md): "litert_optimized" rounds
// once in convolutions and fully connected layers, "fc_float64" computes the latter in double.
struct GoldenVariant {
  std::string name;
  std::vector<std::uint32_t> op_crc32;  // one per GoldenOp
};

struct GoldenCase {
  std::string name;  // "input_0.bin"
  std::vector<std::uint8_t> input, output;
  std::vector<std::uint32_t> op_crc32;  // one per GoldenOp; of the whole output tensor
  std::string intermediates;            // path of all operators' outputs; empty: not recorded
  std::vector<GoldenVariant> variants;
};

struct Golden {
  std::string model;          // file name
  std::vector<GoldenOp> ops;  // in execution order
  std::vector<GoldenCase> cases;
};

// Reads DIR/manifest.json and the inputs and outputs that it names. kInvalidArgument: they do not
// belong together; the message names the file.
StatusOr<Golden> ReadGolden(const std::string& directory);

// Where an entry's output is computed.
struct GoldenMatch {
  std::size_t op = 0, output = 0;  // index in GraphExecutor::ops(), and in its outputs
  bool operator==(const GoldenMatch&) const = default;
};

// The outputs of `graph` behind each GoldenOp. kInvalidArgument: the files are of another model.
StatusOr<std::vector<GoldenMatch>> MatchGolden(const Golden& golden, const GraphExecutor& graph);

// The recorded output of golden operator `op`. kNotFound: this case has no intermediates.
StatusOr<std::vector<std::uint8_t>> ReadIntermediate(const Golden& golden,
                                                     const GoldenCase& golden_case, std::size_t op);

// The checksum that golden files hold: CRC-32 of zlib.
std::uint32_t Crc32(std::span<const std::uint8_t> bytes);

}  // namespace kiln
