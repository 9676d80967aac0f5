#include "rpc_client/heartbeat.h"

#include <gtest/gtest.h>

#include <future>
#include <utility>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Answers renewals on the reactor's thread with what it is told, the last answer for ever.
class FakeTracker final : public TrackerClient {
 public:
  FakeTracker(Reactor& reactor, std::vector<StatusOr<RenewedLease>> answers)
      : reactor_(reactor), answers_(std::move(answers)) {}

  std::unique_ptr<PendingCall> Renew(const GrantedLease&,
                                     std::function<void(StatusOr<RenewedLease>)> done) override {
    auto answered = std::make_shared<std::promise<void>>();
    auto call = std::make_unique<FakeCall>(answered->get_future());
    reactor_.Post([this, answered, done = std::move(done)] {
      done(answers_.at(std::min(renewals_, answers_.size() - 1)));
      if (++renewals_ == answers_.size()) all_.set_value();
      answered->set_value();
    });
    return call;
  }
  void AwaitAll() { all_.get_future().wait(); }
  // How often it was asked. On the reactor's thread, or once that has nothing more to do with this.
  std::size_t renewals() const { return renewals_; }

  const std::string& address() const override { return address_; }
  const TlsFiles& tls() const override { return tls_; }
  Status Connect(nanoseconds) override { return absl::OkStatus(); }
  void AwaitDisconnect() override {}
  std::unique_ptr<PendingCall> Acquire(const AcquireRequest&, nanoseconds,
                                       std::function<void(StatusOr<GrantedLease>)> done) override {
    done(Unused());
    return nullptr;
  }
  std::unique_ptr<PendingCall> Release(const GrantedLease&, const LeaseOutcome&,
                                       nanoseconds) override {
    return nullptr;
  }
  Status Withdraw(const std::string&, nanoseconds) override { return absl::OkStatus(); }
  StatusOr<FarmInfo> List(nanoseconds) override { return Unused(); }

 private:
  class FakeCall final : public PendingCall {
   public:
    explicit FakeCall(std::future<void> answered) : answered_(std::move(answered)) {}
    ~FakeCall() override { answered_.wait(); }
    void Cancel() override {}

   private:
    const std::future<void> answered_;
  };
  static Status Unused() { return Error(StatusCode::kUnimplemented, "not part of this test"); }

  const std::string address_ = "fake";
  const TlsFiles tls_;
  Reactor& reactor_;
  const std::vector<StatusOr<RenewedLease>> answers_;
  std::size_t renewals_ = 0;
  std::promise<void> all_;
};

const RenewedLease kKeep{.give_back = false}, kGiveBack{.give_back = true};
const Status kRestarting = Error(StatusCode::kUnavailable, "the tracker restarts");
const Status kOver = Error(StatusCode::kFailedPrecondition, "the lease is over");
const GrantedLease kLease{"id", 1, "device", "address", milliseconds(9)};

TEST(HeartbeatTest, BeatsUntilTheLeaseIsOver) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kKeep, kKeep, kOver});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  // What the reactor is to do before then, like one more beat, it has done then.
  std::promise<void> later;
  reactor->After(2 * kLease.ttl, [&] { later.set_value(); });
  later.get_future().wait();
  EXPECT_EQ(tracker.renewals(), 3u);
}

TEST(HeartbeatTest, GoesOnWhileTheTrackerIsAway) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kRestarting, kRestarting, kKeep});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  EXPECT_TRUE(heartbeat->status().ok());
}

TEST(HeartbeatTest, LearnsThatTheLeaseIsOver) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kKeep, kOver});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  EXPECT_EQ(heartbeat->status(), kOver);
}

TEST(HeartbeatTest, HearsThatTheDeviceIsWantedBack) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kKeep, kGiveBack});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  EXPECT_FALSE(heartbeat->is_wanted_back());
  tracker.AwaitAll();
  EXPECT_TRUE(heartbeat->is_wanted_back());
  EXPECT_TRUE(heartbeat->status().ok());
}

TEST(HeartbeatTest, DeviceIsWantedBackNoLongerThanSomebodyWaits) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kGiveBack, kKeep});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  EXPECT_FALSE(heartbeat->is_wanted_back());
}

TEST(HeartbeatTest, DeviceIsNotGivenBackToATrackerThatIsAway) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kGiveBack, kRestarting});
  const auto heartbeat = StartHeartbeat(*reactor, tracker, kLease);
  tracker.AwaitAll();
  EXPECT_FALSE(heartbeat->is_wanted_back());
}

TEST(HeartbeatTest, AsksSoonHoweverLongTheLeaseLives) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kGiveBack});
  const auto heartbeat =
      StartHeartbeat(*reactor, tracker, {"id", 1, "device", "address", std::chrono::hours(24)});
  tracker.AwaitAll();  // a third of the day would be beyond this test's time
  EXPECT_TRUE(heartbeat->is_wanted_back());
}

TEST(HeartbeatTest, StopsAtOnce) {
  const auto reactor = NewReactor();
  FakeTracker tracker(*reactor, {kKeep});
  auto heartbeat =
      StartHeartbeat(*reactor, tracker, {"id", 1, "device", "address", std::chrono::hours(1)});
  const auto stopped = std::async(std::launch::async, [&] { heartbeat.reset(); });
  EXPECT_EQ(stopped.wait_for(std::chrono::minutes(1)), std::future_status::ready);
}

}  // namespace
}  // namespace kiln
