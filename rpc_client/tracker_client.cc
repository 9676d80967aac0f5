#include "rpc_client/tracker_client.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "proto/device_stock.h"
#include "proto/tls_probe.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"

namespace kiln {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kNotice{200};
constexpr milliseconds kProbeTime{2000};
// The tracker answers at the end of the wait that it is asked for; it is given this much longer.
constexpr std::chrono::seconds kAnswerTime{5};
constexpr std::chrono::hours kLongestWait{24};  // AcquireLeaseRequest.wait_ms

std::chrono::system_clock::time_point In(nanoseconds time) {
  return std::chrono::system_clock::now() +
         std::chrono::duration_cast<std::chrono::system_clock::duration>(time);
}

const char* StateName(v1::DeviceEntry::State state) {
  switch (state) {
    case v1::DeviceEntry::STATE_FREE:
      return "free";
    case v1::DeviceEntry::STATE_OFFERED:
      return "offered";
    case v1::DeviceEntry::STATE_LEASED:
      return "leased";
    case v1::DeviceEntry::STATE_LOST:
      return "lost";
    case v1::DeviceEntry::STATE_QUARANTINED:
      return "quarantined";
    default:
      return "unknown";
  }
}

StatusOr<TimeKind> ReadTimeKind(const std::string& name, const std::string& device) {
  if (const std::optional<TimeKind> kind = TimeKindNamed(name)) return *kind;
  return Error(StatusCode::kInternal, "the times of device ", device, " are of an unknown kind '",
               name, "'");
}

StatusOr<DeviceInfo> FromProto(const v1::DeviceEntry& entry) {
  DeviceInfo info;
  info.name = entry.name();
  info.target = entry.target();
  info.address = entry.address();
  info.build = entry.build();
  info.isa.assign(entry.isa().begin(), entry.isa().end());
  info.cores = entry.cores();
  info.labels.insert(entry.labels().begin(), entry.labels().end());
  info.state = StateName(entry.state());
  info.client = entry.client();
  info.epoch = entry.epoch();
  info.failures = entry.failures();
  info.fault = entry.fault();
  info.retry = milliseconds(entry.retry_ms());
  ASSIGN_OR_RETURN(info.time_kind, ReadTimeKind(entry.time_kind(), entry.name()));
  return info;
}

// Of one method of the tracker.
template <typename Request, typename Reply>
class UnaryCall final : public PendingCall, private grpc::ClientUnaryReactor {
 public:
  using Start =
      std::function<void(grpc::ClientContext*, const Request*, Reply*, grpc::ClientUnaryReactor*)>;
  using Done = std::function<void(const Status&, const Reply&)>;

  UnaryCall(const Start& start, Request request, nanoseconds timeout, Done done)
      : request_(std::move(request)), done_(std::move(done)) {
    context_.set_deadline(In(timeout));
    start(&context_, &request_, &reply_, this);
    StartCall();
  }
  ~UnaryCall() override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_; });
  }
  void Cancel() override { context_.TryCancel(); }

 private:
  void OnDone(const grpc::Status& status) override {
    done_(FromGrpc(status), reply_);
    std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  const Request request_;
  const Done done_;
  grpc::ClientContext context_;
  Reply reply_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
};
using RenewCall = UnaryCall<v1::RenewLeaseRequest, v1::RenewLeaseReply>;
using AcquireCall = UnaryCall<v1::AcquireLeaseRequest, v1::AcquireLeaseReply>;
using ReleaseCall = UnaryCall<v1::ReleaseLeaseRequest, v1::ReleaseLeaseReply>;

class GrpcTrackerClient final : public TrackerClient {
 public:
  explicit GrpcTrackerClient(const TrackerEndpoint& endpoint)
      : address_(endpoint.address),
        tls_(endpoint.tls),
        channel_(Dial(address_, {tls_})),
        stub_(v1::Tracker::NewStub(channel_)) {}

  const std::string& address() const override { return address_; }
  const TlsFiles& tls() const override { return tls_; }

  Status Connect(nanoseconds timeout) override {
    if (Channel()->WaitForConnected(In(timeout))) return absl::OkStatus();
    const Status why = WhyNoConnection(address_, tls_, "", kProbeTime);
    if (why.ok()) return NothingAnswers(address_, timeout);
    if (why.code() != StatusCode::kUnavailable) return why;  // it will not come by itself
    return Error(StatusCode::kUnavailable, Message(NothingAnswers(address_, timeout)), " (",
                 Message(why), ")");
  }

  void AwaitDisconnect() override {
    Channel()->WaitForStateChange(GRPC_CHANNEL_READY, In(kNotice));
  }

  std::unique_ptr<PendingCall> Acquire(const AcquireRequest& request, nanoseconds wait,
                                       std::function<void(StatusOr<GrantedLease>)> done) override {
    const milliseconds queue = std::clamp(std::chrono::ceil<milliseconds>(wait), milliseconds(0),
                                          milliseconds(kLongestWait));
    v1::AcquireLeaseRequest message;
    message.set_protocol(kProtocolVersion);
    message.set_lease_id(request.lease_id);
    message.set_client(request.client.name);
    message.set_target(request.target);
    message.set_priority(request.client.priority);
    message.set_wait_ms(queue.count());
    message.set_time_kind(Name(request.time_kind));
    return std::make_unique<AcquireCall>(
        [stub = Stub()](auto... call) { stub->async()->AcquireLease(call...); }, std::move(message),
        queue + kAnswerTime,
        [this, done = std::move(done)](const Status& status, const v1::AcquireLeaseReply& reply) {
          status.ok() ? done(ReadGrant(reply)) : done(Heard(status));
        });
  }

  std::unique_ptr<PendingCall> Renew(const GrantedLease& lease,
                                     std::function<void(StatusOr<RenewedLease>)> done) override {
    v1::RenewLeaseRequest request;
    request.set_lease_id(lease.id);
    request.set_device(lease.device);
    request.set_epoch(lease.epoch);
    return std::make_unique<RenewCall>(
        [stub = Stub()](auto... call) { stub->async()->RenewLease(call...); }, std::move(request),
        lease.ttl / 3,
        [this, done = std::move(done)](const Status& status, const v1::RenewLeaseReply& reply) {
          status.ok() ? done(RenewedLease{reply.give_back()}) : done(Heard(status));
        });
  }

  std::unique_ptr<PendingCall> Release(const GrantedLease& lease, const LeaseOutcome& outcome,
                                       nanoseconds timeout) override {
    return BeginRelease(lease, outcome, timeout,
                        [this](const Status& status) { Heard(status).IgnoreError(); });
  }

  Status Withdraw(const std::string& lease_id, nanoseconds timeout) override {
    Status outcome;
    // The end of the call, which this waits for, comes after its outcome.
    BeginRelease(GrantedLease{.id = lease_id, .device = {}, .address = {}}, {}, timeout,
                 [&](const Status& status) { outcome = Heard(status); });
    return outcome;
  }

  StatusOr<FarmInfo> List(nanoseconds timeout) override {
    grpc::ClientContext context;
    context.set_deadline(In(timeout));
    v1::ListDevicesReply reply;
    RETURN_IF_ERROR(Heard(FromGrpc(Stub()->ListDevices(&context, {}, &reply))));
    FarmInfo farm;
    farm.waiting = reply.waiting();
    for (const v1::DeviceEntry& entry : reply.devices()) {
      ASSIGN_OR_RETURN(DeviceInfo device, FromProto(entry));
      farm.devices.push_back(std::move(device));
      if (entry.address().empty()) farm.devices.back().address = address_;
    }
    return farm;
  }

 private:
  std::unique_ptr<PendingCall> BeginRelease(const GrantedLease& lease, const LeaseOutcome& outcome,
                                            nanoseconds timeout,
                                            std::function<void(const Status&)> done) {
    v1::ReleaseLeaseRequest request;
    request.set_lease_id(lease.id);
    request.set_device(lease.device);
    request.set_epoch(lease.epoch);
    request.set_fault(outcome.fault);
    request.set_served(outcome.served);
    return std::make_unique<ReleaseCall>(
        [stub = Stub()](auto... call) { stub->async()->ReleaseLease(call...); }, std::move(request),
        timeout, [done = std::move(done)](const Status& status, const auto&) { done(status); });
  }

  // A connection keeps the certificate that it was made with, and there may be a new one by now: after
  // it was refused the next call makes another connection. (Not here: gRPC's threads come by, on
  // which no channel may end.)
  Status Heard(const Status& status) {
    if (status.code() == StatusCode::kUnauthenticated) refused_ = true;
    return status;
  }
  std::shared_ptr<v1::Tracker::Stub> Stub() {
    std::lock_guard lock(mutex_);
    if (refused_.exchange(false)) {
      channel_ = Dial(address_, {tls_});
      stub_ = v1::Tracker::NewStub(channel_);
    }
    return stub_;
  }
  std::shared_ptr<grpc::Channel> Channel() {
    std::lock_guard lock(mutex_);
    return channel_;
  }

  StatusOr<GrantedLease> ReadGrant(const v1::AcquireLeaseReply& reply) const {
    ASSIGN_OR_RETURN(const TimeKind kind, ReadTimeKind(reply.time_kind(), reply.device()));
    const std::string& address = reply.address().empty() ? address_ : reply.address();
    return GrantedLease{reply.lease_id(),
                        reply.epoch(),
                        reply.device(),
                        address,
                        milliseconds(reply.ttl_ms()),
                        kind};
  }

  const std::string address_;
  const TlsFiles tls_;
  std::atomic<bool> refused_ = false;
  std::mutex mutex_;  // guards what follows
  std::shared_ptr<grpc::Channel> channel_;
  std::shared_ptr<v1::Tracker::Stub> stub_;
};

}  // namespace

Status NothingAnswers(const std::string& address, nanoseconds tried_for) {
  return Error(StatusCode::kUnavailable, "nothing answers at ", address, " (tried for ",
               DescribeTime(std::chrono::duration_cast<milliseconds>(tried_for)),
               "): is kiln-tracker running there?");
}

std::unique_ptr<TrackerClient> NewTrackerClient(const TrackerEndpoint& endpoint) {
  return std::make_unique<GrpcTrackerClient>(endpoint);
}

}  // namespace kiln
