// Random sequences of events against a model of what each device believes: whatever devices, clients,
// strangers and liars do, a device is never held by two, and the epochs that it is granted only grow.
// The table's own events are held to the same by EventCheck.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "rpc_tracker/event_check.h"
#include "rpc_tracker/lease_table.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;

struct SimulatedDevice {
  SessionId session = 0;
  std::uint64_t highest = 0;
  std::optional<HeldLease> held;
  int instance = 0;
  bool authenticated = false;

  void Restart() {
    highest = 0;
    held.reset();
    ++instance;
  }
};

constexpr std::uint64_t kDevices = 3, kParties = 3;

// Devices that behave as proto/tracker.proto says, and clients that come and go. The last device has a
// credential. The table is tight, so that its limits are met.
class SimulatedFarm {
 public:
  explicit SimulatedFarm(std::uint64_t seed) : rng_(seed) { devices_["c"].authenticated = true; }

  void Step() {
    auto& [name, device] = *std::next(devices_.begin(), static_cast<long>(rng_.Below(kDevices)));
    switch (rng_.Below(12)) {
      case 0:
      case 1:
      case 2:
        Request();
        break;
      case 3:
      case 4:
        Connect(name, device);
        break;
      case 5:
        if (device.session != 0) table_.Disconnect(now_, device.session);
        device.session = 0;
        break;
      case 6:
      case 7:
        if (device.session != 0) table_.Acknowledge(now_, device.session, device.highest);
        break;
      case 8:
        ReleaseAny();
        break;
      case 9:
        now_ += milliseconds(rng_.Below(4'000));
        table_.Tick(now_);
        break;
      case 10:
        Reboot(name, device);
        break;
      case 11:
        Disturb(name);
        break;
    }
    Carry();
  }

  std::size_t grants() const { return grants_.size(); }
  int quarantines() const { return quarantines_; }

 private:
  struct Granted {
    LeaseGrant grant;
    std::string party;
    LeaseClaim Claim(const std::string& by) const {
      return {by, grant.device, grant.id, grant.epoch};
    }
  };

  std::string AnyParty() { return "party" + std::to_string(rng_.Below(kParties)); }

  void Request() {
    LeaseRequest request;
    request.id = std::to_string(next_id_++);
    if (rng_.Below(8) == 0) request.id = std::to_string(rng_.Below(next_id_));
    request.party = AnyParty();
    request.client = "client" + std::to_string(rng_.Below(2));
    request.target = rng_.Below(10) == 0 ? "unserved" : "t";
    request.priority = static_cast<std::int32_t>(rng_.Below(3));
    request.wait = milliseconds(rng_.Below(60'000));
    const auto owner = owners_.find(request.id);
    const Status status = table_.Request(now_, request);
    if (status.code() == StatusCode::kResourceExhausted) return;
    if (!status.ok()) {
      ASSERT_EQ(status.code(), StatusCode::kPermissionDenied) << status;
      ASSERT_TRUE(owner != owners_.end() && owner->second != request.party);
      return;
    }
    owners_[request.id] = request.party;
  }

  DeviceHello HelloOf(const std::string& name, const SimulatedDevice& device) {
    DeviceHello hello;
    hello.name = name;
    hello.instance = std::to_string(device.instance);
    hello.target = "t";
    hello.highest_epoch = device.highest;
    hello.held = device.held;
    hello.owner = "owner of " + name;
    hello.authenticated = device.authenticated;
    return hello;
  }

  void Connect(const std::string& name, SimulatedDevice& device) {
    if (device.session != 0) return;
    if (rng_.Below(3) == 0) device.Restart();
    const auto session = table_.Register(now_, HelloOf(name, device));
    ASSERT_TRUE(session.ok()) << session.status();
    device.session = *session;
  }

  // The machine starts again, and nobody has noticed that its connection is dead.
  void Reboot(const std::string& name, SimulatedDevice& device) {
    if (device.session == 0) return;
    SimulatedDevice rebooted = device;
    rebooted.Restart();
    const auto session = table_.Register(now_, HelloOf(name, rebooted));
    ASSERT_EQ(session.ok(), device.authenticated) << session.status();
    if (!session.ok()) return;
    rebooted.session = *session;
    device = rebooted;
  }

  // What must be refused, and must change nothing.
  void Disturb(const std::string& name) {
    DeviceHello thief = HelloOf(name, {});
    thief.instance = "thief";
    thief.owner = "thief";
    const bool known = known_.contains(name) || devices_[name].session != 0;
    if (known) {
      ASSERT_FALSE(table_.Register(now_, thief).ok());
    }
    DeviceHello liar = HelloOf("liar", {});
    liar.highest_epoch = kEpochLimit + rng_.Below(5);
    ASSERT_EQ(table_.Register(now_, liar).status().code(), StatusCode::kInvalidArgument);
    liar.highest_epoch = 5;
    liar.held = HeldLease{"1", "c", 6, "party0"};
    ASSERT_EQ(table_.Register(now_, liar).status().code(), StatusCode::kInvalidArgument);
    if (grants_.empty()) return;
    const Granted& granted = grants_[rng_.Below(grants_.size())];
    ASSERT_FALSE(table_.Renew(now_, granted.Claim("stranger")).ok());
    (void)table_.Release(now_, granted.Claim("stranger"), {"slander", false});
    (void)table_.Cancel(now_, granted.grant.id, "stranger");
    for (const LeaseAction& action : table_.TakeActions()) {
      const auto* nudge = std::get_if<SendRevoke>(&action);
      ASSERT_TRUE(nudge && nudge->epoch == 0) << "a stranger had an effect";
    }
  }

  void ReleaseAny() {
    if (grants_.empty()) return;
    const Granted granted = grants_[rng_.Below(grants_.size())];
    if (rng_.Below(2) == 0) {
      LeaseReport report;
      if (rng_.Below(3) == 0) report.fault = "broken";
      report.served = report.fault.empty() && rng_.Below(2) == 0;
      ASSERT_TRUE(table_.Release(now_, granted.Claim(granted.party), report).ok());
    } else {
      ASSERT_TRUE(table_.Cancel(now_, granted.grant.id, owners_[granted.grant.id]).ok());
    }
  }

  void Carry() {
    for (const LeaseAction& action : table_.TakeActions()) {
      std::visit([this](const auto& known) { Do(known); }, action);
    }
    for (const LeaseEvent& event : table_.TakeEvents()) {
      const Status status = check_.Add(event);
      ASSERT_TRUE(status.ok()) << status;
      if (event.kind == LeaseEventKind::kRegistered) known_.insert(event.device);
      if (event.kind == LeaseEventKind::kForgotten) known_.erase(event.device);
    }
    ASSERT_LE(table_.waiting(), 12 + kDevices);
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
  void Do(const TellQuarantine& told) {
    ++quarantines_;
    ASSERT_NE(told.record.reason, "slander");
  }
  void Do(const AnswerRequest& answer) {
    if (!answer.answer.ok()) return;
    const LeaseGrant& grant = *answer.answer;
    const Granted granted{grant, owners_[grant.id]};
    ASSERT_TRUE(devices_[grant.device].held.has_value());
    ASSERT_EQ(devices_[grant.device].held->id, grant.id);
    ASSERT_EQ(devices_[grant.device].held->owner, granted.party);
    if (grant.epoch == last_epoch_[grant.device]) return;  // repeated
    ASSERT_GT(grant.epoch, last_epoch_[grant.device]);
    last_epoch_[grant.device] = grant.epoch;
    for (const Granted& old : grants_) {
      if (old.grant.device != grant.device) continue;
      ASSERT_FALSE(table_.Renew(now_, old.Claim(old.party)).ok());
    }
    grants_.push_back(granted);
  }

  Rng rng_;
  SteadyTime now_{};
  // Short quarantines, or too little would happen.
  LeaseTable table_{{.forget_lost = milliseconds(20'000),
                     .waiting = {.of_client = 4, .of_party = 6, .in_all = 12},
                     .quarantine = {.time = milliseconds(1'000), .longest = milliseconds(4'000)},
                     .record_events = true},
                    now_};
  EventCheck check_;
  std::map<std::string, SimulatedDevice> devices_{{"a", {}}, {"b", {}}, {"c", {}}};
  std::map<std::string, std::uint64_t> last_epoch_;
  std::map<std::string, std::string> owners_;  // of ids
  std::set<std::string> known_;                // names that the table remembers
  std::vector<Granted> grants_;
  std::uint64_t next_id_ = 0;
  int quarantines_ = 0;
};

TEST(LeaseTableFencingTest, NoDeviceIsEverHeldByTwo) {
  std::size_t grants = 0;
  int quarantines = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    SimulatedFarm farm(seed);
    for (int step = 0; step < 600 && !testing::Test::HasFatalFailure(); ++step) farm.Step();
    ASSERT_FALSE(testing::Test::HasFatalFailure());
    EXPECT_GT(farm.grants(), 3u);  // or the test would prove nothing
    grants += farm.grants();
    quarantines += farm.quarantines();
  }
  EXPECT_GT(quarantines, 100);
  EXPECT_GT(grants, 300 * 15u);
}

}  // namespace
}  // namespace kiln
