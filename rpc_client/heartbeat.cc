#include "rpc_client/heartbeat.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace kiln {
namespace {

constexpr std::chrono::milliseconds kRetry{500};

class Beating final : public std::enable_shared_from_this<Beating> {
 public:
  Beating(Reactor& reactor, TrackerClient& tracker, GrantedLease lease)
      : reactor_(reactor), tracker_(tracker), lease_(std::move(lease)) {}

  void Schedule(std::chrono::milliseconds delay) {
    reactor_.After(delay, [weak = weak_from_this()] {
      if (const auto beating = weak.lock()) beating->Beat();
    });
  }

  // Returns when nothing touches the reactor or the tracker any more.
  void Stop() {
    std::unique_ptr<PendingCall> call;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      call = std::move(call_);
    }
    if (call) call->Cancel();  // and its destructor waits
  }

  Status status() const {
    std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  // On the reactor's thread. The former call has been answered, or there would be no next beat.
  void Beat() {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    call_.reset();
    call_ = tracker_.Renew(lease_, [this](const Status& status) { Answered(status); });
  }

  void Answered(const Status& status) {
    std::lock_guard lock(mutex_);
    if (status.code() == StatusCode::kFailedPrecondition) {
      status_ = status;
    } else if (!stopping_) {
      Schedule(status.ok() ? lease_.ttl / 3 : std::min(lease_.ttl / 3, kRetry));
    }
  }

  Reactor& reactor_;
  TrackerClient& tracker_;
  const GrantedLease lease_;
  mutable std::mutex mutex_;           // guards what follows
  std::unique_ptr<PendingCall> call_;  // the latest
  bool stopping_ = false;
  Status status_;
};

class RunningHeartbeat final : public Heartbeat {
 public:
  explicit RunningHeartbeat(std::shared_ptr<Beating> beating) : beating_(std::move(beating)) {}
  ~RunningHeartbeat() override { beating_->Stop(); }
  Status status() const override { return beating_->status(); }

 private:
  const std::shared_ptr<Beating> beating_;
};

}  // namespace

std::unique_ptr<Heartbeat> StartHeartbeat(Reactor& reactor, TrackerClient& tracker,
                                          const GrantedLease& lease) {
  auto beating = std::make_shared<Beating>(reactor, tracker, lease);
  beating->Schedule(lease.ttl / 3);
  return std::make_unique<RunningHeartbeat>(std::move(beating));
}

}  // namespace kiln
