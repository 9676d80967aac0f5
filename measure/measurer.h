#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/status.h"
#include "kernels_templates/task.h"
#include "measure/measurement.h"
#include "measure/uuid.h"
#include "ops/op_data.h"

namespace kiln {

// A compiled kernel, named by its content.
struct Artifact {
  std::shared_ptr<const std::string> object;  // the ELF shared object
  std::string symbol;                         // P of the kernel ABI
  std::uint64_t code_digest = 0;
  std::uint64_t object_digest = 0;  // XXH64 of the object's bytes
};

// A build that went wrong because of the kernel; other errors are the tool's.
struct BuildFailure {
  Failure failure;
  std::uint64_t code_digest = 0;
};

// Turns a config into code. Thread-safe; blocks the calling thread.
class Builder {
 public:
  virtual ~Builder() = default;
  virtual StatusOr<std::variant<Artifact, BuildFailure>> Build(const Task& task,
                                                               const Config& config) = 0;
};

// What a kernel is run on, and what must come out: made once per task by the client.
struct RunCase {
  DataSet set = DataSet::kUniform;
  std::uint64_t seed = 0;
  std::shared_ptr<const OpCase>
      explicit_case;  // instead of the recipe: a model's real weights and input
  std::uint64_t expected_digest = 0;
  bool check = true;
  bool return_output = false;
};

struct RunRequest {
  const Artifact* artifact = nullptr;
  Workload workload;
  std::vector<RunCase> cases;  // each is verified; the first is timed
  MeasurePlan plan;
};

struct RunResult {
  Outcome outcome;
  std::vector<std::uint64_t> digests;
  std::vector<std::string> outputs;
  DeviceState before = {}, after = {};  // around the run
  std::string log = {};                 // what the runner could not do as it should; bounded
};

// This is the sole use of one device; the destructor gives it back.
class Lease {
 public:
  virtual ~Lease() = default;
  virtual std::string_view device() const = 0;
  virtual TimeKind kind() const = 0;  // of the times that it gives
  // Runs a kernel on the device. An error (kUnavailable, kFailedPrecondition: the lease is stale)
  // means that the device is lost and says nothing of the kernel, unless IsLostWhileRunning();
  // whatever the kernel did is in the result. kInvalidArgument is the device's refusal of the request
  // itself.
  virtual StatusOr<RunResult> Run(const RunRequest& request) = 0;
  // Somebody waits for a device whose turn it is, and this is the one to go: give it back between
  // two runs and acquire again, to stand in the queue like the others. It may change at any time,
  // also back; false once the pool's waits are stopped, since no device can be had again then.
  // Thread-safe, and does not block.
  virtual bool is_wanted_back() const { return false; }
  // Something is wrong with the device that its answers alone do not show. What fails in a run is
  // blamed on it by the lease itself. The last reason counts; it is passed on when the lease ends.
  virtual void Blame(std::string_view reason) { static_cast<void>(reason); }
};

// The error of Lease::Run for a device that was lost while it had the kernel, not before and not
// because the lease was over: the kernel may have done it. Code and message stay as they are.
Status LostWhileRunning(Status lost);
bool IsLostWhileRunning(const Status& status);

// These are the devices that can be had, here or on a farm. Thread-safe.
class DevicePool {
 public:
  virtual ~DevicePool() = default;
  // Waits for a device that serves `target` and whose times are of this kind, for ever if the
  // timeout is nanoseconds::max(); kDeadlineExceeded says what there is. The lease must not outlive
  // the pool.
  virtual StatusOr<std::unique_ptr<Lease>> Acquire(const Target& target, TimeKind kind,
                                                   std::chrono::nanoseconds timeout) = 0;
  // Ends all waits, those to come too, with kCancelled. Nothing to do where nobody waits.
  virtual void StopWaiting() {}
};

// One trial to make.
struct MeasureRequest {
  Task task;
  Config config;
  std::vector<RunCase> cases;
  MeasurePlan plan;
  std::optional<double> predicted;
  std::int64_t batch = 0;
  TimeKind kind = TimeKind::kMeasured;  // only devices whose times are of this kind
  // Whether the kernel is right is what is asked: no device is asked twice if it is not.
  bool is_verification = false;
};

// Called once, on a thread of the measurer or on the one that withdraws. An error means that nothing
// could be measured (no device, or none that works; kCancelled: it was withdrawn), not that a config
// failed.
using Completion = std::function<void(StatusOr<Trial>)>;

// This makes trials: lower, compile, run, verify, time. Builds overlap runs; several devices work
// at once. Completions come in any order. A trial is of the kind of the device that ran it, which
// is the kind that was asked for; emulated devices are given more time.
// A lease that is wanted back is given back between two trials, at the latest after its first one.
// A lost device costs its trial another one, for as long as some device answers. A wrong result
// counts if another device says so too, or the same one again where there is no other; a device
// that is alone with it is blamed. A kernel that took down two devices or hosts which are well
// otherwise ends as kHostKilled. docs/farm.md has the rules, measure/device_judge.h decides.
// Thread-safe.
class Measurer {
 public:
  virtual ~Measurer() = default;
  virtual void Submit(MeasureRequest request, Completion done) = 0;
  // Ends what was submitted before and has not begun to run on a device, whether it waits, is being
  // built or is built: it completes with kCancelled, mostly before this returns, so the caller must
  // not hold a lock that a completion takes. What runs on a device ends as usual and completes with
  // its trial. If that would not be its trial's result, since a second opinion or another device is
  // needed, nobody is asked any more: kCancelled as well. What is submitted afterwards is not
  // affected.
  virtual void Withdraw() = 0;
};

struct PipelineOptions {
  std::int32_t build_threads = 2;  // as many as the builder has workers
  std::int32_t devices = 1;        // how many leases to hold at most
  // For a device; one that was given back because it was wanted is waited for as long as it takes.
  std::chrono::nanoseconds acquire_timeout = std::chrono::seconds(30);
  std::chrono::nanoseconds idle_release = std::chrono::seconds(5);  // a lease without work
  // So often a trial whose device is lost goes to another one while no device answers any trial.
  std::int32_t device_retries = 6;
  // Before the third attempt; doubled each time, and of random length down to half of it.
  std::chrono::nanoseconds first_pause = std::chrono::milliseconds(250);
  std::chrono::nanoseconds longest_pause = std::chrono::seconds(10);
  std::uint64_t jitter_seed = 0;  // of the random lengths: another one for each client
  // How long another device is waited for to repeat a wrong result.
  std::chrono::nanoseconds second_opinion_wait = std::chrono::seconds(1);
  std::function<std::string()> make_uuid = RandomUuid;  // called on several threads
};

// Borrows its collaborators, which must outlive it; its destructor waits for what is under way,
// drops what is not (kCancelled), and stops the waiting for devices.
std::unique_ptr<Measurer> NewPipelineMeasurer(Builder& builder, DevicePool& devices,
                                              const Clock& clock, const PipelineOptions& options);

// The cases of a task from its recipe: uniform (timed) and edges, with digests from the reference
// kernel. Some seconds for large layers, so made once per workload and remembered. Thread-safe.
class ExpectedOutputs {
 public:
  virtual ~ExpectedOutputs() = default;
  virtual std::vector<RunCase> CasesFor(const Workload& workload) = 0;
};
std::unique_ptr<ExpectedOutputs> NewExpectedOutputs();

}  // namespace kiln
