#include "rpc_client/run_codec.h"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "proto/device.pb.h"

namespace kiln {
namespace {

// What is kept of a runner's log, whatever a device sends: every trial would carry it.
constexpr std::size_t kMaxLogBytes = 1024;

v1::MeasureCase ToProto(const RunCase& run_case) {
  v1::MeasureCase message;
  if (run_case.explicit_case) {
    message.set_explicit_case(Serialize(*run_case.explicit_case));
  } else {
    message.set_set(run_case.set == DataSet::kEdges ? v1::MeasureCase::DATA_SET_EDGES
                                                    : v1::MeasureCase::DATA_SET_UNIFORM);
    message.set_seed(run_case.seed);
    message.set_recipe_version(kDataRecipeVersion);
  }
  message.set_check(run_case.check);
  message.set_expected_digest(run_case.expected_digest);
  message.set_return_output(run_case.return_output);
  return message;
}

void Write(const MeasurePlan& plan, v1::MeasurePlan* message) {
  message->set_threads(plan.threads);
  message->set_cold(plan.cache == CacheState::kCold);
  message->set_samples(plan.samples);
  message->set_sample_ns(plan.sample_ns);
  message->set_warm_up_ns(plan.warm_up_ns);
  message->set_cut_off_ns(plan.cut_off_ns);
  message->set_time_out_ns(plan.time_out_ns);
  message->set_time(plan.time);
}

std::optional<Stage> FromProto(v1::KernelFailure::Stage stage) {
  switch (stage) {
    case v1::KernelFailure::STAGE_LOAD:
      return Stage::kLoad;
    case v1::KernelFailure::STAGE_PACK:
      return Stage::kPack;
    case v1::KernelFailure::STAGE_RUN:
      return Stage::kRun;
    case v1::KernelFailure::STAGE_VERIFY:
      return Stage::kVerify;
    case v1::KernelFailure::STAGE_DEVICE:
      return Stage::kDevice;
    default:
      return std::nullopt;
  }
}

std::optional<FailureKind> FromProto(v1::KernelFailure::Kind kind) {
  switch (kind) {
    case v1::KernelFailure::KIND_UNSUPPORTED_ISA:
      return FailureKind::kUnsupportedIsa;
    case v1::KernelFailure::KIND_BAD_OBJECT:
      return FailureKind::kBadObject;
    case v1::KernelFailure::KIND_WRONG_CLASS:
      return FailureKind::kWrongClass;
    case v1::KernelFailure::KIND_RUNTIME_ERROR:
      return FailureKind::kRuntimeError;
    case v1::KernelFailure::KIND_TIMEOUT:
      return FailureKind::kTimeout;
    case v1::KernelFailure::KIND_WRONG_RESULT:
      return FailureKind::kWrongResult;
    case v1::KernelFailure::KIND_DEVICE_LOST:
      return FailureKind::kDeviceLost;
    case v1::KernelFailure::KIND_HOST_KILLED:
      return FailureKind::kHostKilled;
    default:
      return std::nullopt;
  }
}

Timings FromProto(const v1::Samples& message) {
  Timings timings;
  timings.samples_ns.assign(message.samples_ns().begin(), message.samples_ns().end());
  timings.calls_per_sample = message.calls_per_sample();
  return timings;
}

StatusOr<Outcome> ReadFailure(const v1::KernelFailure& message) {
  const std::optional<Stage> stage = FromProto(message.stage());
  const std::optional<FailureKind> kind = FromProto(message.kind());
  if (!stage || !kind) {
    return Error(StatusCode::kInternal, "the device reports a failure of unknown kind ",
                 message.kind(), " at stage ", message.stage(), ": ", message.message());
  }
  if (*kind == FailureKind::kDeviceLost) {
    return Error(StatusCode::kUnavailable, "the device failed: ", message.message());
  }
  return Failure{*stage, *kind, message.message()};
}

StatusOr<Outcome> ReadOutcome(const v1::MeasureResult& message) {
  switch (message.outcome_case()) {
    case v1::MeasureResult::kTimings:
      return FromProto(message.timings());
    case v1::MeasureResult::kCensored:
      return Censored{FromProto(message.censored().partial()), message.censored().bound_ns()};
    case v1::MeasureResult::kFailure:
      return ReadFailure(message.failure());
    case v1::MeasureResult::OUTCOME_NOT_SET:
      break;
  }
  return Error(StatusCode::kInternal, "the device's result has no outcome");
}

DeviceState FromProto(const v1::DeviceState& message) {
  const auto said = [](double value) { return std::isfinite(value) && value > 0 ? value : 0; };
  return {said(message.frequency_mhz()), said(message.temperature_c()), said(message.load_1min())};
}

// A device compares by itself, and so a difference is one that it has missed.
std::optional<Failure> Difference(const std::vector<RunCase>& cases,
                                  const std::vector<std::uint64_t>& digests) {
  for (std::size_t i = 0; i < cases.size(); ++i) {
    if (!cases[i].check || digests[i] == cases[i].expected_digest) continue;
    return Failure{Stage::kVerify, FailureKind::kWrongResult,
                   "case " + std::to_string(i) +
                       ": the device says that all is well, with digest " + Hex(digests[i]) +
                       " instead of " + Hex(cases[i].expected_digest)};
  }
  return std::nullopt;
}

}  // namespace

v1::MeasureRequest WriteRequest(const RunRequest& request) {
  v1::MeasureRequest message;
  message.set_object_digest(request.artifact->object_digest);
  message.set_symbol(request.artifact->symbol);
  message.set_workload(Key(request.workload));
  for (const RunCase& run_case : request.cases) *message.add_cases() = ToProto(run_case);
  Write(request.plan, message.mutable_plan());
  return message;
}

StatusOr<RunResult> ReadResult(const v1::MeasureResult& message, const RunRequest& request) {
  RunResult result;
  ASSIGN_OR_RETURN(result.outcome, ReadOutcome(message));
  result.digests.assign(message.digests().begin(), message.digests().end());
  if (!std::holds_alternative<Failure>(result.outcome)) {
    if (result.digests.size() != request.cases.size()) {
      return Error(StatusCode::kInternal, "the device's result has ", result.digests.size(),
                   " digests of ", request.cases.size(), " cases");
    }
    if (auto failure = Difference(request.cases, result.digests)) {
      result.outcome = *std::move(failure);
    }
  }
  result.outputs.assign(message.outputs().begin(), message.outputs().end());
  result.before = FromProto(message.before());
  result.after = FromProto(message.after());
  result.log = message.log().substr(0, kMaxLogBytes);
  return result;
}

}  // namespace kiln
