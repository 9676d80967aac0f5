#include "tests/integration/farm_client.h"

#include <gtest/gtest.h>

#include <future>
#include <utility>

#include "ops/target.h"
#include "rpc_client/random_id.h"
#include "rpc_client/rpc_client.h"
#include "rpc_client/tracker_client.h"
#include "tests/integration/kernel_run.h"

namespace kiln {
namespace {

class LibraryClient final : public FarmClient {
 public:
  LibraryClient(const std::string& tracker, const std::string& name) {
    auto pool = ConnectTracker(*reactor_, tracker, {name});
    EXPECT_TRUE(pool.ok()) << pool.status();
    if (pool.ok()) pool_ = *std::move(pool);
  }

  Status Acquire(std::chrono::milliseconds wait) override {
    if (!pool_) return Error(StatusCode::kUnavailable, "no tracker");
    ASSIGN_OR_RETURN(const Target target, DetectNative());
    ASSIGN_OR_RETURN(lease_, pool_->Acquire(target, TimeKind::kMeasured, wait));
    return absl::OkStatus();
  }
  void GiveBack() override { lease_.reset(); }
  std::string Run(const std::string& kernel, std::chrono::milliseconds time_out) override {
    return lease_ ? Summary(RunKernel(*lease_, kernel, time_out)) : "no device";
  }

 private:
  const std::unique_ptr<Reactor> reactor_ = NewReactor();
  std::unique_ptr<DevicePool> pool_;
  std::unique_ptr<Lease> lease_;
};

// What `call` answers to the callback that it is given.
template <typename Answer, typename Call>
Answer AnswerTo(const Call& call) {
  std::promise<Answer> promise;
  const auto pending = call([&](Answer answer) { promise.set_value(std::move(answer)); });
  return promise.get_future().get();
}

class ForgottenLease final : public UnusedLease {
 public:
  ForgottenLease(std::unique_ptr<TrackerClient> tracker, GrantedLease lease)
      : tracker_(std::move(tracker)), lease_(std::move(lease)) {}
  Status Renew() override {
    return AnswerTo<StatusOr<RenewedLease>>(
               [&](auto done) { return tracker_->Renew(lease_, done); })
        .status();
  }

 private:
  const std::unique_ptr<TrackerClient> tracker_;
  const GrantedLease lease_;
};

}  // namespace

std::unique_ptr<FarmClient> NewFarmClient(const std::string& tracker, const std::string& name) {
  return std::make_unique<LibraryClient>(tracker, name);
}

std::unique_ptr<UnusedLease> TakeUnusedLease(const std::string& address) {
  auto tracker = NewTrackerClient(address);
  const auto target = DetectNative();
  const AcquireRequest request{RandomId(), target.ok() ? target->name : "", {"silent"}};
  auto lease = AnswerTo<StatusOr<GrantedLease>>(
      [&](auto done) { return tracker->Acquire(request, std::chrono::minutes(2), done); });
  EXPECT_TRUE(lease.ok()) << lease.status();
  if (!lease.ok()) return nullptr;
  return std::make_unique<ForgottenLease>(std::move(tracker), *std::move(lease));
}

SeenDevice LookAt(const std::string& tracker, const std::string& device) {
  const auto farm = ListDevices(tracker);
  if (!farm.ok()) return {};
  for (const DeviceInfo& info : farm->devices) {
    if (info.name == device) return {info.state, info.epoch};
  }
  return {};
}

}  // namespace kiln
