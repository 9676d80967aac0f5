#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/kiln/command.h"
#include "apps/kiln/interrupt.h"
#include "base/reactor.h"
#include "kernels_templates/achievable_bound.h"
#include "measure/measurer.h"
#include "rpc_client/rpc_client.h"
#include "toolchain/toolchain.h"

namespace kiln {

// Who measures, and what is told of it. The observers are called on threads of the rig.
struct RigOptions {
  ClientIdentity client{DefaultClientName(), 0};
  WaitObserver on_wait = nullptr;                        // null: it is said on standard error
  std::function<void(CacheLookup)> on_lookup = nullptr;  // in the object cache
  std::function<void(std::chrono::nanoseconds)> on_queued = nullptr;  // for a compile worker
  // What is put around builder and devices: NewTimedBuilder(), ...; null: nothing.
  std::function<std::unique_ptr<Builder>(std::unique_ptr<Builder>)> around_builder = nullptr;
  std::function<std::unique_ptr<DevicePool>(std::unique_ptr<DevicePool>)> around_devices = nullptr;
};

// This is all that a trial needs, put together: compiler and cache, a device server of our own (or
// a tracker's devices), the pipeline over both. Members go in the reverse order of their making.
class Rig {
 public:
  // `threads` of the kernels decides which cores are measured on and which compile: the last ones
  // measure, the others compile; with no others, all do both. With a tracker all compile.
  static StatusOr<std::unique_ptr<Rig>> Create(const Environment& env, const std::string& target,
                                               std::int32_t threads,
                                               const RigOptions& options = {});

  // The same for a device that is not there: kernels are estimated (estimate/estimator.h) for one
  // thread with hot caches.
  static StatusOr<std::unique_ptr<Rig>> CreateEstimating(const Target& target);

  ~Rig();

  Reactor& reactor() { return *reactor_; }
  const Interrupt& interrupt() const { return *interrupt_; }
  Measurer& measurer() { return *measurer_; }
  ExpectedOutputs& expected() { return *expected_; }
  // Of all times that it gives. Emulated ones are announced, once, on standard error.
  TimeKind kind() const { return kind_; }

  // Ends all waits for devices, those to come too, with kCancelled. Thread-safe.
  void StopWaiting() { devices_->StopWaiting(); }

  // Makes one trial and waits for it.
  StatusOr<Trial> Measure(MeasureRequest request);
  // Makes all of them; results in their order.
  std::vector<StatusOr<Trial>> MeasureAll(std::vector<MeasureRequest> requests);

 private:
  Rig();
  // Whoever waits for a device is told so, and an interrupt ends the wait.
  Status UseDevices(StatusOr<std::unique_ptr<DevicePool>> devices, const RigOptions& options);
  Status UseToolchain(const std::vector<std::int32_t>& cores, const RigOptions& options);
  Status UseLocalDevice(const Target& target, const std::string& name,
                        const std::vector<std::int32_t>& cores, const RigOptions& options);
  Status UseTracker(const Environment& env, const Target& target, const RigOptions& options);
  void UseMeasurer(std::int32_t devices);

  std::int32_t workers_ = 1;                                         // that compile
  std::chrono::nanoseconds wait_ = std::chrono::nanoseconds::max();  // for a device
  TimeKind kind_ = TimeKind::kMeasured;
  std::unique_ptr<Reactor> reactor_;
  std::unique_ptr<Interrupt> interrupt_;
  std::unique_ptr<Builder> builder_;
  std::unique_ptr<DevicePool> devices_;
  std::unique_ptr<ExpectedOutputs> expected_;
  std::unique_ptr<Measurer> measurer_;
};

// The highest rate of multiply-accumulates that the target's devices reach with so many threads, in
// GOP/s, and how many dots by each method of its instruction set.
struct MeasuredDots {
  Peak peak;
  std::string_view instruction;  // that the peak is reached with; empty: plain C
  std::vector<double> dots_per_ns;
};
StatusOr<MeasuredDots> MeasureDots(Rig& rig, const Target& target, std::int32_t threads);

// All that bounds kernels there: these dots, how many vector instructions and how much memory they
// reach. Some seconds.
StatusOr<MachineLimits> MeasureLimits(Rig& rig, const Target& target, const MeasuredDots& dots);

}  // namespace kiln
