#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "measure/measurer.h"

namespace kiln::testing {

// Builds at once; the artifact's symbol is the config's id.
class InstantBuilder final : public Builder {
 public:
  StatusOr<std::variant<Artifact, BuildFailure>> Build(const Task& task,
                                                       const Config& config) override {
    if (gate != nullptr) gate->wait();
    return std::variant<Artifact, BuildFailure>(Artifact{nullptr, task.space().Id(config), 7, 8});
  }
  std::latch* gate = nullptr;  // nothing is built before
};

inline StatusOr<RunResult> RightResult() { return RunResult{Timings{{100}, 1}, {}, {}}; }
inline StatusOr<RunResult> FailedResult(FailureKind kind, const std::string& message) {
  return RunResult{Failure{Stage::kRun, kind, message}, {}, {}};
}

// A pool of devices that have names and come back under them. A device that was blamed is given
// only where there is no other, as a tracker would. Where all are leased, Acquire is refused.
class FakeFarm final : public DevicePool {
 public:
  using Run = std::function<StatusOr<RunResult>(const std::string& device, const RunRequest&)>;

  // Leases are given in the order of `devices`, or in a random one of this seed.
  FakeFarm(std::vector<std::string> devices, Run run, std::uint64_t seed = 0)
      : run_(std::move(run)), rng_(seed), is_random_(seed != 0) {
    for (std::string& name : devices) devices_.push_back({std::move(name)});
  }

  StatusOr<std::unique_ptr<Lease>> Acquire(const Target&, TimeKind kind,
                                           std::chrono::nanoseconds) override {
    std::unique_lock lock(mutex_);
    // Not at once: whoever is refused asks again.
    changed_.wait_for(lock, std::chrono::milliseconds(1),
                      [this] { return stopped_ || FindFree() != nullptr; });
    if (stopped_) return Error(StatusCode::kCancelled, "stopped waiting");
    Device* device = FindFree();
    if (device == nullptr) return Error(StatusCode::kDeadlineExceeded, "every device is leased");
    device->is_leased = true;
    return std::make_unique<FarmLease>(*this, *device, kind);
  }
  void StopWaiting() override {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }

  // "pi4: gives wrong results", in order.
  std::vector<std::string> blames() const {
    const std::lock_guard lock(mutex_);
    return blames_;
  }

 private:
  struct Device {
    std::string name;
    bool is_leased = false, is_blamed = false;
  };

  class FarmLease final : public Lease {
   public:
    FarmLease(FakeFarm& farm, Device& device, TimeKind kind)
        : farm_(farm), device_(device), kind_(kind) {}
    ~FarmLease() override {
      const std::lock_guard lock(farm_.mutex_);
      device_.is_leased = false;
      if (!blame_.empty()) {
        device_.is_blamed = true;
        farm_.blames_.push_back(device_.name + ": " + blame_);
      }
      farm_.changed_.notify_all();
    }
    std::string_view device() const override { return device_.name; }
    TimeKind kind() const override { return kind_; }
    StatusOr<RunResult> Run(const RunRequest& request) override {
      return farm_.run_(device_.name, request);
    }
    void Blame(std::string_view reason) override { blame_ = reason; }

   private:
    FakeFarm& farm_;
    Device& device_;
    const TimeKind kind_;
    std::string blame_;
  };

  Device* FindFree() {
    std::vector<Device*> free;
    for (const bool blamed : {false, true}) {
      for (Device& device : devices_) {
        if (!device.is_leased && device.is_blamed == blamed) free.push_back(&device);
      }
      if (!free.empty()) return free[is_random_ ? rng_.Below(free.size()) : 0];
      // Somebody has a better one, and a tracker would rather wait.
      const bool others_are_well = std::ranges::any_of(
          devices_, [](const Device& device) { return device.is_leased && !device.is_blamed; });
      if (others_are_well) return nullptr;
    }
    return nullptr;
  }

  const Run run_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<Device> devices_;
  std::vector<std::string> blames_;
  Rng rng_;
  const bool is_random_;
  bool stopped_ = false;
};

}  // namespace kiln::testing
