#include "rpc_server/tracker_link.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <random>
#include <utility>

#include "base/digest.h"
#include "proto/streams.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{2'000};  // a device is back within five seconds

std::string RandomName() {
  std::random_device device;
  return Hex((std::uint64_t{device()} << 32) | device());
}

class Registration;

// One connection.
class LinkStream final : public ClientStream<v1::DeviceReport, v1::DeviceCommand> {
 public:
  explicit LinkStream(Registration& registration) : registration_(registration) {}

 private:
  void OnMessage(v1::DeviceCommand command) override;
  void OnEnded(const Status& status) override;
  Registration& registration_;
};

// Connects, and connects again when a connection ends, until it is stopped.
class Registration final : public std::enable_shared_from_this<Registration> {
 public:
  Registration(Reactor& reactor, LeaseFence& fence, const TrackerLinkOptions& options)
      : reactor_(reactor),
        fence_(fence),
        options_(options),
        stub_(v1::Tracker::NewStub(Dial(options.tracker, options.dial))) {}

  void Connect() {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (stream_) stream_->AwaitDone();  // it has ended, but gRPC may still be about to return
    stream_ = std::make_unique<LinkStream>(*this);
    stub_->async()->Serve(&stream_->context(), stream_.get());
    stream_->Send(Hello());
    stream_->Open();
  }

  // Returns when nothing touches the reactor or the fence any more.
  void Stop() {
    std::unique_ptr<LinkStream> stream;
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      stream = std::move(stream_);
    }
    if (!stream) return;
    stream->Cancel();
    stream->AwaitDone();
  }

  void Obey(LinkStream& stream, const v1::DeviceCommand& command) {
    {
      std::lock_guard lock(mutex_);
      pause_ = kFirstPause;
      said_.clear();
    }
    if (command.has_revoke()) fence_.Revoke(command.revoke().epoch());
    if (!command.has_grant()) return;
    const v1::GrantEpoch& grant = command.grant();
    if (!fence_.Grant({grant.lease_id(), grant.client(), grant.epoch(), grant.owner()})) {
      // Not acknowledged, so the tracker ends this connection, and learns from the next hello what
      // epochs there have been.
      spdlog::error("the tracker grants epoch {}, but {} has been served", grant.epoch(),
                    fence_.highest_epoch());
      return;
    }
    v1::DeviceReport report;
    report.mutable_ack()->set_epoch(grant.epoch());
    stream.Send(std::move(report));
  }

  void Ended(const Status& status) {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    if (const std::string text = Message(status); text != said_) {  // once, not at each attempt
      spdlog::warn("connection to tracker {} ended: {}; trying again", options_.tracker, text);
      said_ = text;
    }
    reactor_.After(pause_, [weak = weak_from_this()] {
      if (const auto registration = weak.lock()) registration->Connect();
    });
    pause_ = std::min(pause_ * 2, kLongestPause);
  }

 private:
  v1::DeviceReport Hello() const {
    v1::DeviceReport report;
    v1::DeviceHello& hello = *report.mutable_hello();
    const DeviceIdentity& identity = options_.identity;
    hello.set_protocol(kProtocolVersion);
    hello.set_build(identity.build);
    hello.set_name(identity.name);
    hello.set_instance(instance_);
    hello.set_target(identity.target);
    hello.mutable_isa()->Add(identity.isa.begin(), identity.isa.end());
    hello.set_cores(static_cast<std::int32_t>(identity.cores.size()));
    hello.mutable_labels()->insert(identity.labels.begin(), identity.labels.end());
    hello.set_address(options_.address);
    hello.set_time_kind(Name(identity.time_kind));
    hello.set_highest_epoch(fence_.highest_epoch());
    if (const auto held = fence_.held()) {
      hello.mutable_held()->set_lease_id(held->id);
      hello.mutable_held()->set_client(held->client);
      hello.mutable_held()->set_epoch(held->epoch);
      hello.mutable_held()->set_owner(held->owner);
    }
    return report;
  }

  Reactor& reactor_;
  LeaseFence& fence_;
  const TrackerLinkOptions options_;
  const std::string instance_ = RandomName();
  const std::unique_ptr<v1::Tracker::Stub> stub_;
  std::mutex mutex_;                    // guards what follows
  std::unique_ptr<LinkStream> stream_;  // the latest
  milliseconds pause_ = kFirstPause;    // before the next attempt
  std::string said_;                    // the last error in the log
  bool stopping_ = false;
};

void LinkStream::OnMessage(v1::DeviceCommand command) { registration_.Obey(*this, command); }
void LinkStream::OnEnded(const Status& status) { registration_.Ended(status); }

class RegisteredLink final : public TrackerLink {
 public:
  RegisteredLink(Reactor& reactor, LeaseFence& fence, const TrackerLinkOptions& options)
      : registration_(std::make_shared<Registration>(reactor, fence, options)) {
    registration_->Connect();
  }
  ~RegisteredLink() override { registration_->Stop(); }

 private:
  const std::shared_ptr<Registration> registration_;
};

}  // namespace

std::unique_ptr<TrackerLink> NewTrackerLink(Reactor& reactor, LeaseFence& fence,
                                            const TrackerLinkOptions& options) {
  return std::make_unique<RegisteredLink>(reactor, fence, options);
}

}  // namespace kiln
