#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ops/workload.h"

namespace kiln {

// The limits of a workload (ops/workload_key.h).
inline constexpr std::int32_t kMaxKeyNumber = 1'000'000;
inline constexpr std::int64_t kMaxTensorBytes = std::int64_t{1} << 30;
inline constexpr std::int64_t kMaxMacs = std::int64_t{1} << 40;
inline constexpr std::int64_t kMaxTaps = std::int64_t{1} << 20;

// The parts of a key, in the order in which they stand in it.
enum class KeyPart : std::uint8_t {
  kType,
  kInput,
  kOutput,
  kKernel,
  kStride,
  kPadding,
  kDilation,
  kGroups,
  kScales,
  kWeightZeroPoint,
  kActivation,
  kForm,
  kRounding,
};
inline constexpr int kKeyParts = 13;

// Why a workload is no computation, and which part of its key says so.
struct WorkloadFault {
  KeyPart part;
  std::string message;
};

// Brings the workload into the form that its key demands (ops/workload_key.h has the rules), or
// leaves it in an unspecified state and says what is wrong.
std::optional<WorkloadFault> Canonicalize(Workload& workload);

}  // namespace kiln
