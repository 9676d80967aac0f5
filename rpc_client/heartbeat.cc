#include "rpc_client/heartbeat.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

namespace kiln {
namespace {

constexpr std::chrono::milliseconds kRetry{500};
// As long as a turn (a tracker asks nobody back before): counted from when the grant has arrived,
// the first beat comes just after the end of one. Small messages; a tracker takes thousands a second.
constexpr std::chrono::milliseconds kLongest{1000};

class Beating final : public std::enable_shared_from_this<Beating> {
 public:
  Beating(Reactor& reactor, TrackerClient& tracker, GrantedLease lease)
      : reactor_(reactor), tracker_(tracker), lease_(std::move(lease)) {}

  void ScheduleNext() { Schedule(std::min(lease_.ttl / 3, kLongest)); }

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
  bool is_wanted_back() const { return is_wanted_back_; }

 private:
  void Schedule(std::chrono::milliseconds delay) {
    reactor_.After(delay, [weak = weak_from_this()] {
      if (const auto beating = weak.lock()) beating->Beat();
    });
  }

  // On the reactor's thread. The former call has been answered, or there would be no next beat.
  void Beat() {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    call_.reset();
    call_ = tracker_.Renew(lease_,
                           [this](const StatusOr<RenewedLease>& renewal) { Answered(renewal); });
  }

  void Answered(const StatusOr<RenewedLease>& renewal) {
    std::lock_guard lock(mutex_);
    is_wanted_back_ = renewal.ok() && renewal->give_back;
    if (renewal.status().code() == StatusCode::kFailedPrecondition) {
      status_ = renewal.status();
    } else if (!stopping_) {
      renewal.ok() ? ScheduleNext() : Schedule(std::min(lease_.ttl / 3, kRetry));
    }
  }

  Reactor& reactor_;
  TrackerClient& tracker_;
  const GrantedLease lease_;
  std::atomic<bool> is_wanted_back_ = false;
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
  bool is_wanted_back() const override { return beating_->is_wanted_back(); }

 private:
  const std::shared_ptr<Beating> beating_;
};

}  // namespace

std::unique_ptr<Heartbeat> StartHeartbeat(Reactor& reactor, TrackerClient& tracker,
                                          const GrantedLease& lease) {
  auto beating = std::make_shared<Beating>(reactor, tracker, lease);
  beating->ScheduleNext();
  return std::make_unique<RunningHeartbeat>(std::move(beating));
}

}  // namespace kiln
