// The threads of one client in front of a tracker that a test plays.

#include "rpc_client/device_line.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <vector>

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;

constexpr nanoseconds kForEver = nanoseconds::max();
constexpr std::chrono::seconds kHang{30};  // only what never ends takes so long

// Has these devices; grants a lease when the test says so.
class FakeTracker final : public TrackerClient {
 public:
  explicit FakeTracker(std::vector<DeviceInfo> devices) : devices_(std::move(devices)) {}

  const std::string& address() const override { return address_; }
  const TlsFiles& tls() const override { return tls_; }
  Status Connect(nanoseconds) override { return absl::OkStatus(); }
  void AwaitDisconnect() override {}
  std::unique_ptr<PendingCall> Acquire(const AcquireRequest& request, nanoseconds,
                                       std::function<void(StatusOr<GrantedLease>)> done) override {
    const std::lock_guard lock(mutex_);
    calls_.push_back(std::make_shared<Call>(Call{request.lease_id, std::move(done)}));
    most_ = std::max(most_, ++open_);
    changed_.notify_all();
    return std::make_unique<FakeCall>(*this, calls_.back());
  }
  std::unique_ptr<PendingCall> Renew(const GrantedLease&,
                                     std::function<void(StatusOr<RenewedLease>)>) override {
    return nullptr;
  }
  std::unique_ptr<PendingCall> Release(const GrantedLease&, const LeaseOutcome&,
                                       nanoseconds) override {
    return nullptr;
  }
  Status Withdraw(const std::string& id, nanoseconds) override {
    const std::lock_guard lock(mutex_);
    withdrawn_.push_back(id);
    return absl::OkStatus();
  }
  StatusOr<FarmInfo> List(nanoseconds) override {
    const std::lock_guard lock(mutex_);
    ++looks_;
    changed_.notify_all();
    return FarmInfo{devices_, 0};
  }

  // Answers the request number `index`, from 0, when it has come.
  void Grant(std::size_t index) { Answer(index, absl::OkStatus()); }
  void Answer(std::size_t index, const Status& status) {
    std::shared_ptr<Call> call;
    {
      std::unique_lock lock(mutex_);
      const bool has_come = changed_.wait_for(lock, kHang, [&] { return calls_.size() > index; });
      ASSERT_TRUE(has_come) << "nobody asks for a lease";
      call = calls_[index];
    }
    if (status.ok()) {
      End(*call, GrantedLease{call->id, 1, "device", "address", milliseconds(9)});
    } else {
      End(*call, status);
    }
  }
  void AwaitLooks(int more) {
    std::unique_lock lock(mutex_);
    const int wanted = looks_ + more;
    EXPECT_TRUE(changed_.wait_for(lock, kHang, [&] { return looks_ >= wanted; }))
        << "nobody looks any more";
  }
  void SetDevices(std::vector<DeviceInfo> devices) {
    const std::lock_guard lock(mutex_);
    devices_ = std::move(devices);
  }
  std::vector<std::string> withdrawn() const {
    const std::lock_guard lock(mutex_);
    return withdrawn_;
  }
  std::size_t requests() const {
    const std::lock_guard lock(mutex_);
    return calls_.size();
  }
  int open() const {
    const std::lock_guard lock(mutex_);
    return open_;
  }
  int most_at_once() const {
    const std::lock_guard lock(mutex_);
    return most_;
  }

 private:
  struct Call {
    std::string id;
    std::function<void(StatusOr<GrantedLease>)> done;  // null: answered
  };
  class FakeCall final : public PendingCall {
   public:
    FakeCall(FakeTracker& tracker, std::shared_ptr<Call> call)
        : tracker_(tracker), call_(std::move(call)) {}
    void Cancel() override { tracker_.End(*call_, Error(StatusCode::kUnavailable, "cancelled")); }

   private:
    FakeTracker& tracker_;
    const std::shared_ptr<Call> call_;
  };

  void End(Call& call, StatusOr<GrantedLease> answer) {
    std::function<void(StatusOr<GrantedLease>)> done;
    {
      const std::lock_guard lock(mutex_);
      done = std::exchange(call.done, nullptr);
      if (done) --open_;
    }
    if (done) done(std::move(answer));
  }

  const std::string address_ = "fake";
  const TlsFiles tls_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<DeviceInfo> devices_;
  std::vector<std::shared_ptr<Call>> calls_;
  std::vector<std::string> withdrawn_;
  int open_ = 0, most_ = 0, looks_ = 0;
};

DeviceInfo Device(const std::string& target, const std::string& state = "free",
                  const std::string& client = "") {
  DeviceInfo device;
  device.target = target;
  device.state = state;
  device.client = client;
  return device;
}

DeviceInfo Quarantined(const std::string& target, const std::string& name) {
  DeviceInfo device = Device(target, "quarantined");
  device.name = name;
  device.fault = "nothing answers at 10.0.0.4:9191";
  return device;
}

class DeviceLineTest : public testing::Test {
 protected:
  using Result = StatusOr<DeviceLine::Granted>;

  DeviceLine::Options Quick() const {
    return {.moment = nanoseconds(0),
            .round = nanoseconds(0),
            .absent = milliseconds(50),
            .often = milliseconds(1),
            .seldom = milliseconds(1)};
  }
  std::future<Result> Acquire(DeviceLine& line, const std::string& id,
                              nanoseconds timeout = kForEver) {
    return std::async(std::launch::async, [&line, id, timeout] {
      return line.Acquire({id, "t", {"tester"}}, timeout);
    });
  }
  static Result Get(std::future<Result>& result) {
    EXPECT_EQ(result.wait_for(kHang), std::future_status::ready);
    return result.get();
  }
};

TEST_F(DeviceLineTest, AsksForNoMoreLeasesThanThereAreDevices) {
  FakeTracker tracker({Device("t"), Device("t"), Device("other"), Device("t", "lost")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  std::vector<std::future<Result>> waits;
  for (const char* id : {"a", "b", "c", "d"}) waits.push_back(Acquire(line, id));
  tracker.AwaitLooks(10);
  EXPECT_EQ(tracker.requests(), 2u);
  for (std::size_t i = 0; i < waits.size(); ++i) {
    tracker.Grant(i);  // the next two requests come when the first two leases have gone
    const auto ready = [](auto& wait) {
      return wait.valid() && wait.wait_for(milliseconds(1)) == std::future_status::ready;
    };
    auto done = waits.end();
    const auto deadline = std::chrono::steady_clock::now() + kHang;
    while (done == waits.end() && std::chrono::steady_clock::now() < deadline) {
      done = std::ranges::find_if(waits, ready);
    }
    if (done == waits.end()) {
      line.Stop();
      FAIL() << "nobody has the lease that was granted";
    }
    const Result lease = done->get();
    EXPECT_TRUE(lease.ok()) << lease.status();
  }
  EXPECT_EQ(tracker.most_at_once(), 2);
}

TEST_F(DeviceLineTest, StepsBackWhenADeviceIsLost) {
  FakeTracker tracker({Device("t"), Device("t")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto first = Acquire(line, "a"), second = Acquire(line, "b");
  tracker.AwaitLooks(10);
  ASSERT_EQ(tracker.open(), 2);
  tracker.SetDevices({Device("t"), Device("t", "lost")});
  for (int looks = 0; looks < 10'000 && tracker.open() > 1; ++looks) tracker.AwaitLooks(1);
  EXPECT_EQ(tracker.open(), 1);
  line.Stop();
}

TEST_F(DeviceLineTest, StopEndsEveryWaitAtOnce) {
  FakeTracker tracker({Device("t", "leased", "bob")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto in_the_queue = Acquire(line, "a"), in_the_line = Acquire(line, "b");
  tracker.AwaitLooks(3);
  line.Stop();
  EXPECT_EQ(Get(in_the_queue).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(Get(in_the_line).status().code(), StatusCode::kCancelled);
  EXPECT_FALSE(tracker.withdrawn().empty()) << "who asked may have been granted a lease meanwhile";
  EXPECT_EQ(line.Acquire({"c", "t", {"tester"}}, kForEver).status().code(), StatusCode::kCancelled);
}

TEST_F(DeviceLineTest, DeviceThatIsNotRegisteredIsNotWaitedForForEver) {
  FakeTracker tracker({Device("other"), Device("t", "lost")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto wait = Acquire(line, "a");
  const Status status = Get(wait).status();
  EXPECT_EQ(status.code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Message(status), "no device for t within 0.05 s (0 registered, 1 lost)");
}

TEST_F(DeviceLineTest, BusyDeviceIsWaitedForAsLongAsItTakes) {
  FakeTracker tracker({Device("t", "leased", "bob")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto wait = Acquire(line, "a");
  tracker.AwaitLooks(200);  // longer than an absent one would be
  EXPECT_EQ(wait.wait_for(milliseconds(0)), std::future_status::timeout);
  tracker.Grant(0);
  EXPECT_TRUE(Get(wait).ok());
}

TEST_F(DeviceLineTest, WaitEndsAtItsTimeout) {
  FakeTracker tracker({Device("t", "leased", "bob")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto wait = Acquire(line, "a", milliseconds(20));
  EXPECT_EQ(Message(Get(wait).status()),
            "no device for t within 0.02 s (1 registered, 1 leased by bob)");
}

TEST_F(DeviceLineTest, TellsOnceWhatItWaitsForUntilThatChanges) {
  FakeTracker tracker({Device("t", "leased", "bob")});
  std::vector<std::string> told;
  DeviceLine line(
      tracker, nullptr, [&told](const std::string& what) { told.push_back(what); }, Quick());
  auto wait = Acquire(line, "a");
  tracker.AwaitLooks(5);
  tracker.SetDevices({Device("t", "leased", "ann")});
  tracker.AwaitLooks(5);
  tracker.Grant(0);
  EXPECT_TRUE(Get(wait).ok());
  EXPECT_THAT(told, ElementsAre("waiting for a t device: 1 registered, 1 leased by bob",
                                "waiting for a t device: 1 registered, 1 leased by ann"));
}

TEST_F(DeviceLineTest, SaysOnceThatDevicesGoFromHandToHand) {
  FakeTracker tracker({Device("t", "leased", "bob")});
  std::vector<std::string> told;
  DeviceLine::Options options = Quick();
  options.round = std::chrono::hours(1);
  DeviceLine line(
      tracker, nullptr, [&told](const std::string& what) { told.push_back(what); }, options);
  auto wait = Acquire(line, "a");
  for (const char* holder : {"ann", "bob", "ann", "cid"}) {
    tracker.AwaitLooks(5);
    tracker.SetDevices({Device("t", "leased", holder)});
  }
  tracker.AwaitLooks(5);
  tracker.Grant(0);
  EXPECT_TRUE(Get(wait).ok());
  EXPECT_THAT(told, ElementsAre("waiting for a t device: 1 registered, 1 leased by bob"));
}

TEST_F(DeviceLineTest, SaysOnceWithWhomADeviceIsShared) {
  FakeTracker tracker({Device("t", "leased", "tester")});
  std::vector<std::string> told;
  DeviceLine::Options options = Quick();
  options.round = std::chrono::hours(1);
  DeviceLine line(
      tracker, nullptr, [&told](const std::string& what) { told.push_back(what); }, options);
  std::size_t turn = 0;
  auto wait = Acquire(line, "0");
  tracker.Grant(turn);
  for (const char* holder : {"bob", "bob", "ann", "bob", "ann"}) {
    ASSERT_TRUE(Get(wait).ok());  // and given back
    if (turn == 0) told.clear();
    tracker.SetDevices({Device("t", "leased", holder)});
    wait = Acquire(line, std::to_string(++turn));
    tracker.AwaitLooks(3);
    tracker.Grant(turn);
  }
  ASSERT_TRUE(Get(wait).ok());
  EXPECT_THAT(told, ElementsAre("sharing the t device with bob", "sharing the t device with ann"));
}

TEST_F(DeviceLineTest, TurnThatDoesNotComeIsWaitedForInWords) {
  FakeTracker tracker({Device("t"), Device("t")});
  std::vector<std::string> told;
  DeviceLine line(
      tracker, nullptr, [&told](const std::string& what) { told.push_back(what); }, Quick());
  auto wait = Acquire(line, "a");
  tracker.Grant(0);
  ASSERT_TRUE(Get(wait).ok());
  told.clear();
  tracker.SetDevices({Device("t", "leased", "bob"), Device("t", "leased", "ann")});
  wait = Acquire(line, "b");
  tracker.AwaitLooks(3);
  tracker.Grant(1);
  ASSERT_TRUE(Get(wait).ok());
  EXPECT_THAT(told, ElementsAre("sharing the t devices with ann, bob",
                                "waiting for a t device: 2 registered, 1 leased by ann, 1 leased "
                                "by bob"));
}

TEST_F(DeviceLineTest, TurnsAreTheLastOnesOnceStopped) {
  FakeTracker tracker({Device("t")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto wait = Acquire(line, "a");
  tracker.Grant(0);
  const Result granted = Get(wait);
  ASSERT_TRUE(granted.ok()) << granted.status();
  EXPECT_FALSE(granted->turn->is_last());
  line.Stop();
  EXPECT_TRUE(granted->turn->is_last());
}

// The one that gives its device back does not ask beside the one that has waited inside meanwhile.
TEST_F(DeviceLineTest, TurnGoesWithTheLeaseAndIsTakenAnew) {
  FakeTracker tracker({Device("t", "leased", "tester")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto first = Acquire(line, "a");
  tracker.Grant(0);
  Result held = Get(first);
  ASSERT_TRUE(held.ok()) << held.status();
  const auto have_for_a_moment = [&line](const std::string& id) {
    return std::async(std::launch::async, [&line, id] {
      return line.Acquire({id, "t", {"tester"}}, kForEver).status();
    });
  };
  auto second = have_for_a_moment("b");
  tracker.AwaitLooks(5);
  EXPECT_EQ(tracker.requests(), 1u);
  held = Error(StatusCode::kUnknown, "given back");
  auto third = have_for_a_moment("c");
  tracker.AwaitLooks(5);
  EXPECT_EQ(tracker.requests(), 2u);
  tracker.Grant(1);
  tracker.Grant(2);  // comes once the other one has gone
  EXPECT_TRUE(second.get().ok() && third.get().ok());
  EXPECT_EQ(tracker.most_at_once(), 1);
}

TEST_F(DeviceLineTest, DevicesInQuarantineAreWaitedForAndNamed) {
  FakeTracker tracker({Quarantined("t", "pi4")});
  std::vector<std::string> told;
  DeviceLine line(
      tracker, nullptr, [&told](const std::string& what) { told.push_back(what); }, Quick());
  auto wait = Acquire(line, "a");
  tracker.AwaitLooks(200);  // longer than an absent one would be
  EXPECT_EQ(wait.wait_for(milliseconds(0)), std::future_status::timeout);
  tracker.Grant(0);
  EXPECT_TRUE(Get(wait).ok());
  EXPECT_THAT(told, ElementsAre("waiting for a t device: 1 registered, 1 quarantined: pi4: nothing "
                                "answers at 10.0.0.4:9191"));
}

TEST_F(DeviceLineTest, NobodyAsksForADeviceInQuarantineBesideOthers) {
  FakeTracker tracker({Device("t"), Quarantined("t", "pi4"), Quarantined("t", "pi5")});
  DeviceLine line(tracker, nullptr, nullptr, Quick());
  auto first = Acquire(line, "a"), second = Acquire(line, "b");
  tracker.AwaitLooks(10);
  EXPECT_EQ(tracker.open(), 1);
  tracker.SetDevices({Device("t"), Device("t"), Quarantined("t", "pi5")});
  for (int looks = 0; looks < 10'000 && tracker.open() < 2; ++looks) tracker.AwaitLooks(1);
  EXPECT_EQ(tracker.open(), 2) << "it is on probation";
  line.Stop();
}

TEST_F(DeviceLineTest, RequestsAfterFailuresAreSpacedAtRandom) {
  FakeTracker tracker({Device("t")});
  DeviceLine::Options options = Quick();
  std::atomic<int> drawn = 0;
  options.random = [&] {
    ++drawn;
    return 0.5;
  };
  options.pauses = {milliseconds(2), milliseconds(8)};
  DeviceLine line(tracker, nullptr, nullptr, options);
  const auto begun = std::chrono::steady_clock::now();
  auto wait = Acquire(line, "a");
  for (std::size_t i = 0; i < 4; ++i) {
    tracker.Answer(i, Error(StatusCode::kUnavailable, "the tracker has gone"));
  }
  tracker.Grant(4);
  Result lease = Get(wait);
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ(drawn, 4);
  EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(1 + 2 + 4 + 4));
  // A device that fails, then one that serves.
  for (const int failures : {1, 2}) {
    lease->turn->Tell({"broken", false});
    lease->turn.reset();
    wait = Acquire(line, "again");
    tracker.Grant(4 + static_cast<std::size_t>(failures));
    lease = Get(wait);
    ASSERT_TRUE(lease.ok()) << lease.status();
    EXPECT_EQ(drawn, 4 + failures);
  }
  lease->turn->Tell({"", true});
  lease->turn.reset();
  wait = Acquire(line, "last");
  tracker.Grant(7);
  EXPECT_TRUE(Get(wait).ok());
  EXPECT_EQ(drawn, 6) << "no pause after a success";
}

TEST_F(DeviceLineTest, PauseEndsWithTheWait) {
  FakeTracker tracker({Device("t")});
  DeviceLine::Options options = Quick();
  options.pauses = {std::chrono::hours(1), std::chrono::hours(1)};
  DeviceLine line(tracker, nullptr, nullptr, options);
  auto first = Acquire(line, "a");
  tracker.Grant(0);
  Result lease = Get(first);
  ASSERT_TRUE(lease.ok()) << lease.status();
  lease->turn->Tell({"broken", false});
  lease->turn.reset();
  auto timed = Acquire(line, "b", milliseconds(20));
  EXPECT_EQ(Get(timed).status().code(), StatusCode::kDeadlineExceeded);
  auto stopped = Acquire(line, "c");
  line.Stop();
  EXPECT_EQ(Get(stopped).status().code(), StatusCode::kCancelled);
}

}  // namespace
}  // namespace kiln
