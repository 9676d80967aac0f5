#include "kernel_host/host_protocol.h"

#include <unistd.h>

#include <type_traits>

#include "base/bytes.h"
#include "kernel_host/fresh_inputs.h"
#include "kernel_host/prepared_case.h"
#include "ops/canonical_workload.h"

// Fields stand in the order of their structs. Enums and bools are read as bytes and checked, since
// the other side may be broken.

namespace kiln {
namespace {

template <typename Enum>
void PutEnum(ByteWriter& out, Enum value) {
  out.Put(static_cast<std::uint8_t>(value));
}

// Reads values and remembers whether all were valid.
class CheckedReader {
 public:
  explicit CheckedReader(std::string_view bytes) : in_(bytes) {}

  template <typename T>
  void Get(T& value) {
    static_assert(!std::is_enum_v<T> && !std::is_same_v<T, bool>);
    value = in_.Get<T>();
  }
  void Get(bool& value) {
    const auto byte = in_.Get<std::uint8_t>();
    value = byte == 1;
    valid_ = valid_ && byte <= 1;
  }
  template <typename Enum>
  void GetEnum(Enum& value, Enum last) {
    const auto byte = in_.Get<std::uint8_t>();
    const bool known = byte <= static_cast<std::uint8_t>(last);
    if (known) value = static_cast<Enum>(byte);
    valid_ = valid_ && known;
  }
  void Get(std::string& value) { value = in_.GetBytes(); }
  template <typename T>
  void Get(std::vector<T>& values) {
    values = in_.GetVector<T>();
  }
  // How many elements follow, of which each takes at least one byte.
  std::uint64_t GetCount() {
    const auto count = in_.Get<std::uint64_t>();
    valid_ = valid_ && count <= kMaxElements;
    return valid_ && in_.ok() ? count : 0;
  }
  bool good() const { return valid_ && in_.ok(); }
  bool finished() const { return good() && in_.at_end(); }

 private:
  static constexpr std::uint64_t kMaxElements = 1024;

  ByteReader in_;
  bool valid_ = true;
};

void Put(ByteWriter& out, const Workload& w) {
  PutEnum(out, w.op);
  PutEnum(out, w.type);
  for (const std::int32_t size :
       {w.n, w.h, w.w, w.c, w.o, w.kh, w.kw, w.stride_h, w.stride_w, w.pad_top, w.pad_left,
        w.pad_bottom, w.pad_right, w.dilation_h, w.dilation_w, w.groups, w.multiplier}) {
    out.Put(size);
  }
  out.Put(w.per_channel);
  out.Put(w.weight_zero_point);
  out.Put(w.full_range_weights);
  PutEnum(out, w.act);
  PutEnum(out, w.rq);
  PutEnum(out, w.rounding);
}

void Get(CheckedReader& in, Workload& w) {
  in.GetEnum(w.op, OpKind::kDense);
  in.GetEnum(w.type, DataType::kU8);
  for (std::int32_t* size : {&w.n, &w.h, &w.w, &w.c, &w.o, &w.kh, &w.kw, &w.stride_h, &w.stride_w,
                             &w.pad_top, &w.pad_left, &w.pad_bottom, &w.pad_right, &w.dilation_h,
                             &w.dilation_w, &w.groups, &w.multiplier}) {
    in.Get(*size);
  }
  in.Get(w.per_channel);
  in.Get(w.weight_zero_point);
  in.Get(w.full_range_weights);
  in.GetEnum(w.act, Activation::kLoHi);
  in.GetEnum(w.rq, RequantizeForm::kFloat);
  in.GetEnum(w.rounding, Rounding::kFloat);
}

void Put(ByteWriter& out, const HostCase& host_case) {
  PutEnum(out, host_case.source);
  PutEnum(out, host_case.set);
  out.Put(host_case.seed);
  out.PutBytes(host_case.explicit_case);
  out.Put(host_case.check);
  out.Put(host_case.expected_digest);
  out.Put(host_case.return_output);
}

void Get(CheckedReader& in, HostCase& host_case) {
  in.GetEnum(host_case.source, HostCase::Source::kExplicit);
  in.GetEnum(host_case.set, DataSet::kEdges);
  in.Get(host_case.seed);
  in.Get(host_case.explicit_case);
  in.Get(host_case.check);
  in.Get(host_case.expected_digest);
  in.Get(host_case.return_output);
}

void Put(ByteWriter& out, const MeasurePlan& plan) {
  out.Put(plan.threads);
  PutEnum(out, plan.cache);
  out.Put(plan.samples);
  out.Put(plan.sample_ns);
  out.Put(plan.warm_up_ns);
  out.Put(plan.cut_off_ns);
  out.Put(plan.time_out_ns);
  out.Put(plan.time);
}

void Get(CheckedReader& in, MeasurePlan& plan) {
  in.Get(plan.threads);
  in.GetEnum(plan.cache, CacheState::kCold);
  in.Get(plan.samples);
  in.Get(plan.sample_ns);
  in.Get(plan.warm_up_ns);
  in.Get(plan.cut_off_ns);
  in.Get(plan.time_out_ns);
  in.Get(plan.time);
}

enum class OutcomeTag : std::uint8_t { kTimings, kCensored, kFailure };

void Put(ByteWriter& out, const Timings& timings) {
  out.PutVector(timings.samples_ns);
  out.Put(timings.calls_per_sample);
}

void Get(CheckedReader& in, Timings& timings) {
  in.Get(timings.samples_ns);
  in.Get(timings.calls_per_sample);
}

void Put(ByteWriter& out, const Outcome& outcome) {
  if (const auto* timings = std::get_if<Timings>(&outcome)) {
    PutEnum(out, OutcomeTag::kTimings);
    Put(out, *timings);
  } else if (const auto* censored = std::get_if<Censored>(&outcome)) {
    PutEnum(out, OutcomeTag::kCensored);
    Put(out, censored->partial);
    out.Put(censored->bound_ns);
  } else {
    const Failure& failure = std::get<Failure>(outcome);
    PutEnum(out, OutcomeTag::kFailure);
    PutEnum(out, failure.stage);
    PutEnum(out, failure.kind);
    out.PutBytes(failure.message);
  }
}

void Get(CheckedReader& in, Outcome& outcome) {
  OutcomeTag tag = OutcomeTag::kTimings;
  in.GetEnum(tag, OutcomeTag::kFailure);
  if (tag == OutcomeTag::kTimings) {
    Get(in, outcome.emplace<Timings>());
  } else if (tag == OutcomeTag::kCensored) {
    Censored& censored = outcome.emplace<Censored>();
    Get(in, censored.partial);
    in.Get(censored.bound_ns);
  } else {
    Failure& failure = outcome.emplace<Failure>();
    in.GetEnum(failure.stage, Stage::kDevice);
    in.GetEnum(failure.kind, FailureKind::kHostKilled);
    in.Get(failure.message);
  }
}

void Put(ByteWriter& out, const DeviceState& state) {
  out.Put(state.frequency_mhz);
  out.Put(state.temperature_c);
  out.Put(state.load_1min);
}

void Get(CheckedReader& in, DeviceState& state) {
  in.Get(state.frequency_mhz);
  in.Get(state.temperature_c);
  in.Get(state.load_1min);
}

// What the trial's data take on the device, the outputs that come back included.
std::int64_t DataBytes(const HostRequest& request) {
  const Workload& workload = request.workload;
  std::int64_t bytes = static_cast<std::int64_t>(FreshLayout::For(workload).file_bytes());
  for (const HostCase& host_case : request.cases) {
    bytes += PreparedCase::BytesOf(workload) + (host_case.return_output ? workload.y_bytes() : 0);
  }
  return bytes + workload.y_bytes();
}

}  // namespace

std::string Objection(const HostRequest& request) {
  Workload canonical = request.workload;
  if (const auto fault = Canonicalize(canonical)) return "no such workload: " + fault->message;
  if (canonical != request.workload) return "the workload is not in canonical form";
  if (request.cases.empty() || request.cases.size() > kMaxCases) {
    return "a trial on " + std::to_string(request.cases.size()) + " cases; want 1 to " +
           std::to_string(kMaxCases);
  }
  if (const std::int64_t bytes = DataBytes(request); bytes > kMaxDataBytes) {
    return "a trial with " + std::to_string(bytes) + " bytes of data; at most " +
           std::to_string(kMaxDataBytes);
  }
  return Objection(request.plan);
}

std::string Serialize(const HostRequest& request) {
  ByteWriter out;
  out.PutBytes(request.object);
  out.PutBytes(request.symbol);
  Put(out, request.workload);
  out.Put<std::uint64_t>(request.cases.size());
  for (const HostCase& host_case : request.cases) Put(out, host_case);
  Put(out, request.plan);
  out.PutVector(request.cores);
  return out.Take();
}

bool Deserialize(std::string_view bytes, HostRequest& request) {
  CheckedReader in(bytes);
  in.Get(request.object);
  in.Get(request.symbol);
  Get(in, request.workload);
  request.cases.assign(in.GetCount(), HostCase{});
  for (HostCase& host_case : request.cases) Get(in, host_case);
  Get(in, request.plan);
  in.Get(request.cores);
  return in.finished();
}

std::string Serialize(const HostReply& reply) {
  ByteWriter out;
  out.PutBytes(reply.objection);
  Put(out, reply.outcome);
  out.PutVector(reply.digests);
  out.Put<std::uint64_t>(reply.outputs.size());
  for (const std::string& output : reply.outputs) out.PutBytes(output);
  Put(out, reply.before);
  Put(out, reply.after);
  out.Put(reply.began_ns);
  out.Put(reply.ended_ns);
  out.PutBytes(reply.log);
  return out.Take();
}

bool Deserialize(std::string_view bytes, HostReply& reply) {
  CheckedReader in(bytes);
  in.Get(reply.objection);
  Get(in, reply.outcome);
  in.Get(reply.digests);
  reply.outputs.assign(in.GetCount(), std::string());
  for (std::string& output : reply.outputs) in.Get(output);
  Get(in, reply.before);
  Get(in, reply.after);
  in.Get(reply.began_ns);
  in.Get(reply.ended_ns);
  in.Get(reply.log);
  return in.finished();
}

HostDescription DescribeHost() {
#if defined(__x86_64__)
  constexpr char kArch[] = "x86_64";
#else
  constexpr char kArch[] = "aarch64";
#endif
  return {.arch = kArch, .isa = DetectIsa(), .page_bytes = sysconf(_SC_PAGESIZE)};
}

std::string Serialize(const HostDescription& description) {
  ByteWriter out;
  out.PutBytes(description.arch);
  out.Put(description.isa);
  out.Put(description.page_bytes);
  return out.Take();
}

bool Deserialize(std::string_view bytes, HostDescription& description) {
  CheckedReader in(bytes);
  in.Get(description.arch);
  in.Get(description.isa);
  in.Get(description.page_bytes);
  return in.finished();
}

}  // namespace kiln
