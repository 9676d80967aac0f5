#include "kernel_host/trial.h"

#include <sys/mman.h>

#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/digest.h"
#include "kernel_host/sampler.h"
#include "ops/canonical_workload.h"

namespace kiln {
namespace {

// What y holds before a call: not the same in both runs, so that a byte that is not written shows.
constexpr std::uint8_t PatternFor(Placement placement) {
  return placement == Placement::kLow ? 0x5A : 0xA5;
}

// What is wrong with a request; empty if nothing.
std::string Objection(const HostRequest& request) {
  Workload canonical = request.workload;
  if (const auto fault = Canonicalize(canonical)) return "no such workload: " + fault->message;
  if (canonical != request.workload) return "the workload is not in canonical form";
  if (request.cases.empty()) return "no case to run the kernel on";
  return Objection(request.plan);
}

// One trial under way: the judge of what the runner does.
class Trial {
 public:
  Trial(const HostRequest& request, RunnerProcess& runner, const GuardedBuffer& y, HostReply& reply)
      : request_(request), runner_(runner), y_(y), reply_(reply), digests_(request.cases.size()) {
    reply_.outputs.resize(request.cases.size());
  }

  // The timed case comes last, low-aligned: its data are in place for the samples.
  std::optional<Failure> Verify() {
    for (std::size_t i = 1; i <= request_.cases.size(); ++i) {
      const std::size_t index = i % request_.cases.size();
      if (auto failure = RunCase(index, Placement::kHigh)) return failure;
      if (auto failure = RunCase(index, Placement::kLow)) return failure;
    }
    reply_.digests = digests_;
    return std::nullopt;
  }

  // Right after the last sample, and once more on a fresh y, so that a kernel that has stopped
  // writing is found out.
  std::optional<Failure> Time(const SampleRecord& samples) {
    if (auto failure = Do({RunnerStep::Kind::kTime}, "while timed")) return failure;
    const std::string when =
        "right at first, wrong after " + std::to_string(samples.calls) + " calls";
    if (auto failure = Compare(Placement::kLow, digests_[0], when)) return failure;
    y_.Fill(PatternFor(Placement::kLow));
    if (auto failure = Do({RunnerStep::Kind::kCallAgain}, "after the last sample")) return failure;
    return Compare(Placement::kLow, digests_[0], when);
  }

 private:
  std::optional<Failure> RunCase(std::size_t index, Placement placement) {
    const HostCase& host_case = request_.cases[index];
    const std::string where = "case " + std::to_string(index) + ", " + Name(placement);
    y_.Fill(PatternFor(placement));
    const RunnerStep step = {RunnerStep::Kind::kRunCase, placement,
                             static_cast<std::uint16_t>(index)};
    if (auto failure = Do(step, where)) return failure;
    if (host_case.return_output) {
      reply_.outputs[index].assign(reinterpret_cast<const char*>(y_.At(placement)), y_.size());
    }
    if (!y_.SlackHolds(placement, PatternFor(placement))) {
      return Failure{Stage::kVerify, FailureKind::kRuntimeError,
                     "wrote outside of y (" + where + ")"};
    }
    // Without a digest to compare with, the two runs must at least agree.
    if (host_case.check)
      return Compare(placement, host_case.expected_digest, where, &digests_[index]);
    if (placement == Placement::kLow) {
      return Compare(placement, digests_[index], where + " differs from high-aligned");
    }
    digests_[index] = Digest(y_.At(placement), y_.size());
    return std::nullopt;
  }

  std::optional<Failure> Do(const RunnerStep& step, const std::string& where) {
    std::optional<Failure> failure = runner_.Do(step);
    if (failure && failure->stage >= Stage::kPack) failure->message += " (" + where + ")";
    return failure;
  }

  std::optional<Failure> Compare(Placement placement, std::uint64_t expected,
                                 const std::string& where, std::uint64_t* digest = nullptr) const {
    const std::uint64_t actual = Digest(y_.At(placement), y_.size());
    if (digest) *digest = actual;
    if (actual == expected) return std::nullopt;
    return Failure{Stage::kVerify, FailureKind::kWrongResult,
                   where + ": digest " + Hex(actual) + " instead of " + Hex(expected)};
  }

  const HostRequest& request_;
  RunnerProcess& runner_;
  const GuardedBuffer& y_;
  HostReply& reply_;
  std::vector<std::uint64_t> digests_;
};

// Believes nothing of the record that the kernel could have spoiled.
Outcome OutcomeOf(const SampleRecord& record, const MeasurePlan& plan) {
  const Failure spoiled = {Stage::kRun, FailureKind::kRuntimeError,
                           "the kernel wrote over the runner's memory"};
  const std::int32_t count = record.samples;
  if (count < 1 || count > plan.samples || record.calls_per_sample < 1) return spoiled;
  if (!record.censored && count != plan.samples) return spoiled;
  Timings timings;
  timings.samples_ns.assign(record.samples_ns.begin(), record.samples_ns.begin() + count);
  timings.calls_per_sample = record.calls_per_sample;
  for (const double sample : timings.samples_ns) {
    if (!std::isfinite(sample) || sample < 0) return spoiled;
  }
  if (!record.censored) return timings;
  const double bound = timings.min_ns();
  return Censored{std::move(timings), bound};
}

}  // namespace

TrialSupervisor::TrialSupervisor(int server) : server_(server), machine_(DetectIsa()) {
  void* shared = mmap(nullptr, sizeof(RunnerReport), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  report_ = shared == MAP_FAILED ? nullptr : static_cast<RunnerReport*>(shared);
}

TrialSupervisor::~TrialSupervisor() {
  if (report_) munmap(report_, sizeof *report_);
}

HostReply TrialSupervisor::Run(const HostRequest& request) {
  HostReply reply;
  const std::int32_t core = request.cores.empty() ? 0 : request.cores.front();
  TakeDown();
  reply.before = sensors_.Read(core);
  reply.outcome = Measure(request, reply);
  if (runner_) runner_->Stop();
  reply.after = sensors_.Read(core);
  return reply;
}

Outcome TrialSupervisor::Measure(const HostRequest& request, HostReply& reply) {
  if (auto failure = PrepareData(request)) return *std::move(failure);
  new (report_) RunnerReport{};
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::nanoseconds(request.plan.time_out_ns);
  runner_.emplace(
      RunnerTask{
          .request = request, .cases = cases_, .y = y_, .machine = machine_, .report = *report_},
      server_, deadline);
  Trial trial(request, *runner_, y_, reply);
  std::optional<Failure> failure = trial.Verify();
  if (!failure && request.plan.time) failure = trial.Time(report_->samples);
  Outcome outcome;
  if (failure) {
    outcome = *std::move(failure);
  } else if (request.plan.time) {
    outcome = OutcomeOf(report_->samples, request.plan);
  }
  reply.log.assign(report_->log.data(), strnlen(report_->log.data(), report_->log.size()));
  return outcome;
}

std::optional<Failure> TrialSupervisor::PrepareData(const HostRequest& request) {
  const auto bad = [](const std::string& message) {
    return Failure{Stage::kLoad, FailureKind::kBadObject, message};
  };
  if (std::string objection = Objection(request); !objection.empty()) return bad(objection);
  cases_.clear();
  for (const HostCase& host_case : request.cases) {
    std::string error;
    cases_.push_back(cache_.Get(request.workload, host_case, error));
    if (!cases_.back()) return bad(error);
  }
  const auto y_bytes = static_cast<std::size_t>(request.workload.y_bytes());
  if (!y_.mapped() || y_.size() != y_bytes) {
    y_ = GuardedBuffer::Map(y_bytes, 1, GuardedBuffer::Sharing::kShared);
  }
  if (!y_.mapped() || !report_) {
    return Failure{Stage::kDevice, FailureKind::kDeviceLost, "no memory for the output"};
  }
  return std::nullopt;
}

}  // namespace kiln
