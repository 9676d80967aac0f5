#include "rpc_client/heartbeat.h"

#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <utility>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Answers renewals with what it is told, the last answer for ever.
class FakeTracker final : public TrackerClient {
 public:
  explicit FakeTracker(std::vector<Status> answers) : answers_(std::move(answers)) {}

  std::shared_ptr<PendingCall> Renew(const GrantedLease&,
                                     std::function<void(const Status&)> done) override {
    Status answer;
    {
      std::lock_guard lock(mutex_);
      answer = answers_.at(std::min(renewals_, answers_.size() - 1));
      if (++renewals_ == answers_.size()) all_.set_value();
    }
    done(answer);
    return std::make_shared<Nothing>();
  }
  void AwaitAll() { all_.get_future().wait(); }

  const std::string& address() const override { return address_; }
  Status Connect(nanoseconds) override { return absl::OkStatus(); }
  void AwaitDisconnect() override {}
  StatusOr<GrantedLease> Acquire(const AcquireRequest&, nanoseconds) override { return Unused(); }
  Status Release(const GrantedLease&, nanoseconds) override { return absl::OkStatus(); }
  StatusOr<FarmInfo> List(nanoseconds) override { return Unused(); }

 private:
  struct Nothing final : PendingCall {
    void Cancel() override {}
  };
  static Status Unused() { return Error(StatusCode::kUnimplemented, "not part of this test"); }

  const std::string address_ = "fake";
  std::mutex mutex_;
  const std::vector<Status> answers_;
  std::size_t renewals_ = 0;
  std::promise<void> all_;
};

const Status kRestarting = Error(StatusCode::kUnavailable, "the tracker restarts");
const Status kOver = Error(StatusCode::kFailedPrecondition, "the lease is over");
const GrantedLease kLease{"id", 1, "device", "address", milliseconds(9)};

TEST(HeartbeatTest, BeatsUntilTheLeaseIsOver) {
  const auto reactor = NewReactor();
  FakeTracker tracker({absl::OkStatus(), absl::OkStatus(), absl::OkStatus()});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  EXPECT_TRUE(heartbeat->status().ok());
}

TEST(HeartbeatTest, GoesOnWhileTheTrackerIsAway) {
  const auto reactor = NewReactor();
  FakeTracker tracker({kRestarting, kRestarting, absl::OkStatus()});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  EXPECT_TRUE(heartbeat->status().ok());
}

TEST(HeartbeatTest, LearnsThatTheLeaseIsOver) {
  const auto reactor = NewReactor();
  FakeTracker tracker({absl::OkStatus(), kOver});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  // The answer is noted on the reactor's thread, in the call that AwaitAll() has seen.
  std::promise<void> noted;
  reactor->Post([&] { noted.set_value(); });
  noted.get_future().wait();
  EXPECT_EQ(heartbeat->status(), kOver);
}

TEST(HeartbeatTest, StopsAtOnce) {
  const auto reactor = NewReactor();
  FakeTracker tracker({absl::OkStatus()});
  const auto heartbeat =
      StartHeartbeat(*reactor, tracker, {"id", 1, "device", "address", std::chrono::hours(1)});
}

}  // namespace
}  // namespace kiln
