#include "rpc_tracker/tracker_service.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "proto/streams.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"

namespace kiln {
namespace {

constexpr std::int64_t kMaxWaitMs = 86'400'000;

// Empty stands for the usual kind.
std::string TimeKindOf(const std::string& text) { return text.empty() ? "measured" : text; }

StatusOr<DeviceHello> ReadHello(const v1::DeviceHello& message, const std::string& peer) {
  RETURN_IF_ERROR(CheckProtocol(message.protocol(), "the device"));
  if (!IsName(message.name()) || !IsName(message.target()) || message.instance().empty() ||
      message.cores() < 1 || !IsName(TimeKindOf(message.time_kind()))) {
    return Error(StatusCode::kInvalidArgument,
                 "a device's hello needs a name and a target of 1..128 printable characters "
                 "without spaces, an instance, at least one core and a word as time_kind");
  }
  DeviceHello hello;
  hello.name = message.name();
  hello.instance = message.instance();
  hello.target = message.target();
  hello.isa.assign(message.isa().begin(), message.isa().end());
  hello.cores = message.cores();
  hello.labels.insert(message.labels().begin(), message.labels().end());
  hello.address = ReachableAddress(message.address(), peer);
  hello.build = message.build();
  hello.highest_epoch = message.highest_epoch();
  hello.time_kind = TimeKindOf(message.time_kind());
  if (message.has_held()) {
    const v1::HeldLease& held = message.held();
    hello.held = HeldLease{held.lease_id(), held.client(), held.epoch(), held.owner()};
  }
  return hello;
}

v1::DeviceEntry::State ToProto(DeviceStatus status) {
  switch (status) {
    case DeviceStatus::kFree:
      return v1::DeviceEntry::STATE_FREE;
    case DeviceStatus::kOffered:
      return v1::DeviceEntry::STATE_OFFERED;
    case DeviceStatus::kLeased:
      return v1::DeviceEntry::STATE_LEASED;
    case DeviceStatus::kLost:
      return v1::DeviceEntry::STATE_LOST;
  }
  return v1::DeviceEntry::STATE_UNSPECIFIED;
}

v1::DeviceEntry ToProto(const DeviceView& view) {
  v1::DeviceEntry entry;
  entry.set_name(view.hello.name);
  entry.set_target(view.hello.target);
  entry.mutable_isa()->Add(view.hello.isa.begin(), view.hello.isa.end());
  entry.set_cores(view.hello.cores);
  entry.mutable_labels()->insert(view.hello.labels.begin(), view.hello.labels.end());
  entry.set_address(view.hello.address);
  entry.set_build(view.hello.build);
  entry.set_state(ToProto(view.status));
  entry.set_client(view.client);
  entry.set_epoch(view.epoch);
  entry.set_time_kind(view.hello.time_kind);
  return entry;
}

class Shell;

// A device's connection.
class DeviceSession final : public ServerStream<v1::DeviceReport, v1::DeviceCommand> {
 public:
  DeviceSession(std::shared_ptr<Shell> shell, std::string peer)
      : shell_(std::move(shell)), peer_(std::move(peer)) {}

 private:
  void OnMessage(v1::DeviceReport report) override;
  void OnClosed() override;

  const std::shared_ptr<Shell> shell_;
  const std::string peer_;
  SessionId id_ = 0;  // 0: before its hello; touched by gRPC's reactions only, one at a time
};

// A client in the queue. Answered once: by the table or, replaced by a repeated call, with ABORTED.
class AcquireCall final : public grpc::ServerUnaryReactor {
 public:
  AcquireCall(std::shared_ptr<Shell> shell, v1::AcquireLeaseReply* reply, std::string id)
      : shell_(std::move(shell)), reply_(reply), id_(std::move(id)) {}

  static void Begin(const std::shared_ptr<AcquireCall>& call) { call->self_ = call; }
  void Answer(const StatusOr<LeaseGrant>& answer, std::chrono::milliseconds ttl) {
    if (answer.ok()) {
      reply_->set_lease_id(answer->id);
      reply_->set_epoch(answer->epoch);
      reply_->set_device(answer->device);
      reply_->set_address(answer->address);
      reply_->set_time_kind(answer->time_kind);
      reply_->set_ttl_ms(ttl.count());
    }
    Finish(ToGrpc(answer.status()));
  }

 private:
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

  const std::shared_ptr<Shell> shell_;
  v1::AcquireLeaseReply* const reply_;
  const std::string id_;
  std::shared_ptr<AcquireCall> self_;
};

// The table with its lock, and who is to be told what. gRPC's objects hold it by shared_ptr, since
// their last reactions may come late.
class Shell final : public std::enable_shared_from_this<Shell> {
 public:
  Shell(Reactor& reactor, const Clock& clock, const LeaseTableOptions& options)
      : reactor_(reactor), clock_(clock), table_(options, clock.Now()) {}

  StatusOr<SessionId> Register(const std::shared_ptr<DeviceSession>& stream, DeviceHello hello) {
    const std::string name = hello.name, address = hello.address, target = hello.target;
    StatusOr<SessionId> session = Error(StatusCode::kInternal, "not registered");
    Apply([&](SteadyTime now) {
      session = table_.Register(now, std::move(hello));
      if (session.ok()) sessions_[*session] = stream;
    });
    if (session.ok()) {
      spdlog::info("device {} registered: {} at {}", name, target, address);
    } else {
      spdlog::warn("device {} refused: {}", name, Message(session.status()));
    }
    return session;
  }

  void Acknowledge(SessionId session, std::uint64_t epoch) {
    Apply([&](SteadyTime now) { table_.Acknowledge(now, session, epoch); });
  }

  void Disconnect(SessionId session) {
    Apply([&](SteadyTime now) {
      table_.Disconnect(now, session);
      sessions_.erase(session);
    });
  }

  void Acquire(const std::shared_ptr<AcquireCall>& call, const LeaseRequest& request) {
    std::shared_ptr<AcquireCall> former;
    Status status;
    Apply([&](SteadyTime now) {
      status = table_.Request(now, request);
      if (status.ok()) former = std::exchange(calls_[request.id], call);
    });
    if (!status.ok()) call->Answer(status, table_.ttl());
    if (former) {
      former->Answer(Error(StatusCode::kAborted, "repeated by its client"), table_.ttl());
    }
  }

  void Cancel(const AcquireCall* call, const std::string& id) {
    std::shared_ptr<AcquireCall> gone;
    Apply([&](SteadyTime now) {
      const auto found = calls_.find(id);
      if (found == calls_.end() || found->second.get() != call) return;
      gone = std::move(found->second);
      calls_.erase(found);
      (void)table_.Cancel(now, id, "");
    });
    if (gone) gone->Answer(Error(StatusCode::kCancelled, "the client has gone"), table_.ttl());
  }

  Status Renew(const v1::RenewLeaseRequest& request) {
    Status status;
    Apply([&](SteadyTime now) {
      status =
          table_.Renew(now, {"", request.device(), request.lease_id(), request.epoch()}).status();
    });
    return status;
  }

  void Release(const v1::ReleaseLeaseRequest& request) {
    Apply([&](SteadyTime now) {
      if (request.device().empty()) {
        (void)table_.Cancel(now, request.lease_id(), "");
      } else {
        (void)table_.Release(now, {"", request.device(), request.lease_id(), request.epoch()});
      }
    });
  }

  void List(v1::ListDevicesReply* reply) {
    std::lock_guard lock(mutex_);
    for (const DeviceView& view : table_.Devices()) *reply->add_devices() = ToProto(view);
    reply->set_waiting(static_cast<std::int32_t>(table_.waiting()));
  }

  std::chrono::milliseconds ttl() const { return table_.ttl(); }

 private:
  // Lets `change` act on the table at this moment, then carries out what came of it: under the
  // lock, so that devices hear of it in the table's order. Of gRPC's reactions only OnDone() may
  // run within an operation, and ours take no lock.
  template <typename Change>
  void Apply(const Change& change) {
    std::lock_guard lock(mutex_);
    const SteadyTime now = clock_.Now();
    change(now);
    table_.Tick(now);
    for (const LeaseAction& action : table_.TakeActions()) {
      std::visit([this](const auto& known) { this->Carry(known); }, action);
    }
    Schedule(now);
  }

  void Carry(const SendGrant& grant) {
    v1::DeviceCommand command;
    command.mutable_grant()->set_lease_id(grant.lease.id);
    command.mutable_grant()->set_client(grant.lease.client);
    command.mutable_grant()->set_epoch(grant.lease.epoch);
    Command(grant.session, std::move(command));
  }
  void Carry(const SendRevoke& revoke) {
    v1::DeviceCommand command;
    command.mutable_revoke()->set_epoch(revoke.epoch);
    Command(revoke.session, std::move(command));
  }
  void Carry(const EndSession& end) {
    const auto session = sessions_.extract(end.session);
    if (!session) return;
    spdlog::warn("device connection ended: {}", Message(end.why));
    session.mapped()->End(end.why);
  }
  void Carry(const AnswerRequest& answer) {
    // A client that has gone in the meantime leaves its lease to expire.
    if (const auto call = calls_.extract(answer.id)) {
      call.mapped()->Answer(answer.answer, table_.ttl());
    }
  }
  void Command(SessionId id, v1::DeviceCommand command) {
    const auto session = sessions_.find(id);
    if (session != sessions_.end()) session->second->Send(std::move(command));
  }

  // Wakes the table when it is due, unless an earlier wake-up is on its way.
  void Schedule(SteadyTime now) {
    const std::optional<SteadyTime> next = table_.NextTick();
    if (!next || (wake_ && *wake_ <= *next && *wake_ > now)) return;
    wake_ = *next;
    reactor_.After(std::max(*next - now, Nanoseconds(0)), [weak = weak_from_this()] {
      if (const auto shell = weak.lock()) shell->Apply([](SteadyTime) {});
    });
  }

  Reactor& reactor_;
  const Clock& clock_;
  std::mutex mutex_;  // guards what follows
  LeaseTable table_;
  std::map<SessionId, std::shared_ptr<DeviceSession>> sessions_;
  std::map<std::string, std::shared_ptr<AcquireCall>> calls_;  // by lease id
  std::optional<SteadyTime> wake_;
};

void DeviceSession::OnMessage(v1::DeviceReport report) {
  const auto self = std::static_pointer_cast<DeviceSession>(shared());
  if (report.has_ack() && id_ != 0) {
    shell_->Acknowledge(id_, report.ack().epoch());
    return ReadNext();
  }
  if (!report.has_hello() || id_ != 0) {
    return End(Error(StatusCode::kInvalidArgument, "a device says hello first, and once"));
  }
  StatusOr<DeviceHello> hello = ReadHello(report.hello(), peer_);
  if (!hello.ok()) {
    spdlog::warn("device at {} refused: {}", peer_, Message(hello.status()));
    return End(hello.status());
  }
  const StatusOr<SessionId> session = shell_->Register(self, *std::move(hello));
  if (!session.ok()) return End(session.status());
  id_ = *session;
  ReadNext();
}

void DeviceSession::OnClosed() {
  if (id_ != 0) shell_->Disconnect(id_);
  End(absl::OkStatus());
}

void AcquireCall::OnCancel() { shell_->Cancel(this, id_); }

class TrackerServiceImpl final : public TrackerService, private v1::Tracker::CallbackService {
 public:
  TrackerServiceImpl(Reactor& reactor, const Clock& clock, const LeaseTableOptions& options)
      : shell_(std::make_shared<Shell>(reactor, clock, options)) {}
  grpc::Service& service() override { return *this; }

 private:
  grpc::ServerBidiReactor<v1::DeviceReport, v1::DeviceCommand>* Serve(
      grpc::CallbackServerContext* context) override {
    const auto stream = std::make_shared<DeviceSession>(shell_, context->peer());
    DeviceSession::Open(stream);
    return stream.get();
  }

  grpc::ServerUnaryReactor* AcquireLease(grpc::CallbackServerContext* context,
                                         const v1::AcquireLeaseRequest* request,
                                         v1::AcquireLeaseReply* reply) override {
    Status valid = CheckProtocol(request->protocol(), "the client");
    if (valid.ok() && (!IsName(request->lease_id()) || !IsName(request->client()) ||
                       !IsName(request->target()) || !IsName(TimeKindOf(request->time_kind())) ||
                       request->wait_ms() < 0 || request->wait_ms() > kMaxWaitMs)) {
      valid = Error(StatusCode::kInvalidArgument,
                    "a lease request needs lease_id, client and target of 1..128 printable "
                    "characters without spaces, and wait_ms of 0..86400000");
    }
    if (!valid.ok()) return Done(context, valid);
    const auto call = std::make_shared<AcquireCall>(shell_, reply, request->lease_id());
    AcquireCall::Begin(call);
    shell_->Acquire(call, {request->lease_id(), request->client(), request->target(),
                           request->priority(), std::chrono::milliseconds(request->wait_ms()),
                           TimeKindOf(request->time_kind()), ""});
    return call.get();
  }

  grpc::ServerUnaryReactor* RenewLease(grpc::CallbackServerContext* context,
                                       const v1::RenewLeaseRequest* request,
                                       v1::RenewLeaseReply* reply) override {
    reply->set_ttl_ms(shell_->ttl().count());
    return Done(context, shell_->Renew(*request));
  }

  grpc::ServerUnaryReactor* ReleaseLease(grpc::CallbackServerContext* context,
                                         const v1::ReleaseLeaseRequest* request,
                                         v1::ReleaseLeaseReply*) override {
    shell_->Release(*request);
    return Done(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* ListDevices(grpc::CallbackServerContext* context,
                                        const v1::ListDevicesRequest*,
                                        v1::ListDevicesReply* reply) override {
    shell_->List(reply);
    return Done(context, absl::OkStatus());
  }

  static grpc::ServerUnaryReactor* Done(grpc::CallbackServerContext* context,
                                        const Status& status) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  const std::shared_ptr<Shell> shell_;
};

}  // namespace

std::unique_ptr<TrackerService> NewTrackerService(Reactor& reactor, const Clock& clock,
                                                  const LeaseTableOptions& options) {
  return std::make_unique<TrackerServiceImpl>(reactor, clock, options);
}

}  // namespace kiln
