#include "benchmarks/farm_load/simulated_devices.h"

#include <algorithm>
#include <utility>

#include "proto/tracker.grpc.pb.h"
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
      : farm_(farm), name_(name), rng_(seed), instance_(std::to_string(rng_.Next())) {}

  const std::string& name() const { return name_; }
  bool open() const { return link_ != nullptr; }
  std::optional<SteadyTime> Acknowledged(std::string_view lease, std::uint64_t epoch) const {
    if (held_epoch_ != epoch || held_lease_ != lease) return std::nullopt;
    return acknowledged_;
  }

  void Open();
  void HangUp();

 private:
  // One connection: a stream, its operations under way, and what waits to be written.
  class Link {
   public:
    explicit Link(SimulatedDevice& device) : device_(device) {}
    void Start(v1::Tracker::Stub& stub, v1::DeviceReport hello, LoadLoop& loop) {
      report_ = std::move(hello);
      stream_ = stub.PrepareAsyncServe(&context_, loop.queue());
      ++under_way_;
      stream_->StartCall(&started_);
    }
    void Acknowledge(std::uint64_t epoch) {
      acks_.push_back(epoch);
      WriteNext();
    }
    void Cancel() { context_.TryCancel(); }

   private:
    void OnStarted(bool ok) {
      --under_way_;
      if (!ok) return Finish();
      writing_ = true;
      ++under_way_;
      stream_->Write(report_, &written_);
      Read();
    }
    void OnWritten(bool ok) {
      --under_way_;
      writing_ = false;
      if (ok && !said_hello_) {
        said_hello_ = true;
        device_.OnRegistered();
      }
      if (!ok) acks_.clear();
      if (finished_) return EndIfDone();
      WriteNext();
    }
    void OnRead(bool ok) {
      --under_way_;
      if (!ok) return Finish();
      Read();  // at once: a command that is there already comes with the next poll
      device_.OnCommand(taken_);
    }
    void OnFinished(bool) {
      --under_way_;
      finished_ = true;
      EndIfDone();
    }

    void Read() {
      taken_.Swap(&command_);
      ++under_way_;
      stream_->Read(&command_, &read_);
    }
    void WriteNext() {
      if (writing_ || acks_.empty() || ending_) return;
      report_.mutable_ack()->set_epoch(acks_.front());
      acks_.pop_front();
      writing_ = true;
      ++under_way_;
      stream_->Write(report_, &written_);
    }
    void Finish() {
      ending_ = true;
      ++under_way_;
      stream_->Finish(&status_, &finish_);
    }
    void EndIfDone() {
      if (under_way_ == 0) device_.OnEnded(status_, said_hello_);  // destroys this
    }

    SimulatedDevice& device_;
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientAsyncReaderWriter<v1::DeviceReport, v1::DeviceCommand>> stream_;
    v1::DeviceReport report_;
    v1::DeviceCommand command_, taken_;
    grpc::Status status_;
    std::deque<std::uint64_t> acks_;
    int under_way_ = 0;
    bool writing_ = false, said_hello_ = false, ending_ = false, finished_ = false;
    MethodTag<&Link::OnStarted> started_{this};
    MethodTag<&Link::OnWritten> written_{this};
    MethodTag<&Link::OnRead> read_{this};
    MethodTag<&Link::OnFinished> finish_{this};
  };

  v1::DeviceReport Hello() const;
  void OnRegistered();
  void OnCommand(const v1::DeviceCommand& command);
  void OnGrant(const v1::GrantEpoch& grant);
  void AcknowledgeAfter(nanoseconds delay, std::uint64_t epoch);
  void Acknowledge(std::uint64_t epoch);
  void OnEnded(const grpc::Status& status, bool was_registered);

  SimulatedDevices& farm_;
  const std::string name_;
  Rng rng_;
  const std::string instance_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Tracker::Stub> stub_;
  std::unique_ptr<Link> link_;
  std::uint64_t link_number_ = 0;  // of the latest, for what comes late
  std::uint64_t highest_epoch_ = 0;
  std::string held_lease_, held_client_, held_owner_;
  std::uint64_t held_epoch_ = 0;  // 0: nothing
  std::optional<SteadyTime> acknowledged_;
  milliseconds pause_ = kFirstPause;
  bool dropping_ = false;
};

void SimulatedDevice::Open() {
  if (!channel_) {
    channel_ = MakeChannel(farm_.endpoint_, farm_.options_.credential(name_));
    stub_ = v1::Tracker::NewStub(channel_);
  }
  ++link_number_;
  link_ = std::make_unique<Link>(*this);
  link_->Start(*stub_, Hello(), farm_.loop_);
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
  hello.set_address(options.address);
  hello.set_time_kind(options.time_kind);
  hello.set_highest_epoch(highest_epoch_);
  if (held_epoch_ != 0) {
    hello.mutable_held()->set_lease_id(held_lease_);
    hello.mutable_held()->set_client(held_client_);
    hello.mutable_held()->set_epoch(held_epoch_);
    hello.mutable_held()->set_owner(held_owner_);
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
    if (command.revoke().epoch() == held_epoch_) held_epoch_ = 0;
  }
}

void SimulatedDevice::OnGrant(const v1::GrantEpoch& grant) {
  const DeviceBehaviour& behaviour = farm_.options_.behaviour;
  DeviceCounts& counts = farm_.counts_;
  ++counts.grants;
  if (grant.epoch() <= highest_epoch_) {
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
  highest_epoch_ = held_epoch_ = grant.epoch();
  held_lease_ = grant.lease_id();
  held_client_ = grant.client();
  held_owner_ = grant.owner();
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
  if (epoch == held_epoch_) acknowledged_ = LoadLoop::Now();
  link_->Acknowledge(epoch);
}

void SimulatedDevice::OnEnded(const grpc::Status& status, bool was_registered) {
  if (was_registered) {
    --farm_.connected_;
  } else {
    farm_.Forget(*this);
  }
  --farm_.open_;
  ++farm_.counts_.ended;
  if (!dropping_) farm_.counts_.last_end = status.error_message();
  nanoseconds pause = pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
  link_.reset();
  if (dropping_ || farm_.closing_) {
    stub_.reset();
    channel_.reset();  // closes the connection
    pause = farm_.options_.behaviour.away;
  }
  dropping_ = false;
  if (farm_.closing_) return;
  farm_.loop_.After(pause, [this] { farm_.Dial(*this); });
}

SimulatedDevices::SimulatedDevices(LoadLoop& loop, const Endpoint& endpoint, DeviceOptions options)
    : loop_(loop), endpoint_(endpoint), options_(std::move(options)) {
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
