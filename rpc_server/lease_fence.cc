#include "rpc_server/lease_fence.h"

namespace kiln {

bool LeaseFence::Grant(const FencedLease& lease) {
  std::lock_guard lock(mutex_);
  if (lease.epoch <= highest_) return false;
  highest_ = lease.epoch;
  held_ = lease;
  return true;
}

void LeaseFence::Revoke(std::uint64_t epoch) {
  std::lock_guard lock(mutex_);
  if (held_ && held_->epoch == epoch) held_.reset();
}

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
