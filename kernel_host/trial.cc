#include "kernel_host/trial.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "base/digest.h"
#include "base/processor_time.h"
#include "kernel_host/sampler.h"

namespace kiln {
namespace {

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

// One trial under way: the judge of what the runner does.
class Trial {
 public:
  struct Data {
    const PreparedCase& timed;  // the first case
    const GuardedBuffer& y;
    const FreshInputs& fresh;
    const StepCosts& costs;  // of the timed case's steps
  };
  Trial(const HostRequest& request, RunnerProcess& runner, const Data& data, Rng& rng,
        HostReply& reply)
      : request_(request),
        runner_(runner),
        data_(data),
        y_(data.y),
        rng_(rng),
        reply_(reply),
        digests_(request.cases.size()) {
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

  // One call with inputs that nobody has seen before.
  std::optional<Failure> CheckFresh() {
    StepTime time;
    return IsChecked() ? CallFresh(1, time) : std::nullopt;
  }

  // Takes samples, and does not believe them: they are made by the process that the kernel could
  // have changed, in calls that all look alike. The same calls by the clock of this process, and
  // calls with new inputs, must not take much longer.
  std::optional<Failure> Time(const SampleRecord& record, Outcome& outcome) {
    constexpr int kTries = 3;
    for (int attempt = 1;; ++attempt) {
      if (auto failure = Sample(record, outcome)) return failure;
      StepTime time;
      if (std::holds_alternative<Censored>(outcome)) {  // never a result
        if (auto failure = CallAgain(1, time)) return failure;
        return CheckFresh();
      }
      Audit audit(std::get<Timings>(outcome).min_ns(), request_.workload,
                  data_.fresh.layout().calls, data_.costs);
      if (auto failure = Make(audit)) return failure;
      if (audit.repeated_holds() && !NeedsFresh(audit)) return std::nullopt;
      if (attempt == kTries) {
        return Failure{Stage::kVerify, FailureKind::kWrongResult, audit.Objection()};
      }
    }
  }

 private:
  // Asks for calls until the claim holds or has had chances enough.
  std::optional<Failure> Make(Audit& audit) {
    constexpr int kMaxRounds = 40;
    StepTime time;
    for (int round = 0; round < kMaxRounds; ++round) {
      if (!audit.repeated_holds()) {
        const std::uint32_t calls = audit.repeated_calls();
        if (auto failure = CallAgain(calls, time)) return failure;
        audit.AddRepeated(calls, time);
      }
      if (NeedsFresh(audit)) {
        const std::uint32_t calls = audit.fresh_calls();
        if (auto failure = CallFresh(calls, time)) return failure;
        audit.AddFresh(calls, time);
      }
      if (audit.repeated_holds() && !NeedsFresh(audit)) break;
    }
    return std::nullopt;
  }

  // New inputs say nothing where any output is right.
  bool NeedsFresh(const Audit& audit) const { return IsChecked() && !audit.fresh_holds(); }

  std::optional<Failure> Sample(const SampleRecord& record, Outcome& outcome) {
    const RunnerStep step{.kind = RunnerStep::Kind::kTime};
    if (auto failure = Do(step, "while timed")) return failure;
    outcome = OutcomeOf(record, request_.plan);
    if (auto* failure = std::get_if<Failure>(&outcome)) return *failure;
    calls_ = record.calls;
    return Compare(Placement::kLow, digests_[0], When());
  }

  // On a fresh y, so that a kernel that has stopped writing is found out.
  std::optional<Failure> CallAgain(std::uint32_t calls, StepTime& time) {
    y_.Fill(NewPattern());
    const RunnerStep step{.kind = RunnerStep::Kind::kCall, .calls = calls};
    if (auto failure = Do(step, "after the last sample", &time)) return failure;
    return Compare(Placement::kLow, digests_[0], When());
  }

  std::optional<Failure> CallFresh(std::uint32_t calls, StepTime& time) {
    data_.fresh.Draw(calls, rng_);
    const RunnerStep step{.kind = RunnerStep::Kind::kFresh, .calls = calls};
    if (auto failure = Do(step, "with new inputs", &time)) return failure;
    if (!IsChecked()) return std::nullopt;
    const auto objection =
        data_.fresh.Objection(calls, request_.workload, data_.timed.op(Placement::kLow), rng_);
    if (!objection) return std::nullopt;
    return Failure{Stage::kVerify, FailureKind::kWrongResult,
                   "wrong on inputs that it had not seen before: " + *objection};
  }

  // Otherwise what it computes is nobody's business: kernels that find a machine's peak compute no
  // operator.
  bool IsChecked() const { return request_.cases.front().check; }

  std::string When() const {
    return "right at first, wrong after " + std::to_string(calls_) + " calls";
  }

  // What y holds before a call: nothing that a kernel could know, and another thing each time, so
  // that a byte that is not written shows.
  std::uint8_t NewPattern() {
    std::uint8_t pattern;
    do {
      pattern = static_cast<std::uint8_t>(rng_.Next());
    } while (pattern == pattern_);
    return pattern_ = pattern;
  }

  std::optional<Failure> RunCase(std::size_t index, Placement placement) {
    const HostCase& host_case = request_.cases[index];
    const std::string where = "case " + std::to_string(index) + ", " + Name(placement);
    y_.Fill(NewPattern());
    const RunnerStep step{.kind = RunnerStep::Kind::kRunCase,
                          .placement = placement,
                          .case_index = static_cast<std::uint16_t>(index)};
    if (auto failure = Do(step, where)) return failure;
    if (host_case.return_output) {
      reply_.outputs[index].assign(reinterpret_cast<const char*>(y_.At(placement)), y_.size());
    }
    if (!y_.SlackHolds(placement, pattern_)) {
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

  std::optional<Failure> Do(const RunnerStep& step, const std::string& where,
                            StepTime* time = nullptr) {
    std::optional<Failure> failure = runner_.Do(step, time);
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
  const Data data_;
  const GuardedBuffer& y_;
  Rng& rng_;
  HostReply& reply_;
  std::vector<std::uint64_t> digests_;
  std::int64_t calls_ = 0;  // of the samples, warm-up included
  std::uint8_t pattern_ = 0;
};

RunnerReport* MapReport(const MemoryFile& file) {
  void* memory =
      mmap(nullptr, sizeof(RunnerReport), PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0);
  return memory == MAP_FAILED ? nullptr : static_cast<RunnerReport*>(memory);
}

std::int64_t SteadyNow() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::nanoseconds(now).count();
}

// A seed that no kernel can know. The clock where the system has no other.
std::uint64_t Unforeseeable() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) == sizeof seed) return seed;
  return static_cast<std::uint64_t>(SteadyNow());
}

}  // namespace

TrialSupervisor::TrialSupervisor(int server, Zygote& zygote)
    : server_(server),
      zygote_(zygote),
      report_file_(MemoryFile::Make("kiln-report", sizeof(RunnerReport))),
      report_(MapReport(report_file_)),
      rng_(Unforeseeable()) {
  zygote_.Prepare();
}

TrialSupervisor::~TrialSupervisor() {
  if (report_) munmap(report_, sizeof *report_);
}

HostReply TrialSupervisor::Run(const HostRequest& request) {
  HostReply reply;
  TakeDown();
  const std::int32_t core = request.cores.empty() ? 0 : request.cores.front();
  reply.before = sensors_.Read(core);
  reply.outcome = Measure(request, reply);
  if (runner_) runner_->Stop();
  reply.after = sensors_.Read(core);
  return reply;
}

void TrialSupervisor::TakeDown() { runner_.reset(); }

Outcome TrialSupervisor::Measure(const HostRequest& request, HostReply& reply) {
  // The making of data counts by what it computes: time in which the machine was suspended, or busy
  // with others, says nothing of a trial.
  const std::chrono::nanoseconds begin = ProcessorTime(getpid());
  reply.objection = Objection(request);
  if (!reply.objection.empty()) return {};
  cases_.clear();
  if (!report_ || !MapOutputs(request.workload)) {
    return Failure{Stage::kDevice, FailureKind::kDeviceLost, "no memory for the output"};
  }
  reply.objection = PrepareCases(request);
  if (!reply.objection.empty()) return {};
  const std::chrono::nanoseconds left =
      std::chrono::nanoseconds(request.plan.time_out_ns) - (ProcessorTime(getpid()) - begin);
  if (left.count() <= 0) {
    return Failure{Stage::kLoad, FailureKind::kTimeout, "making the data took all of the time"};
  }
  std::optional<Failure> failure = StartRunner(request, std::chrono::steady_clock::now() + left);
  if (!failure) reply.began_ns = SteadyNow();
  zygote_.Prepare();  // the next one's, beside what is not timed yet
  if (!failure && request.plan.time) failure = LearnStepCosts(request);
  Trial trial(request, *runner_, {*cases_.front(), y_, fresh_, costs_.of_step}, rng_, reply);
  Outcome outcome;
  if (!failure) failure = trial.Verify();
  if (!failure) {
    failure = request.plan.time ? trial.Time(report_->samples, outcome) : trial.CheckFresh();
  }
  if (failure) outcome = *std::move(failure);
  if (reply.began_ns != 0) reply.ended_ns = SteadyNow();
  reply.log.assign(report_->log.data(), strnlen(report_->log.data(), report_->log.size()));
  return outcome;
}

// The one that was forked ahead may have died since, of memory that others needed: one more is tried.
std::optional<Failure> TrialSupervisor::StartRunner(
    const HostRequest& request, std::chrono::steady_clock::time_point deadline) {
  constexpr int kTries = 2;
  for (int attempt = 1;; ++attempt) {
    new (report_) RunnerReport{};
    runner_.emplace(zygote_, TaskOf(request), *report_, server_, deadline);
    std::optional<Failure> failure = runner_->AwaitReady();
    if (!failure || failure->stage != Stage::kDevice || attempt == kTries) return failure;
    runner_.reset();
  }
}

// Once for all trials on the same cores: steps cost the same in each, and what they cost under load is
// no reason to believe more.
std::optional<Failure> TrialSupervisor::LearnStepCosts(const HostRequest& request) {
  constexpr int kTries = 8;
  constexpr double kEnoughBytes = 1 << 16;  // to say something of the rate
  // Caches that are filled faster than this in a quiet moment are not on a busy machine.
  constexpr double kMinBytesPerNs = 1, kMaxBytesPerNs = 8;
  const std::uint32_t calls = fresh_.layout().calls;
  const auto bytes =
      static_cast<double>(calls * (fresh_.layout().x_stride() + fresh_.layout().y_stride()));
  const bool same_cores = costs_.threads == request.plan.threads && costs_.cores == request.cores;
  if (same_cores && (costs_.rate_is_known || bytes < kEnoughBytes)) return std::nullopt;
  costs_ = {};
  StepTime least{HUGE_VAL, HUGE_VAL}, time;
  double fetch_ns = HUGE_VAL;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    if (auto failure = runner_->Do({.kind = RunnerStep::Kind::kNothing}, &time)) return failure;
    least = {std::min(least.wall_ns, time.wall_ns),
             std::min(least.processor_ns, time.processor_ns)};
    fresh_.Draw(calls, rng_);
    const RunnerStep step{.kind = RunnerStep::Kind::kFetch, .calls = calls};
    if (auto failure = runner_->Do(step, &time)) return failure;
    fetch_ns = std::min(fetch_ns, time.wall_ns);
  }
  costs_ = {request.plan.threads, request.cores, bytes >= kEnoughBytes, {.empty = least}};
  if (costs_.rate_is_known) {
    const double rate = bytes / std::max(fetch_ns - least.wall_ns, 1.0);
    costs_.of_step.bytes_per_ns = std::clamp(rate, kMinBytesPerNs, kMaxBytesPerNs);
  }
  return std::nullopt;
}

RunnerTask TrialSupervisor::TaskOf(const HostRequest& request) const {
  RunnerTask task;
  task.request.object = request.object;
  task.request.symbol = request.symbol;
  task.request.workload = request.workload;
  task.request.plan = request.plan;
  task.request.cores = request.cores;
  for (const auto& prepared : cases_) {
    task.cases.push_back(prepared->layout());
    task.files.cases.push_back(prepared->fd());
  }
  task.fresh = fresh_.layout();
  task.y_bytes = y_.size();
  task.files.report = report_file_.fd();
  task.files.y = y_file_.fd();
  task.files.fresh = fresh_.fd();
  return task;
}

// What is wrong with the request's cases; empty: cases_ are they.
std::string TrialSupervisor::PrepareCases(const HostRequest& request) {
  for (const HostCase& host_case : request.cases) {
    std::string error;
    cases_.push_back(cache_.Get(request.workload, host_case, error));
    if (!cases_.back()) return error;
  }
  return {};
}

bool TrialSupervisor::MapOutputs(const Workload& workload) {
  const auto y_bytes = static_cast<std::size_t>(workload.y_bytes());
  const FreshLayout layout = FreshLayout::For(workload);
  cache_.LeaveRoom(y_bytes + layout.file_bytes());
  if (!y_.mapped() || y_.size() != y_bytes) {
    y_ = GuardedBuffer();
    y_file_ = MemoryFile::Make("kiln-y", GuardedBuffer::FileBytes(y_bytes));
    y_ = GuardedBuffer::MapFile(y_file_.fd(), 0, y_bytes, GuardedBuffer::Access::kReadWrite,
                                GuardedBuffer::Pages::kWhenTouched);
  }
  if (!fresh_.mapped() || fresh_.layout() != layout) {
    fresh_ = FreshInputs();
    fresh_ = FreshInputs::Make(layout);
  }
  return y_.mapped() && fresh_.mapped();
}

}  // namespace kiln
