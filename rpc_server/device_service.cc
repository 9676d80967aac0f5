#include "rpc_server/device_service.h"

#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>
#include <utility>

#include "base/digest.h"
#include "proto/device.grpc.pb.h"
#include "proto/streams.h"
#include "proto/transport.h"
#include "rpc_server/measure_codec.h"
#include "rpc_server/object_cache.h"

namespace kiln {
namespace {

constexpr std::size_t kCacheBytes = 64 << 20;
// Requests of one call that are here and not answered: the one that runs and those whose bytes
// arrive meanwhile.
constexpr int kMaxUnderWay = 4;

// What the calls share.
struct Device {
  const DeviceIdentity identity;
  const LeaseFence& fence;
  const std::unique_ptr<MeasureQueue> queue;
  ObjectCache objects{kCacheBytes};
};

// One stream of measurements.
class MeasureCall final : public ServerStream<v1::MeasureRequest, v1::MeasureReply> {
 public:
  MeasureCall(Device& device, std::string peer) : device_(device), peer_(std::move(peer)) {}

 private:
  using Object = ObjectCache::Object;

  void OnMessage(v1::MeasureRequest message) override {
    Status status = device_.fence.Check(message.lease_id(), message.epoch());
    if (!status.ok()) return Refuse(status);
    StatusOr<HostRequest> request = ReadRequest(message, device_.identity.cores.size());
    if (!request.ok()) return Refuse(request.status());
    request->cores = device_.identity.cores;
    StatusOr<Object> object = Keep(message);
    if (!object.ok()) return Refuse(object.status());
    if (!*object) {
      v1::MeasureReply reply;
      reply.set_trial_id(message.trial_id());
      reply.mutable_need_object();
      Send(std::move(reply));
      return ReadNext();
    }
    Submit(message, *std::move(request), *std::move(object));
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

  void Submit(const v1::MeasureRequest& message, HostRequest request, Object object) {
    const auto self = std::static_pointer_cast<MeasureCall>(shared());
    MeasureJob job;
    job.object = std::move(object);
    job.request = std::move(request);
    job.wanted = [self, lease = message.lease_id(), epoch = message.epoch()] {
      return self->Wanted(lease, epoch);
    };
    job.done = [self, trial = message.trial_id()](const HostReply& reply) {
      self->Answer(trial, reply);
    };
    bool more = false;
    {
      std::lock_guard lock(mutex_);
      more = ++under_way_ < kMaxUnderWay;
      paused_ = !more;
    }
    device_.queue->Submit(std::move(job));
    if (more) ReadNext();
  }

  // The lease may have gone while the job waited.
  bool Wanted(const std::string& lease, std::uint64_t epoch) {
    if (gone_) return false;
    const Status status = device_.fence.Check(lease, epoch);
    if (!status.ok()) Refuse(status);
    return status.ok();
  }

  void Answer(const std::string& trial, const HostReply& result) {
    v1::MeasureReply reply;
    reply.set_trial_id(trial);
    WriteResult(result, reply.mutable_result());
    Send(std::move(reply));
    bool read = false, end = false;
    {
      std::lock_guard lock(mutex_);
      --under_way_;
      read = std::exchange(paused_, false);
      end = closed_ && under_way_ == 0;
    }
    if (read) ReadNext();
    if (end) End(absl::OkStatus());
  }

  void Refuse(const Status& status) {
    spdlog::warn("measurement of {} refused: {}", peer_, Message(status));
    End(status);
  }

  void OnCancel() override {
    gone_ = true;
    End(Error(StatusCode::kCancelled, "the client has gone"));
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
  const std::string peer_;
  std::atomic<bool> gone_{false};
  std::mutex mutex_;
  int under_way_ = 0;
  bool paused_ = false;  // not reading until there is room
  bool closed_ = false;  // the client will send no more
};

class DeviceServiceImpl final : public DeviceService, private v1::Device::CallbackService {
 public:
  DeviceServiceImpl(const DeviceIdentity& identity, const LeaseFence& fence,
                    std::unique_ptr<MeasureQueue> queue)
      : device_{identity, fence, std::move(queue)} {}
  grpc::Service& service() override { return *this; }

 private:
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const v1::DescribeRequest*,
                                     v1::DescribeReply* reply) override {
    const DeviceIdentity& identity = device_.identity;
    reply->set_protocol(kProtocolVersion);
    reply->set_build(identity.build);
    reply->set_name(identity.name);
    reply->set_target(identity.target);
    reply->mutable_isa()->Add(identity.isa.begin(), identity.isa.end());
    reply->mutable_cores()->Add(identity.cores.begin(), identity.cores.end());
    reply->set_time_kind(Name(identity.time_kind));
    if (const auto held = device_.fence.held()) reply->set_epoch(held->epoch);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerBidiReactor<v1::MeasureRequest, v1::MeasureReply>* Measure(
      grpc::CallbackServerContext* context) override {
    const auto call = std::make_shared<MeasureCall>(device_, context->peer());
    MeasureCall::Open(call);
    return call.get();
  }

  Device device_;
};

}  // namespace

std::unique_ptr<DeviceService> NewDeviceService(const DeviceIdentity& identity,
                                                const LeaseFence& fence,
                                                std::unique_ptr<MeasureQueue> queue) {
  return std::make_unique<DeviceServiceImpl>(identity, fence, std::move(queue));
}

}  // namespace kiln
