#include "benchmarks/farm_load/simulated_devices.h"

#include <algorithm>
#include <utility>

#include "benchmarks/farm_load/calls.h"
#include "proto/tracker.pb.h"
#include "proto/transport.h"

namespace kiln::load {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::size_t kDialledAtOnce = 128;  // a listener's backlog is short
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{2'000};

}  // namespace

class SimulatedDevice {
 public:
  SimulatedDevice(SimulatedDevices& farm, const std::string& name, std::uint64_t seed)
      : farm_(farm),
        name_(name),
        face_(farm.options_.face(name)),
        rng_(seed),
        instance_(std::to_string(rng_.Next())) {
    if (!face_.fence) face_.fence = std::make_shared<LeaseFence>();
  }

  const std::string& name() const { return name_; }
  bool open() const { return link_ != nullptr; }
  std::optional<SteadyTime> Acknowledged(std::string_view lease, std::uint64_t epoch) const {
    return face_.fence->Check(lease, epoch).ok() ? acknowledged_ : std::nullopt;
  }

  void Open();
  void HangUp();

 private:
  // One registration: a stream on the channel's connection.
  class Link final : public DuplexCall<v1::DeviceReport, v1::DeviceCommand> {
   public:
    Link(SimulatedDevice& device, Channel& channel)
        : DuplexCall(channel, "/kiln.v1.Tracker/Serve"), device_(device) {}
    void Acknowledge(std::uint64_t epoch) {
      ack_.mutable_ack()->set_epoch(epoch);
      Write(ack_);
    }

   private:
    void OnStarted() override {
      // The second time is that of a call that a connection about to end has not taken.
      if (!std::exchange(said_hello_, true)) device_.OnRegistered();
    }
    void OnReply(const v1::DeviceCommand& command) override { device_.OnCommand(command); }
    void OnEnd(const Status& status) override {
      device_.OnEnded(status, said_hello_);  // destroys this
    }

    SimulatedDevice& device_;
    v1::DeviceReport ack_;
    bool said_hello_ = false;
  };

  v1::DeviceReport Hello() const;
  void OnRegistered();
  void OnCommand(const v1::DeviceCommand& command);
  void OnGrant(const v1::GrantEpoch& grant);
  void AcknowledgeAfter(nanoseconds delay, std::uint64_t epoch);
  void Acknowledge(std::uint64_t epoch);
  void OnEnded(const Status& status, bool was_registered);

  SimulatedDevices& farm_;
  const std::string name_;
  DeviceFace face_;
  Rng rng_;
  const std::string instance_;
  std::unique_ptr<Channel> channel_;
  std::unique_ptr<Link> link_;
  std::uint64_t link_number_ = 0;  // of the latest, for what comes late
  std::optional<SteadyTime> acknowledged_;
  milliseconds pause_ = kFirstPause;
  bool dropping_ = false;
};

void SimulatedDevice::Open() {
  if (!channel_) {
    channel_ = std::make_unique<Channel>(farm_.dialer_, farm_.options_.credential(name_));
  }
  ++link_number_;
  link_ = std::make_unique<Link>(*this, *channel_);
  link_->Start(Hello());
}

void SimulatedDevice::HangUp() {
  if (link_) link_->Cancel();
}

v1::DeviceReport SimulatedDevice::Hello() const {
  const DeviceOptions& options = farm_.options_;
  v1::DeviceReport report;
  v1::DeviceHello& hello = *report.mutable_hello();
  hello.set_protocol(kProtocolVersion);
  hello.set_build("simulated");
  hello.set_name(name_);
  hello.set_instance(instance_);
  hello.set_target(options.target);
  hello.mutable_isa()->Add(options.isa.begin(), options.isa.end());
  hello.set_cores(1);
  hello.set_address(face_.address);
  hello.set_time_kind(options.time_kind);
  hello.set_highest_epoch(face_.fence->highest_epoch());
  if (const auto held = face_.fence->held()) {
    hello.mutable_held()->set_lease_id(held->id);
    hello.mutable_held()->set_client(held->client);
    hello.mutable_held()->set_epoch(held->epoch);
    hello.mutable_held()->set_owner(held->owner);
  }
  return report;
}

void SimulatedDevice::OnRegistered() {
  ++farm_.connected_;
  ++farm_.counts_.connections;
  pause_ = kFirstPause;
  farm_.Forget(*this);
}

void SimulatedDevice::OnCommand(const v1::DeviceCommand& command) {
  if (command.has_grant()) OnGrant(command.grant());
  if (command.has_revoke()) {
    ++farm_.counts_.revokes;
    face_.fence->Revoke(command.revoke().epoch());
  }
}

void SimulatedDevice::OnGrant(const v1::GrantEpoch& grant) {
  const DeviceBehaviour& behaviour = farm_.options_.behaviour;
  DeviceCounts& counts = farm_.counts_;
  ++counts.grants;
  if (grant.epoch() <= face_.fence->highest_epoch()) {
    ++counts.stale_grants;
    return;
  }
  const double chance = rng_.Unit();
  if (chance < behaviour.drop) {
    ++counts.dropped;
    dropping_ = true;
    return HangUp();
  }
  if (chance < behaviour.drop + behaviour.silence) {
    ++counts.silent;
    return;
  }
  face_.fence->Grant({grant.lease_id(), grant.client(), grant.epoch(), grant.owner()});
  nanoseconds delay = behaviour.latency;
  if (behaviour.noise > 0) {
    const double factor = 1 + behaviour.noise * (2 * rng_.Unit() - 1);
    delay = nanoseconds(static_cast<std::int64_t>(static_cast<double>(delay.count()) * factor));
  }
  if (chance < behaviour.drop + behaviour.silence + behaviour.late) {
    ++counts.late;
    delay += behaviour.late_by;
  }
  acknowledged_.reset();
  AcknowledgeAfter(delay, grant.epoch());
}

void SimulatedDevice::AcknowledgeAfter(nanoseconds delay, std::uint64_t epoch) {
  if (delay.count() <= 0) return Acknowledge(epoch);
  farm_.loop_.After(delay, [this, epoch, number = link_number_] {
    if (link_ && number == link_number_) Acknowledge(epoch);
  });
}

void SimulatedDevice::Acknowledge(std::uint64_t epoch) {
  ++farm_.counts_.acknowledged;
  if (epoch == face_.fence->highest_epoch()) acknowledged_ = LoadLoop::Now();
  link_->Acknowledge(epoch);
}

void SimulatedDevice::OnEnded(const Status& status, bool was_registered) {
  if (was_registered) {
    --farm_.connected_;
  } else {
    farm_.Forget(*this);
  }
  --farm_.open_;
  ++farm_.counts_.ended;
  if (!dropping_) farm_.counts_.last_end = Message(status);
  nanoseconds pause = pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
  link_.reset();
  if (dropping_ || farm_.closing_) {
    channel_.reset();  // closes the connection
    pause = farm_.options_.behaviour.away;
  }
  dropping_ = false;
  if (farm_.closing_) return;
  farm_.loop_.After(pause, [this] { farm_.Dial(*this); });
}

SimulatedDevices::SimulatedDevices(Dialer& dialer, DeviceOptions options)
    : dialer_(dialer), loop_(dialer.loop()), options_(std::move(options)) {
  Rng seeds(options_.seed);
  for (const std::string& name : options_.names) {
    devices_.push_back(std::make_unique<SimulatedDevice>(*this, name, seeds.Next()));
    by_name_[name] = devices_.back().get();
  }
}

SimulatedDevices::~SimulatedDevices() = default;

void SimulatedDevices::Dial(SimulatedDevice& device) {
  if (closing_) return;
  to_dial_.push_back(&device);
  DialNext();
}

void SimulatedDevices::DialNext() {
  while (!closing_ && dialling_ < kDialledAtOnce && !to_dial_.empty()) {
    SimulatedDevice& device = *to_dial_.front();
    to_dial_.pop_front();
    ++dialling_;
    ++open_;
    device.Open();
  }
}

void SimulatedDevices::Forget(SimulatedDevice&) {
  --dialling_;
  DialNext();
}

bool SimulatedDevices::Connect(nanoseconds patience) {
  for (const auto& device : devices_) to_dial_.push_back(device.get());
  DialNext();
  return loop_.RunUntil([this] { return connected_ == devices_.size(); }, patience);
}

bool SimulatedDevices::Close(nanoseconds patience) {
  closing_ = true;
  for (const auto& device : devices_) device->HangUp();
  return loop_.RunUntil([this] { return open_ == 0; }, patience);
}

std::optional<SteadyTime> SimulatedDevices::Acknowledged(const std::string& device,
                                                         std::string_view lease,
                                                         std::uint64_t epoch) const {
  const auto found = by_name_.find(device);
  if (found == by_name_.end()) return std::nullopt;
  return found->second->Acknowledged(lease, epoch);
}

}  // namespace kiln::load
