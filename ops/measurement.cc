#include "ops/measurement.h"

#include <algorithm>
#include <cstddef>

namespace kiln {
namespace {

constexpr std::ptrdiff_t kRankSamples = 10;

template <typename T>
bool Within(T value, T low, T high) {
  return low <= value && value <= high;
}

}  // namespace

std::string Objection(const MeasurePlan& plan) {
  if (!Within(plan.threads, 1, kMaxThreads)) {
    return "a plan for " + std::to_string(plan.threads) + " threads; want 1 to " +
           std::to_string(kMaxThreads);
  }
  if (!Within(plan.samples, plan.time ? 1 : 0, kMaxSamples)) {
    return "a plan with " + std::to_string(plan.samples) + " samples; want 1 to " +
           std::to_string(kMaxSamples);
  }
  if (!Within<std::int64_t>(plan.time_out_ns, 1, kMaxPlanNs)) {
    return "a time-out of " + std::to_string(plan.time_out_ns) + " ns; want 1 ns to " +
           std::to_string(kMaxPlanNs / 1'000'000'000) + " s";
  }
  for (const std::int64_t time : {plan.sample_ns, plan.warm_up_ns, plan.cut_off_ns}) {
    if (!Within<std::int64_t>(time, 0, kMaxPlanNs)) {
      return "a plan with a time of " + std::to_string(time) + " ns; want 0 to " +
             std::to_string(kMaxPlanNs / 1'000'000'000) + " s";
    }
  }
  return {};
}

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
    case FailureKind::kHostKilled:
      return "HOST_KILLED";
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
