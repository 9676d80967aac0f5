#include <absl/synchronization/mutex.h>
#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "benchmarks/farm_load/workloads.h"
#include "proto/device.grpc.pb.h"
#include "proto/transport.h"

namespace kiln::load {
namespace {

// Made-up times, and digests as they are expected.
class Laboratory {
 public:
  Laboratory(const FarmOptions& farm, const DevicesOptions& options)
      : farm_(farm), options_(options) {}

  v1::MeasureReply Answer(const v1::MeasureRequest& request) {
    v1::MeasureReply reply;
    reply.set_trial_id(request.trial_id());
    v1::MeasureResult& result = *reply.mutable_result();
    for (const v1::MeasureCase& one : request.cases()) {
      result.add_digests(one.expected_digest());
      result.add_outputs();
    }
    v1::Samples& samples = *result.mutable_timings();
    samples.set_calls_per_sample(1);
    if (request.plan().time()) {
      // The same kernel takes the same time, up to noise; different ones differ by a factor of four.
      Rng kernel(request.object_digest() ^ farm_.seed);
      Rng rng(farm_.seed + answered_.load());
      const double ns = options_.kernel_us * 1000 * (0.5 + 1.5 * kernel.Unit());
      for (std::int32_t i = 0; i < request.plan().samples(); ++i) {
        samples.add_samples_ns(ns * (1 + options_.noise * rng.Unit()));
      }
    }
    ++answered_;
    return reply;
  }
  std::chrono::nanoseconds latency() const { return Seconds(options_.trial_ms / 1000); }
  const FarmOptions& farm() const { return farm_; }
  std::uint64_t answered() const { return answered_; }

 private:
  const FarmOptions farm_;
  const DevicesOptions options_;
  std::atomic<std::uint64_t> answered_{0};
};

// One Measure call: a request, a pause, its answer, the next request, as long as the lease is that
// which the device serves. Calls come one at a time, but for OnCancel(), which changes nothing: the
// alarm is short.
class MeasureCall final : public grpc::ServerBidiReactor<v1::MeasureRequest, v1::MeasureReply> {
 public:
  MeasureCall(Laboratory& laboratory, const LeaseFence* fence)
      : laboratory_(laboratory), fence_(fence) {
    StartRead(&request_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    if (!Passes()) return;
    const auto due =
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(laboratory_.latency());
    alarm_.Set(due, [this](bool) {
      if (!Passes()) return;
      reply_ = laboratory_.Answer(request_);
      StartWrite(&reply_);
    });
  }
  // Or the call has ended.
  bool Passes() {
    if (!fence_) return true;
    const Status status = fence_->Check(request_.lease_id(), request_.epoch());
    if (!status.ok()) Finish(ToGrpc(status));
    return status.ok();
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

  Laboratory& laboratory_;
  const LeaseFence* const fence_;
  v1::MeasureRequest request_;
  v1::MeasureReply reply_;
  grpc::Alarm alarm_;
};

class DeviceService final : public v1::Device::CallbackService {
 public:
  // Stands for all devices, and asks nobody for a lease.
  explicit DeviceService(Laboratory& laboratory) : laboratory_(laboratory) {}
  // Stands for one.
  DeviceService(Laboratory& laboratory, std::string name, std::shared_ptr<LeaseFence> fence)
      : laboratory_(laboratory), name_(std::move(name)), fence_(std::move(fence)) {}

 private:
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const v1::DescribeRequest*,
                                     v1::DescribeReply* reply) override {
    const DeviceOptions& device = laboratory_.farm().device;
    reply->set_protocol(kProtocolVersion);
    reply->set_build("simulated");
    reply->set_name(name_);
    if (const auto held = fence_ ? fence_->held() : std::nullopt) reply->set_epoch(held->epoch);
    reply->set_target(device.target);
    reply->mutable_isa()->Add(device.isa.begin(), device.isa.end());
    reply->add_cores(0);
    reply->set_time_kind(device.time_kind);
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerBidiReactor<v1::MeasureRequest, v1::MeasureReply>* Measure(
      grpc::CallbackServerContext*) override {
    return new MeasureCall(laboratory_, fence_.get());
  }

  Laboratory& laboratory_;
  const std::string name_;
  const std::shared_ptr<LeaseFence> fence_;
};

// Where one service is served.
struct Place {
  std::unique_ptr<DeviceService> service;
  std::unique_ptr<RpcServer> server;  // goes first
};

class Servers final : public MeasureServer {
 public:
  Servers(const FarmOptions& farm, const DevicesOptions& options) : laboratory_(farm, options) {
    // Debian builds abseil with its search for deadlocks: at each lock, in a graph with a lock of its own.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  }

  // One port that all devices share.
  Status ServeAll() { return Serve("", {}, nullptr); }
  // A port of each device's own: over TLS it must prove that it is this one.
  Status ServeEach() {
    const FarmOptions& farm = laboratory_.farm();
    for (const std::string& name : DeviceNames(farm)) {
      RETURN_IF_ERROR(Serve(name, FilesOf(farm.credentials, name), std::make_shared<LeaseFence>()));
    }
    return absl::OkStatus();
  }

  DeviceFace FaceOf(const std::string& device) const override {
    const auto own = faces_.find(device);
    return own != faces_.end() ? own->second : faces_.at("");
  }
  std::uint64_t answered() const override { return laboratory_.answered(); }

 private:
  Status Serve(const std::string& name, const TlsFiles& tls, std::shared_ptr<LeaseFence> fence) {
    Place place;
    place.service = fence ? std::make_unique<DeviceService>(laboratory_, name, fence)
                          : std::make_unique<DeviceService>(laboratory_);
    ASSIGN_OR_RETURN(place.server,
                     Listen({.tls = tls, .traffic = kDeviceTraffic}, {place.service.get()}));
    faces_[name] = {place.server->address(), std::move(fence)};
    places_.push_back(std::move(place));
    return absl::OkStatus();
  }

  Laboratory laboratory_;
  std::map<std::string, DeviceFace> faces_;  // by device; of all without a name
  std::vector<Place> places_;
};

}  // namespace

StatusOr<std::unique_ptr<MeasureServer>> StartMeasureServer(const FarmOptions& farm,
                                                            const DevicesOptions& options) {
  if (farm.credentials.enabled() && farm.credentials.directory.empty()) {
    return Error(StatusCode::kInvalidArgument,
                 "devices that measure over TLS need a certificate each: give --certs");
  }
  auto servers = std::make_unique<Servers>(farm, options);
  RETURN_IF_ERROR(farm.credentials.enabled() ? servers->ServeEach() : servers->ServeAll());
  return servers;
}

}  // namespace kiln::load
