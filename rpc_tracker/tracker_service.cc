#include "rpc_tracker/tracker_service.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "proto/device_stock.h"
#include "proto/streams.h"
#include "proto/tracker.grpc.pb.h"
#include "proto/transport.h"
#include "rpc_tracker/open_lists.h"
#include "rpc_tracker/tracker_codec.h"

namespace kiln {
namespace {

// From its connection on, a device has this long to say hello; so many may be about to.
constexpr std::chrono::seconds kHelloTime{10};
constexpr int kMaxUnregistered = 1024;
// A device acknowledges each lease, so that little is ever on its way to it.
constexpr StreamLimits kDeviceStream{kMaxTrackerMessageBytes, 64 << 10};
// How often the credentials of registered devices are looked at again.
constexpr std::chrono::seconds kRecheck{1};
// After a change of the devices' records, before they are written down.
constexpr std::chrono::milliseconds kKeepTime{200};

constexpr auto kClients = {Role::kClient, Role::kAdmin};
constexpr auto kDevices = {Role::kDevice};

class Shell;

// A device's connection.
class DeviceSession final : public ServerStream<v1::DeviceReport, v1::DeviceCommand> {
 public:
  DeviceSession(grpc::CallbackServerContext& context, std::shared_ptr<Shell> shell, Peer peer);
  ~DeviceSession() override;

  const Peer& peer() const { return peer_; }
  // Ends it if it has not said hello by now.
  void HelloIsDue();

 private:
  void OnMessage(v1::DeviceReport report) override;
  void OnClosed() override;

  const std::shared_ptr<Shell> shell_;
  const Peer peer_;
  std::atomic<SessionId> id_ = 0;  // 0: before its hello; written by gRPC's reactions only
};

// A client in the queue. Answered once: by the table or, replaced by a repeated call, with ABORTED.
class AcquireCall final : public grpc::ServerUnaryReactor {
 public:
  AcquireCall(std::shared_ptr<Shell> shell, grpc::ByteBuffer* reply, std::string id,
              std::string party)
      : shell_(std::move(shell)), reply_(reply), id_(std::move(id)), party_(std::move(party)) {}

  static void Begin(const std::shared_ptr<AcquireCall>& call) { call->self_ = call; }
  void Answer(const StatusOr<LeaseGrant>& answer, std::chrono::milliseconds ttl) {
    if (answer.ok()) {
      v1::AcquireLeaseReply reply;
      reply.set_lease_id(answer->id);
      reply.set_epoch(answer->epoch);
      reply.set_device(answer->device);
      reply.set_address(answer->address);
      reply.set_time_kind(answer->time_kind);
      reply.set_ttl_ms(ttl.count());
      *reply_ = SerializeMessage(reply);
    }
    Finish(ToGrpc(answer.status()));
  }
  const std::string& party() const { return party_; }

 private:
  void OnCancel() override;
  void OnDone() override { self_.reset(); }
  // Both may come on gRPC's own threads, with nothing of gRPC's held: handing them to another thread
  // takes a tenth of a lease cycle's time.
  bool InternalInlineable() override { return true; }

  const std::shared_ptr<Shell> shell_;
  grpc::ByteBuffer* const reply_;
  const std::string id_, party_;
  std::shared_ptr<AcquireCall> self_;
};

// The table with its lock, and who is to be told what. gRPC's objects hold it by shared_ptr, since
// their last reactions may come late.
//
// What the table wants done is put into the outbox under the lock, in the table's order, and carried
// out without it, by one thread at a time: gRPC's operations take longer than the table's.
class Shell final : public std::enable_shared_from_this<Shell> {
 public:
  Shell(Reactor& reactor, const Clock& clock, PeerCheck& peers, const LeaseTableOptions& options,
        EventLog* events, TrackerState* state)
      : reactor_(reactor),
        clock_(clock),
        peers_(peers),
        events_(events),
        ttl_(options.ttl),
        state_(state),
        table_(WithEvents(options, events), clock.Now()) {}

  PeerCheck& peers() { return peers_; }
  std::chrono::milliseconds ttl() const { return ttl_; }

  // A connection without hello begins; false: there are too many.
  bool Open(const std::shared_ptr<DeviceSession>& session) {
    reactor_.After(kHelloTime, [weak = std::weak_ptr(session)] {
      if (const auto late = weak.lock()) late->HelloIsDue();
    });
    return unregistered_.load() <= kMaxUnregistered;
  }
  void CountUnregistered(int change) { unregistered_ += change; }

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
    Status refused;
    Apply([&](SteadyTime now) {
      auto& entry = calls_[request.id];
      const std::shared_ptr<AcquireCall> before = std::exchange(entry, call);
      refused = table_.Request(now, request);
      if (refused.ok()) {
        former = before;
      } else if (before) {
        entry = before;  // it may be another's
      } else {
        calls_.erase(request.id);
      }
    });
    if (!refused.ok()) call->Answer(refused, ttl_);
    if (former) former->Answer(Error(StatusCode::kAborted, "repeated by its client"), ttl_);
  }

  void Cancel(const AcquireCall* call, const std::string& id) {
    std::shared_ptr<AcquireCall> gone;
    Apply([&](SteadyTime now) {
      const auto found = calls_.find(id);
      if (found == calls_.end() || found->second.get() != call) return;
      gone = std::move(found->second);
      calls_.erase(found);
      table_.Cancel(now, id, gone->party()).IgnoreError();
    });
    if (gone) gone->Answer(Error(StatusCode::kCancelled, "the client has gone"), ttl_);
  }

  StatusOr<Renewal> Renew(const v1::RenewLeaseRequest& request, const std::string& party) {
    StatusOr<Renewal> renewal = Error(StatusCode::kInternal, "not renewed");
    Apply([&](SteadyTime now) {
      renewal = table_.Renew(now, {party, request.device(), request.lease_id(), request.epoch()});
    });
    return renewal;
  }

  Status Release(const v1::ReleaseLeaseRequest& request, const std::string& party) {
    Status status;
    Apply([&](SteadyTime now) {
      status =
          request.device().empty()
              ? table_.Cancel(now, request.lease_id(), party)
              : table_.Release(now, {party, request.device(), request.lease_id(), request.epoch()},
                               ReadReport(request));
    });
    return status;
  }

  v1::ListDevicesReply List() {
    v1::ListDevicesReply reply;
    std::vector<DeviceView> views;
    SteadyTime now;
    {
      std::lock_guard lock(mutex_);
      now = clock_.Now();
      views = table_.Devices();
      reply.set_waiting(static_cast<std::int32_t>(table_.waiting()));
    }
    for (const DeviceView& view : views) *reply.add_devices() = WriteEntry(view, now);
    return reply;
  }
  std::vector<DeviceView> Devices() {
    std::lock_guard lock(mutex_);
    return table_.Devices();
  }
  OpenLists& lists() { return lists_; }

  // The last time that the state is used.
  void StopKeeping() {
    std::lock_guard lock(mutex_);
    if (state_) KeepRecords();
    state_ = nullptr;
  }

  // Looks again and again whether the registered devices' credentials are still good.
  void WatchCredentials() {
    reactor_.After(kRecheck, [weak = weak_from_this()] {
      const auto shell = weak.lock();
      if (!shell) return;
      shell->Recheck();
      shell->WatchCredentials();
    });
  }

 private:
  using Deed = std::function<void()>;

  static LeaseTableOptions WithEvents(LeaseTableOptions options, const EventLog* events) {
    options.record_events = events != nullptr;
    return options;
  }

  // Lets `change` act on the table at this moment, then sees to it that what came of it is done.
  template <typename Change>
  void Apply(const Change& change) {
    std::unique_lock lock(mutex_);
    const SteadyTime now = clock_.Now();
    change(now);
    table_.Tick(now);
    for (LeaseAction& action : table_.TakeActions()) {
      std::visit([this](auto& known) { this->Plan(std::move(known)); }, action);
    }
    if (events_) events_->Append(table_.TakeEvents());
    if (state_) ScheduleKeeping();
    Schedule(now);
    CarryOut(lock);
  }

  // One thread at a time, so that devices hear of things in the table's order.
  void CarryOut(std::unique_lock<std::mutex>& lock) {
    if (carrying_) return;
    carrying_ = true;
    while (!outbox_.empty()) {
      const Deed deed = std::move(outbox_.front());
      outbox_.pop_front();
      lock.unlock();
      deed();
      lock.lock();
    }
    carrying_ = false;
  }

  void Plan(SendGrant grant) { Command(grant.session, WriteGrant(grant)); }
  void Plan(SendRevoke revoke) { Command(revoke.session, WriteRevoke(revoke)); }
  void Plan(EndSession end) {
    auto session = sessions_.extract(end.session);
    if (!session) return;
    outbox_.push_back([stream = std::move(session.mapped()), why = std::move(end.why)] {
      spdlog::warn("connection of {} ended: {}", stream->peer().Describe(), Message(why));
      stream->Break(why);
    });
  }
  void Plan(AnswerRequest answer) {
    // A client that has gone in the meantime leaves its lease to expire.
    auto call = calls_.extract(answer.id);
    if (!call) return;
    outbox_.push_back([call = std::move(call.mapped()), answer = std::move(answer.answer),
                       ttl = ttl_] { call->Answer(answer, ttl); });
  }
  void Plan(TellQuarantine told) {
    outbox_.push_back([told = std::move(told)] {
      spdlog::warn("quarantine of {} for {}: {} failures in a row, the last: {}", told.device,
                   DescribeTime(told.time), told.record.failures, told.record.reason);
    });
  }
  void Command(SessionId id, v1::DeviceCommand command) {
    const auto session = sessions_.find(id);
    if (session == sessions_.end()) return;
    outbox_.push_back(
        [stream = session->second, command = std::move(command)] { stream->Send(command); });
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

  // Not at once: clients may say a thousand times a second that a device fails.
  void ScheduleKeeping() {
    if (keeping_ || table_.record_changes() == kept_) return;
    keeping_ = true;
    reactor_.After(kKeepTime, [weak = weak_from_this()] {
      const auto shell = weak.lock();
      if (!shell) return;
      std::lock_guard lock(shell->mutex_);
      shell->keeping_ = false;
      if (shell->state_) shell->KeepRecords();
    });
  }
  void KeepRecords() {
    if (std::exchange(kept_, table_.record_changes()) != table_.record_changes()) {
      state_->Keep(table_.records());
    }
  }

  void Recheck() {
    const std::uint64_t generation = peers_.generation();
    const SteadyTime now = clock_.Now();
    // A certificate that expires does so without a new generation.
    if (generation == generation_ && now - rechecked_ < 60 * kRecheck) return;
    generation_ = generation;
    rechecked_ = now;
    std::vector<std::shared_ptr<DeviceSession>> sessions;
    {
      std::lock_guard lock(mutex_);
      for (const auto& [id, session] : sessions_) sessions.push_back(session);
    }
    for (const auto& session : sessions) {
      const Status status = peers_.Recheck(session->peer());
      if (status.ok()) continue;
      spdlog::warn("connection of {} ended: {}", session->peer().Describe(), Message(status));
      session->Break(status);
    }
  }

  Reactor& reactor_;
  const Clock& clock_;
  PeerCheck& peers_;
  EventLog* const events_;
  const std::chrono::milliseconds ttl_;
  std::atomic<int> unregistered_ = 0;
  OpenLists lists_;
  std::uint64_t generation_ = 0;  // these two: on the reactor's thread
  SteadyTime rechecked_{};
  std::mutex mutex_;  // guards what follows
  TrackerState* state_;
  LeaseTable table_;
  std::unordered_map<SessionId, std::shared_ptr<DeviceSession>> sessions_;
  std::unordered_map<std::string, std::shared_ptr<AcquireCall>> calls_;  // by lease id
  std::deque<Deed> outbox_;
  bool carrying_ = false;
  bool keeping_ = false;    // the state is about to be told
  std::uint64_t kept_ = 0;  // of the table's record_changes()
  std::optional<SteadyTime> wake_;
};

DeviceSession::DeviceSession(grpc::CallbackServerContext& context, std::shared_ptr<Shell> shell,
                             Peer peer)
    : ServerStream(context, kDeviceStream), shell_(std::move(shell)), peer_(std::move(peer)) {
  shell_->CountUnregistered(1);
}

DeviceSession::~DeviceSession() {
  if (id_ == 0) shell_->CountUnregistered(-1);
}

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
    spdlog::warn("hello of {} refused: {}", peer_.Describe(), Message(hello.status()));
    return End(hello.status());
  }
  const StatusOr<SessionId> session = shell_->Register(self, *std::move(hello));
  if (!session.ok()) return End(session.status());
  id_ = *session;
  shell_->CountUnregistered(-1);
  ReadNext();
}

void DeviceSession::OnClosed() {
  if (id_ != 0) shell_->Disconnect(id_);
  End(absl::OkStatus());
}

void DeviceSession::HelloIsDue() {
  if (id_ != 0) return;
  Break(Error(StatusCode::kDeadlineExceeded, "a device says hello within ", kHelloTime.count(),
              " s"));
}

void AcquireCall::OnCancel() { shell_->Cancel(this, id_); }

// A list of devices on its way, as long as which its bytes are counted.
class ListCall final : public grpc::ServerUnaryReactor {
 public:
  ListCall(std::shared_ptr<Shell> shell, grpc::CallbackServerContext& context,
           const std::string& connection, grpc::ByteBuffer* reply)
      : shell_(std::move(shell)) {
    place_ = shell_->lists().Add(context.c_call(), connection, [&] {
      *reply = SerializeMessage(shell_->List());
      return reply->Length();
    });
    if (!place_) {
      Finish(ToGrpc(Error(StatusCode::kResourceExhausted,
                          "too many lists of devices are under way: read those first")));
      return;
    }
    Finish(grpc::Status::OK);
  }

 private:
  void OnDone() override {
    if (place_) shell_->lists().Remove(*place_);
    delete this;
  }

  const std::shared_ptr<Shell> shell_;
  std::optional<OpenLists::Place> place_;
};

using RawTracker = v1::Tracker::WithRawCallbackMethod_Serve<
    v1::Tracker::WithRawCallbackMethod_AcquireLease<v1::Tracker::WithRawCallbackMethod_RenewLease<
        v1::Tracker::WithRawCallbackMethod_ReleaseLease<
            v1::Tracker::WithRawCallbackMethod_ListDevices<v1::Tracker::Service>>>>>;

class TrackerServiceImpl final : public TrackerService, private RawTracker {
 public:
  TrackerServiceImpl(Reactor& reactor, const Clock& clock, PeerCheck& peers,
                     const LeaseTableOptions& options, EventLog* events, TrackerState* state)
      : shell_(std::make_shared<Shell>(reactor, clock, peers, options, events, state)) {
    shell_->WatchCredentials();
  }
  ~TrackerServiceImpl() override { shell_->StopKeeping(); }
  grpc::Service& service() override { return *this; }
  std::vector<DeviceView> Devices() override { return shell_->Devices(); }
  void StopKeeping() override { shell_->StopKeeping(); }

 private:
  using Bytes = grpc::ByteBuffer;

  grpc::ServerBidiReactor<Bytes, Bytes>* Serve(grpc::CallbackServerContext* context) override {
    const StatusOr<Peer> peer = Admit(context, "Serve", kDevices);
    const auto stream = std::make_shared<DeviceSession>(
        *context, shell_, peer.ok() ? *peer : Peer{context->peer(), std::nullopt, ""});
    Status status = peer.status();
    if (status.ok() && !shell_->Open(stream)) {
      status = Error(StatusCode::kResourceExhausted,
                     "too many connections have not said hello yet: try again");
    }
    if (status.ok()) {
      DeviceSession::Open(stream);
    } else {
      DeviceSession::OpenAndEnd(stream, status);
    }
    return stream.get();
  }

  grpc::ServerUnaryReactor* AcquireLease(grpc::CallbackServerContext* context, const Bytes* bytes,
                                         Bytes* reply) override {
    const StatusOr<Peer> peer = Admit(context, "AcquireLease", kClients);
    if (!peer.ok()) return Done(context, peer.status());
    const auto message = Parse<v1::AcquireLeaseRequest>(*bytes);
    if (!message.ok()) return Done(context, message.status());
    const StatusOr<LeaseRequest> request = ReadAcquire(*message, *peer);
    if (!request.ok()) return Done(context, request.status());
    const auto call = std::make_shared<AcquireCall>(shell_, reply, request->id, request->party);
    AcquireCall::Begin(call);
    shell_->Acquire(call, *request);
    return call.get();
  }

  grpc::ServerUnaryReactor* RenewLease(grpc::CallbackServerContext* context, const Bytes* bytes,
                                       Bytes* reply) override {
    const StatusOr<Peer> peer = Admit(context, "RenewLease", kClients);
    if (!peer.ok()) return Done(context, peer.status());
    const auto request = Parse<v1::RenewLeaseRequest>(*bytes);
    if (!request.ok()) return Done(context, request.status());
    if (const Status wrong = CheckRenew(*request); !wrong.ok()) return Done(context, wrong);
    const StatusOr<Renewal> renewal = shell_->Renew(*request, peer->party());
    if (!renewal.ok()) return Done(context, renewal.status());
    v1::RenewLeaseReply answer;
    answer.set_ttl_ms(shell_->ttl().count());
    answer.set_give_back(renewal->give_back);
    *reply = SerializeMessage(answer);
    return Done(context, absl::OkStatus());
  }

  grpc::ServerUnaryReactor* ReleaseLease(grpc::CallbackServerContext* context, const Bytes* bytes,
                                         Bytes* reply) override {
    const StatusOr<Peer> peer = Admit(context, "ReleaseLease", kClients);
    if (!peer.ok()) return Done(context, peer.status());
    const auto request = Parse<v1::ReleaseLeaseRequest>(*bytes);
    if (!request.ok()) return Done(context, request.status());
    if (const Status wrong = CheckRelease(*request); !wrong.ok()) return Done(context, wrong);
    const Status status = shell_->Release(*request, peer->party());
    *reply = SerializeMessage(v1::ReleaseLeaseReply());
    return Done(context, status);
  }

  grpc::ServerUnaryReactor* ListDevices(grpc::CallbackServerContext* context, const Bytes* bytes,
                                        Bytes* reply) override {
    const StatusOr<Peer> peer = Admit(context, "ListDevices", kClients);
    if (!peer.ok()) return Done(context, peer.status());
    const auto request = Parse<v1::ListDevicesRequest>(*bytes);
    if (!request.ok()) return Done(context, request.status());
    return new ListCall(shell_, *context, peer->connection, reply);
  }

  StatusOr<Peer> Admit(grpc::CallbackServerContext* context, const char* method,
                       std::initializer_list<Role> roles) {
    StatusOr<Peer> peer = shell_->peers().Admit(*context, method, roles);
    if (!peer.ok()) {
      spdlog::warn("call of {} by {} refused: {}", method, context->peer(), Message(peer.status()));
    }
    return peer;
  }

  template <typename Message>
  static StatusOr<Message> Parse(const Bytes& bytes) {
    return ParseMessage<Message>(bytes, kMaxTrackerMessageBytes);
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
                                                  PeerCheck& peers,
                                                  const LeaseTableOptions& options,
                                                  EventLog* events, TrackerState* state) {
  return std::make_unique<TrackerServiceImpl>(reactor, clock, peers, options, events, state);
}

}  // namespace kiln
