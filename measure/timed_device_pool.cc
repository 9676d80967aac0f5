#include "measure/timed_device_pool.h"

#include <utility>

namespace kiln {
namespace {

class TimedLease final : public Lease {
 public:
  TimedLease(std::unique_ptr<Lease> inner, const Clock& clock, std::function<void(Nanoseconds)> ran)
      : inner_(std::move(inner)), clock_(clock), ran_(std::move(ran)) {}

  std::string_view device() const override { return inner_->device(); }
  TimeKind kind() const override { return inner_->kind(); }
  StatusOr<RunResult> Run(const RunRequest& request) override {
    const SteadyTime begun = clock_.Now();
    StatusOr<RunResult> result = inner_->Run(request);
    ran_(clock_.Now() - begun);
    return result;
  }
  bool is_wanted_back() const override { return inner_->is_wanted_back(); }
  void Blame(std::string_view reason) override { inner_->Blame(reason); }

 private:
  const std::unique_ptr<Lease> inner_;
  const Clock& clock_;
  const std::function<void(Nanoseconds)> ran_;
};

class TimedDevicePool final : public DevicePool {
 public:
  TimedDevicePool(std::unique_ptr<DevicePool> inner, const Clock& clock, DeviceObserver observer)
      : inner_(std::move(inner)), clock_(clock), observer_(std::move(observer)) {}

  StatusOr<std::unique_ptr<Lease>> Acquire(const Target& target, TimeKind kind,
                                           std::chrono::nanoseconds timeout) override {
    const SteadyTime begun = clock_.Now();
    ASSIGN_OR_RETURN(std::unique_ptr<Lease> lease, inner_->Acquire(target, kind, timeout));
    observer_.leased(clock_.Now() - begun);
    return std::make_unique<TimedLease>(std::move(lease), clock_, observer_.ran);
  }
  void StopWaiting() override { inner_->StopWaiting(); }

 private:
  const std::unique_ptr<DevicePool> inner_;
  const Clock& clock_;
  const DeviceObserver observer_;
};

}  // namespace

std::unique_ptr<DevicePool> NewTimedDevicePool(std::unique_ptr<DevicePool> inner,
                                               const Clock& clock, DeviceObserver observer) {
  return std::make_unique<TimedDevicePool>(std::move(inner), clock, std::move(observer));
}

}  // namespace kiln
