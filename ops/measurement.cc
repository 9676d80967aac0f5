#include "ops/measurement.h"

#include <algorithm>
#include <cstddef>

namespace kiln {
namespace {

constexpr std::ptrdiff_t kRankSamples = 10;

}  // namespace

double Timings::min_ns() const {
  if (samples_ns.empty()) return 0;
  const auto count = std::min<std::ptrdiff_t>(kRankSamples, std::ssize(samples_ns));
  return *std::min_element(samples_ns.begin(), samples_ns.begin() + count);
}

double Timings::median_ns() const {
  if (samples_ns.empty()) return 0;
  std::vector<double> sorted = samples_ns;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t middle = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[middle];
  return (sorted[middle - 1] + sorted[middle]) / 2;
}

const char* Name(FailureKind kind) {
  switch (kind) {
    case FailureKind::kInvalidConfig:
      return "INVALID_CONFIG";
    case FailureKind::kCompileError:
      return "COMPILE_ERROR";
    case FailureKind::kUnsupportedIsa:
      return "UNSUPPORTED_ISA";
    case FailureKind::kBadObject:
      return "BAD_OBJECT";
    case FailureKind::kWrongClass:
      return "WRONG_CLASS";
    case FailureKind::kRuntimeError:
      return "RUNTIME_ERROR";
    case FailureKind::kTimeout:
      return "TIMEOUT";
    case FailureKind::kWrongResult:
      return "WRONG_RESULT";
    case FailureKind::kDeviceLost:
      return "DEVICE_LOST";
  }
  return "";
}

const char* Name(Stage stage) {
  switch (stage) {
    case Stage::kLower:
      return "lower";
    case Stage::kCompile:
      return "compile";
    case Stage::kLoad:
      return "load";
    case Stage::kPack:
      return "pack";
    case Stage::kRun:
      return "run";
    case Stage::kVerify:
      return "verify";
    case Stage::kDevice:
      return "device";
  }
  return "";
}

const char* Name(CacheState state) {
  switch (state) {
    case CacheState::kHot:
      return "hot";
    case CacheState::kCold:
      return "cold";
  }
  return "";
}

const char* Name(TimeKind kind) {
  switch (kind) {
    case TimeKind::kMeasured:
      return "measured";
    case TimeKind::kEmulated:
      return "emulated";
    case TimeKind::kEstimated:
      return "estimated";
  }
  return "";
}

std::optional<TimeKind> TimeKindNamed(std::string_view name) {
  for (const TimeKind kind : {TimeKind::kMeasured, TimeKind::kEmulated, TimeKind::kEstimated}) {
    if (name == Name(kind)) return kind;
  }
  return std::nullopt;
}

}  // namespace kiln
