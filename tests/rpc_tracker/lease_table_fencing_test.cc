// Random sequences of events against a model of what each device believes: whatever happens, a
// device is never held by two clients, and the epochs that it is granted only grow.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "rpc_tracker/lease_table.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;

struct SimulatedDevice {
  SessionId session = 0;
  std::uint64_t highest = 0;
  std::optional<HeldLease> held;
  int instance = 0;

  void Restart() {
    highest = 0;
    held.reset();
    ++instance;
  }
};

// Two devices that behave as proto/tracker.proto says, and clients that come and go.
class SimulatedFarm {
 public:
  explicit SimulatedFarm(std::uint64_t seed) : rng_(seed) {}

  void Step() {
    auto& [name, device] = *std::next(devices_.begin(), static_cast<long>(rng_.Below(2)));
    switch (rng_.Below(8)) {
      case 0:
      case 1:
        Request();
        break;
      case 2:
      case 3:
        Connect(name, device);
        break;
      case 4:
        if (device.session != 0) table_.Disconnect(now_, device.session);
        device.session = 0;
        break;
      case 5:
        if (device.session != 0) table_.Acknowledge(now_, device.session, device.highest);
        break;
      case 6:
        ReleaseAny();
        break;
      case 7:
        now_ += milliseconds(rng_.Below(4'000));
        table_.Tick(now_);
        break;
    }
    for (const LeaseAction& action : table_.TakeActions()) {
      std::visit([this](const auto& known) { Do(known); }, action);
    }
  }

  std::size_t grants() const { return grants_.size(); }

 private:
  void Request() {
    LeaseRequest request;
    request.id = std::to_string(next_id_++);
    request.target = "t";
    request.priority = static_cast<std::int32_t>(rng_.Below(3));
    request.wait = milliseconds(rng_.Below(60'000));
    ASSERT_TRUE(table_.Request(now_, request).ok());
  }

  void Connect(const std::string& name, SimulatedDevice& device) {
    if (device.session != 0) return;
    if (rng_.Below(3) == 0) device.Restart();
    DeviceHello hello;
    hello.name = name;
    hello.instance = std::to_string(device.instance);
    hello.target = "t";
    hello.highest_epoch = device.highest;
    hello.held = device.held;
    const auto session = table_.Register(now_, hello);
    ASSERT_TRUE(session.ok()) << session.status();
    device.session = *session;
  }

  void ReleaseAny() {
    if (grants_.empty()) return;
    const LeaseGrant grant = grants_[rng_.Below(grants_.size())];
    ASSERT_TRUE(table_.Release(now_, {"", grant.device, grant.id, grant.epoch}).ok());
  }

  void Do(const SendGrant& grant) {
    for (auto& [name, device] : devices_) {
      if (device.session != grant.session) continue;
      ASSERT_GT(grant.lease.epoch, device.highest);
      device.highest = grant.lease.epoch;
      device.held = grant.lease;
    }
  }
  void Do(const SendRevoke& revoke) {
    for (auto& [name, device] : devices_) {
      const bool holds = device.held && device.held->epoch == revoke.epoch;
      if (device.session == revoke.session && holds) device.held.reset();
    }
  }
  void Do(const EndSession& end) {
    for (auto& [name, device] : devices_) {
      if (device.session == end.session) device.session = 0;
    }
  }
  void Do(const AnswerRequest& answer) {
    if (!answer.answer.ok()) return;
    const LeaseGrant& grant = *answer.answer;
    ASSERT_GT(grant.epoch, last_epoch_[grant.device]);
    last_epoch_[grant.device] = grant.epoch;
    for (const LeaseGrant& old : grants_) {
      if (old.device != grant.device) continue;
      ASSERT_FALSE(table_.Renew(now_, {"", old.device, old.id, old.epoch}).ok());
    }
    ASSERT_TRUE(devices_[grant.device].held.has_value());
    ASSERT_EQ(devices_[grant.device].held->id, grant.id);
    grants_.push_back(grant);
  }

  Rng rng_;
  SteadyTime now_{};
  LeaseTable table_{{}, now_};
  std::map<std::string, SimulatedDevice> devices_{{"a", {}}, {"b", {}}};
  std::map<std::string, std::uint64_t> last_epoch_;
  std::vector<LeaseGrant> grants_;
  int next_id_ = 0;
};

TEST(LeaseTableFencingTest, NoDeviceIsEverHeldByTwo) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedFarm farm(seed);
    for (int step = 0; step < 400 && !HasFatalFailure(); ++step) farm.Step();
    ASSERT_FALSE(HasFatalFailure());
    EXPECT_GT(farm.grants(), 5u);  // or the test would prove nothing
  }
}

}  // namespace
}  // namespace kiln
