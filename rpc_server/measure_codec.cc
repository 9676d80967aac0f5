#include "rpc_server/measure_codec.h"

#include "ops/workload_key.h"
#include "proto/device.pb.h"
#include "proto/transport.h"

namespace kiln {
namespace {

StatusOr<MeasurePlan> ReadPlan(const v1::MeasurePlan& message, std::size_t cores) {
  if (message.threads() > static_cast<std::int64_t>(cores)) {
    return Error(StatusCode::kInvalidArgument, "a plan for ", message.threads(),
                 " threads on a device that measures on ", cores, " cores");
  }
  MeasurePlan plan;
  plan.threads = message.threads();
  plan.cache = message.cold() ? CacheState::kCold : CacheState::kHot;
  plan.samples = message.samples();
  plan.sample_ns = message.sample_ns();
  plan.warm_up_ns = message.warm_up_ns();
  plan.cut_off_ns = message.cut_off_ns();
  plan.time_out_ns = message.time_out_ns();
  plan.time = message.time();
  return plan;
}

StatusOr<HostCase> ReadCase(const v1::MeasureCase& message) {
  HostCase host_case;
  if (!message.explicit_case().empty()) {
    host_case.source = HostCase::Source::kExplicit;
    host_case.explicit_case = message.explicit_case();
  } else if (message.recipe_version() != kDataRecipeVersion) {
    return Error(StatusCode::kInvalidArgument, "data recipe version ", message.recipe_version(),
                 "; this device has ", kDataRecipeVersion, ": install the same Kiln on both");
  }
  switch (message.set()) {
    case v1::MeasureCase::DATA_SET_UNIFORM:
      host_case.set = DataSet::kUniform;
      break;
    case v1::MeasureCase::DATA_SET_EDGES:
      host_case.set = DataSet::kEdges;
      break;
    default:
      return Error(StatusCode::kInvalidArgument, "an unknown data set: ", message.set());
  }
  host_case.seed = message.seed();
  host_case.check = message.check();
  host_case.expected_digest = message.expected_digest();
  host_case.return_output = message.return_output();
  return host_case;
}

v1::KernelFailure::Stage ToProto(Stage stage) {
  switch (stage) {
    case Stage::kLoad:
      return v1::KernelFailure::STAGE_LOAD;
    case Stage::kPack:
      return v1::KernelFailure::STAGE_PACK;
    case Stage::kRun:
      return v1::KernelFailure::STAGE_RUN;
    case Stage::kVerify:
      return v1::KernelFailure::STAGE_VERIFY;
    case Stage::kDevice:
      return v1::KernelFailure::STAGE_DEVICE;
    case Stage::kLower:
    case Stage::kCompile:
      break;  // never on a device
  }
  return v1::KernelFailure::STAGE_UNSPECIFIED;
}

v1::KernelFailure::Kind ToProto(FailureKind kind) {
  switch (kind) {
    case FailureKind::kUnsupportedIsa:
      return v1::KernelFailure::KIND_UNSUPPORTED_ISA;
    case FailureKind::kBadObject:
      return v1::KernelFailure::KIND_BAD_OBJECT;
    case FailureKind::kWrongClass:
      return v1::KernelFailure::KIND_WRONG_CLASS;
    case FailureKind::kRuntimeError:
      return v1::KernelFailure::KIND_RUNTIME_ERROR;
    case FailureKind::kTimeout:
      return v1::KernelFailure::KIND_TIMEOUT;
    case FailureKind::kWrongResult:
      return v1::KernelFailure::KIND_WRONG_RESULT;
    case FailureKind::kDeviceLost:
      return v1::KernelFailure::KIND_DEVICE_LOST;
    case FailureKind::kHostKilled:
      return v1::KernelFailure::KIND_HOST_KILLED;
    case FailureKind::kInvalidConfig:
    case FailureKind::kCompileError:
      break;  // never on a device
  }
  return v1::KernelFailure::KIND_UNSPECIFIED;
}

void Write(const Timings& timings, v1::Samples* message) {
  message->mutable_samples_ns()->Add(timings.samples_ns.begin(), timings.samples_ns.end());
  message->set_calls_per_sample(timings.calls_per_sample);
}

void Write(const DeviceState& state, v1::DeviceState* message) {
  message->set_frequency_mhz(state.frequency_mhz);
  message->set_temperature_c(state.temperature_c);
  message->set_load_1min(state.load_1min);
}

// Protobuf's strings are UTF-8; what a kernel's process says may be anything.
std::string Printable(std::string text) {
  for (char& c : text) {
    if ((c < ' ' && c != '\n' && c != '\t') || c > '~') c = '?';
  }
  return text;
}

}  // namespace

StatusOr<HostRequest> ReadRequest(const v1::MeasureRequest& message, std::size_t cores) {
  if (message.object().size() > kMaxObjectBytes) {
    return Error(StatusCode::kResourceExhausted, "a kernel object of ", message.object().size(),
                 " bytes; at most ", kMaxObjectBytes);
  }
  if (!IsName(message.trial_id()) || message.symbol().empty() ||
      message.symbol().size() > kMaxSymbolBytes || message.workload().size() > kMaxKeyBytes) {
    return Error(StatusCode::kInvalidArgument,
                 "a measurement needs a trial_id of 1..128 printable characters without spaces, a "
                 "symbol of at most ",
                 kMaxSymbolBytes, " bytes and a workload of at most ", kMaxKeyBytes);
  }
  HostRequest request;
  request.symbol = message.symbol();
  ASSIGN_OR_RETURN(request.workload, ParseWorkload(message.workload()));
  ASSIGN_OR_RETURN(request.plan, ReadPlan(message.plan(), cores));
  for (const v1::MeasureCase& one : message.cases()) {
    ASSIGN_OR_RETURN(HostCase host_case, ReadCase(one));
    request.cases.push_back(std::move(host_case));
  }
  if (const std::string objection = Objection(request); !objection.empty()) {
    return Error(StatusCode::kInvalidArgument, objection);
  }
  std::int64_t output_bytes = 0;
  for (const HostCase& one : request.cases) {
    if (one.return_output) output_bytes += request.workload.y_bytes();
  }
  if (output_bytes > kMaxOutputBytes) {
    return Error(StatusCode::kResourceExhausted, "a measurement that returns ", output_bytes,
                 " bytes of output; at most ", kMaxOutputBytes, ": ask for digests");
  }
  return request;
}

void WriteResult(const HostReply& reply, v1::MeasureResult* message, int protocol) {
  if (const auto* timings = std::get_if<Timings>(&reply.outcome)) {
    Write(*timings, message->mutable_timings());
  } else if (const auto* censored = std::get_if<Censored>(&reply.outcome)) {
    Write(censored->partial, message->mutable_censored()->mutable_partial());
    message->mutable_censored()->set_bound_ns(censored->bound_ns);
  } else if (const auto* failure = std::get_if<Failure>(&reply.outcome)) {
    const bool unheard_of =
        failure->kind == FailureKind::kHostKilled && protocol < kProtocolWithHostKilled;
    message->mutable_failure()->set_stage(ToProto(unheard_of ? Stage::kDevice : failure->stage));
    message->mutable_failure()->set_kind(
        ToProto(unheard_of ? FailureKind::kDeviceLost : failure->kind));
    message->mutable_failure()->set_message(Printable(failure->message));
  }
  message->mutable_digests()->Add(reply.digests.begin(), reply.digests.end());
  for (const std::string& output : reply.outputs) message->add_outputs(output);
  Write(reply.before, message->mutable_before());
  Write(reply.after, message->mutable_after());
  message->set_log(Printable(reply.log));
}

}  // namespace kiln
