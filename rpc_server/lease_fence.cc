#include "rpc_server/lease_fence.h"

#include <utility>

namespace kiln {

bool LeaseFence::Grant(const FencedLease& lease) {
  bool ends = false;
  {
    std::lock_guard lock(mutex_);
    if (lease.epoch <= highest_) return false;
    highest_ = lease.epoch;
    ends = held_.has_value();
    held_ = lease;
  }
  if (ends && ended_) ended_();
  return true;
}

void LeaseFence::Revoke(std::uint64_t epoch) {
  {
    std::lock_guard lock(mutex_);
    if (!held_ || held_->epoch != epoch) return;
    held_.reset();
  }
  if (ended_) ended_();
}

void LeaseFence::OnEnd(std::function<void()> ended) { ended_ = std::move(ended); }

Status LeaseFence::Check(std::string_view id, std::uint64_t epoch) const {
  std::lock_guard lock(mutex_);
  if (epoch > highest_) {
    return Error(StatusCode::kUnavailable, "the device has not heard of epoch ", epoch,
                 " yet (it is at ", highest_, "): try again");
  }
  if (held_ && held_->epoch == epoch && held_->id == id) return absl::OkStatus();
  return Error(StatusCode::kFailedPrecondition, "the lease with epoch ", epoch,
               " is over (the device is at ", highest_, "): take another");
}

std::uint64_t LeaseFence::highest_epoch() const {
  std::lock_guard lock(mutex_);
  return highest_;
}

std::optional<FencedLease> LeaseFence::held() const {
  std::lock_guard lock(mutex_);
  return held_;
}

}  // namespace kiln
