#include "rpc_server/device_service.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "absl/strings/numbers.h"
#include "base/digest.h"
#include "proto/device.grpc.pb.h"
#include "proto/streams.h"
#include "proto/transport.h"
#include "rpc_server/measure_codec.h"
#include "rpc_server/object_cache.h"

namespace kiln {
namespace {

constexpr std::size_t kCacheBytes = 32 << 20;
// Requests of one call that are here and whose answers have not left: the one that runs and those
// whose bytes arrive meanwhile.
constexpr int kMaxUnderWay = 4;
// While those have more bytes, no further one is read.
constexpr std::size_t kMaxHeldBytes = 16 << 20;
// Answers with outputs may be as large as a message of the client's.
constexpr StreamLimits kMeasureStream{kMaxMessageBytes, 2 * kMaxMessageBytes};
constexpr std::size_t kMaxDescribeBytes = 4096;  // it has no fields, so far

constexpr auto kClients = {Role::kClient, Role::kAdmin};

class MeasureCall;

// What the calls share.
struct Device {
  const DeviceIdentity identity;
  LeaseFence& fence;
  PeerCheck& peers;
  const std::unique_ptr<MeasureQueue> queue;
  ObjectCache objects{kCacheBytes};
  std::mutex mutex = {};
  std::weak_ptr<MeasureCall> current = {};  // the one call that may send; guarded by the mutex
};

// A lease as its holder names it, and whose call does.
struct Claim {
  std::string lease;
  std::uint64_t epoch = 0;
  Peer peer;
  int protocol = kProtocolVersion;
};

// One stream of measurements.
class MeasureCall final : public ServerStream<v1::MeasureRequest, v1::MeasureReply> {
 public:
  MeasureCall(grpc::CallbackServerContext& context, Device& device, Claim claim)
      : ServerStream(context, kMeasureStream), device_(device), claim_(std::move(claim)) {}

  // The client may not use the device, or not any more.
  void GiveWay() {
    gone_ = true;
    Break(Error(StatusCode::kUnavailable, "a newer call has taken the place of this one"));
    device_.queue->DropUnwanted();
  }

 private:
  using Object = ObjectCache::Object;

  void OnMessage(v1::MeasureRequest message) override {
    const std::size_t bytes = message.ByteSizeLong();
    Status status = CheckLease(message);
    if (!status.ok()) return Refuse(status);
    StatusOr<HostRequest> request = ReadRequest(message, device_.identity.cores.size());
    if (!request.ok()) return Refuse(request.status());
    request->cores = device_.identity.cores;
    StatusOr<Object> object = Keep(message);
    if (!object.ok()) return Refuse(object.status());
    Begin(bytes);
    if (*object) {
      Submit(message, *std::move(request), *std::move(object), bytes);
    } else {
      v1::MeasureReply reply;
      reply.set_trial_id(message.trial_id());
      reply.mutable_need_object();
      Answer(reply, bytes);
    }
    // Not before: what follows may come on another thread, and must not overtake this one.
    if (MayReadMore()) ReadNext();
  }

  // The lease that the call was admitted with, which may have gone since.
  Status CheckLease(const v1::MeasureRequest& message) const {
    if (message.lease_id() != claim_.lease || message.epoch() != claim_.epoch) {
      return Error(StatusCode::kInvalidArgument,
                   "a measurement names another lease than the call that it comes with");
    }
    return device_.fence.Check(claim_.lease, claim_.epoch);
  }

  // The object that the request brings or names; null if it is not here.
  StatusOr<Object> Keep(v1::MeasureRequest& message) {
    if (message.object().empty()) return device_.objects.Find(message.object_digest());
    if (Digest(message.object()) != message.object_digest()) {
      return Error(StatusCode::kInvalidArgument, "the object's bytes have digest ",
                   Hex(Digest(message.object())), ", not ", Hex(message.object_digest()));
    }
    auto object = std::make_shared<const std::string>(std::move(*message.mutable_object()));
    device_.objects.Put(message.object_digest(), object);
    return object;
  }

  void Submit(const v1::MeasureRequest& message, HostRequest request, Object object,
              std::size_t bytes) {
    const auto self = std::static_pointer_cast<MeasureCall>(shared());
    MeasureJob job;
    job.object = std::move(object);
    job.request = std::move(request);
    job.wanted = [self] { return self->Wanted(); };
    job.done = [self, trial = message.trial_id(), bytes](const HostReply& result) {
      if (!result.objection.empty()) {
        return self->Refuse(Error(StatusCode::kInvalidArgument, result.objection));
      }
      v1::MeasureReply reply;
      reply.set_trial_id(trial);
      WriteResult(result, reply.mutable_result(), self->claim_.protocol);
      self->Answer(reply, bytes);
    };
    device_.queue->Submit(std::move(job));
  }

  // The lease may have gone while the job waited.
  bool Wanted() {
    if (gone_) return false;
    const Status status = device_.fence.Check(claim_.lease, claim_.epoch);
    if (!status.ok() && !gone_.exchange(true)) Refuse(status);
    return status.ok();
  }

  void Begin(std::size_t bytes) {
    std::lock_guard lock(mutex_);
    ++under_way_;
    held_ += bytes;
  }

  // Otherwise OnSent() goes on.
  bool MayReadMore() {
    std::lock_guard lock(mutex_);
    paused_ = !HasRoom();
    return !paused_;
  }

  void Answer(const v1::MeasureReply& reply, std::size_t bytes) {
    {
      std::lock_guard lock(mutex_);
      held_ -= bytes;
    }
    Send(reply);
  }

  void OnSent() override {
    bool read = false, end = false;
    {
      std::lock_guard lock(mutex_);
      --under_way_;
      read = paused_ && HasRoom();
      if (read) paused_ = false;
      end = closed_ && under_way_ == 0;
    }
    if (read) ReadNext();
    if (end) End(absl::OkStatus());
  }

  bool HasRoom() const { return under_way_ < kMaxUnderWay && held_ <= kMaxHeldBytes; }

  void Refuse(const Status& status) {
    spdlog::warn("measurement of {} refused: {}", claim_.peer.Describe(), Message(status));
    End(status);
  }

  void OnCancel() override {
    gone_ = true;
    End(Error(StatusCode::kCancelled, "the client has gone"));
    device_.queue->DropUnwanted();
  }

  void OnClosed() override {
    bool end = false;
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
      end = under_way_ == 0;
    }
    if (end) End(absl::OkStatus());
  }

  Device& device_;
  const Claim claim_;
  std::atomic<bool> gone_{false};
  std::mutex mutex_;
  int under_way_ = 0;
  std::size_t held_ = 0;  // bytes of requests without an answer
  bool paused_ = false;   // not reading until there is room
  bool closed_ = false;   // the client will send no more
};

std::string Metadata(const grpc::CallbackServerContext& context, const char* key) {
  const auto found = context.client_metadata().find(key);
  if (found == context.client_metadata().end()) return "";
  return std::string(found->second.data(), found->second.size());
}

// What the call says before its first message.
StatusOr<Claim> ReadClaim(const grpc::CallbackServerContext& context, Peer peer) {
  const std::string protocol = Metadata(context, kProtocolMetadata);
  int version = 0;
  // Before version 3 there was none.
  if (!protocol.empty() && !absl::SimpleAtoi(protocol, &version)) {
    return Error(StatusCode::kInvalidArgument, "a call of Measure with no number as ",
                 kProtocolMetadata);
  }
  RETURN_IF_ERROR(CheckProtocol(protocol.empty() ? 2 : version, "the client", "the device"));
  Claim claim{Metadata(context, kLeaseMetadata), 0, std::move(peer), version};
  if (!IsName(claim.lease) || !absl::SimpleAtoi(Metadata(context, kEpochMetadata), &claim.epoch)) {
    return Error(StatusCode::kInvalidArgument, "a call of Measure names its lease as ",
                 kLeaseMetadata, " and ", kEpochMetadata);
  }
  return claim;
}

using RawDevice = v1::Device::WithRawCallbackMethod_Describe<
    v1::Device::WithRawCallbackMethod_Measure<v1::Device::Service>>;

class DeviceServiceImpl final : public DeviceService, private RawDevice {
 public:
  DeviceServiceImpl(const DeviceIdentity& identity, LeaseFence& fence, PeerCheck& peers,
                    std::unique_ptr<MeasureQueue> queue)
      : device_{identity, fence, peers, std::move(queue)} {
    fence.OnEnd([this] { device_.queue->DropUnwanted(); });
  }
  ~DeviceServiceImpl() override { device_.fence.OnEnd(nullptr); }
  grpc::Service& service() override { return *this; }

 private:
  using Bytes = grpc::ByteBuffer;

  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context, const Bytes* request,
                                     Bytes* bytes) override {
    Status status = Admit(context, "Describe").status();
    if (status.ok()) {
      status = ParseMessage<v1::DescribeRequest>(*request, kMaxDescribeBytes).status();
    }
    const DeviceIdentity& identity = device_.identity;
    v1::DescribeReply reply;
    reply.set_protocol(kProtocolVersion);
    reply.set_build(identity.build);
    reply.set_name(identity.name);
    reply.set_target(identity.target);
    reply.mutable_isa()->Add(identity.isa.begin(), identity.isa.end());
    reply.mutable_cores()->Add(identity.cores.begin(), identity.cores.end());
    reply.set_time_kind(Name(identity.time_kind));
    if (const auto held = device_.fence.held()) reply.set_epoch(held->epoch);
    if (status.ok()) *bytes = SerializeMessage(reply);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(status));
    return reactor;
  }

  grpc::ServerBidiReactor<Bytes, Bytes>* Measure(grpc::CallbackServerContext* context) override {
    StatusOr<Claim> claim = Claimed(*context);
    const auto call =
        std::make_shared<MeasureCall>(*context, device_, claim.ok() ? *claim : Claim());
    if (claim.ok()) {
      BecomeCurrent(call);
      MeasureCall::Open(call);
    } else {
      MeasureCall::OpenAndEnd(call, claim.status());
    }
    return call.get();
  }

  // Before a byte of a message is taken.
  StatusOr<Claim> Claimed(grpc::CallbackServerContext& context) {
    ASSIGN_OR_RETURN(Peer peer, Admit(&context, "Measure"));
    const std::string who = peer.Describe();
    StatusOr<Claim> claim = ReadClaim(context, std::move(peer));
    Status status = claim.status();
    if (status.ok()) status = device_.fence.Check(claim->lease, claim->epoch);
    if (status.ok()) status = CheckOwner(*claim);
    if (status.ok()) return claim;
    spdlog::warn("call of Measure by {} refused: {}", who, Message(status));
    return status;
  }

  // In plaintext a client may look different from here and from the tracker.
  Status CheckOwner(const Claim& claim) const {
    const auto held = device_.fence.held();
    if (!claim.peer.principal || !held || held->owner == claim.peer.party()) {
      return absl::OkStatus();
    }
    return Error(StatusCode::kPermissionDenied, "the lease is that of ", held->owner,
                 ": take one of your own");
  }

  // A lease has one call at a time; what a former one has sent is not wanted any more.
  void BecomeCurrent(const std::shared_ptr<MeasureCall>& call) {
    std::shared_ptr<MeasureCall> former;
    {
      std::lock_guard lock(device_.mutex);
      former = device_.current.lock();
      device_.current = call;
    }
    if (former) former->GiveWay();
  }

  StatusOr<Peer> Admit(grpc::CallbackServerContext* context, const char* method) {
    StatusOr<Peer> peer = device_.peers.Admit(*context, method, kClients);
    if (!peer.ok()) {
      spdlog::warn("call of {} by {} refused: {}", method, context->peer(), Message(peer.status()));
    }
    return peer;
  }

  Device device_;
};

}  // namespace

std::unique_ptr<DeviceService> NewDeviceService(const DeviceIdentity& identity, LeaseFence& fence,
                                                PeerCheck& peers,
                                                std::unique_ptr<MeasureQueue> queue) {
  return std::make_unique<DeviceServiceImpl>(identity, fence, peers, std::move(queue));
}

}  // namespace kiln
