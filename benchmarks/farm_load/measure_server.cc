#include <absl/synchronization/mutex.h>
#include <grpcpp/alarm.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

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

// One Measure call: a request, a pause, its answer, the next request. Calls come one at a time, but
// for OnCancel(), which changes nothing: the alarm is short.
class MeasureCall final : public grpc::ServerBidiReactor<v1::MeasureRequest, v1::MeasureReply> {
 public:
  explicit MeasureCall(Laboratory& laboratory) : laboratory_(laboratory) { StartRead(&request_); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    const auto due =
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(laboratory_.latency());
    alarm_.Set(due, [this](bool) {
      reply_ = laboratory_.Answer(request_);
      StartWrite(&reply_);
    });
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    StartRead(&request_);
  }
  void OnDone() override { delete this; }

  Laboratory& laboratory_;
  v1::MeasureRequest request_;
  v1::MeasureReply reply_;
  grpc::Alarm alarm_;
};

class DeviceService final : public v1::Device::CallbackService {
 public:
  explicit DeviceService(Laboratory& laboratory) : laboratory_(laboratory) {}

 private:
  grpc::ServerUnaryReactor* Describe(grpc::CallbackServerContext* context,
                                     const v1::DescribeRequest*,
                                     v1::DescribeReply* reply) override {
    const DeviceOptions& device = laboratory_.farm().device;
    reply->set_protocol(kProtocolVersion);
    reply->set_build("simulated");
    // Without a name: it stands for all of them.
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
    return new MeasureCall(laboratory_);
  }

  Laboratory& laboratory_;
};

class OneServer final : public MeasureServer {
 public:
  OneServer(const FarmOptions& farm, const DevicesOptions& options)
      : laboratory_(farm, options), service_(laboratory_) {
    // Debian builds abseil with its search for deadlocks: at each lock, in a graph with a lock of its own.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~OneServer() override {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }
  const std::string& address() const override { return address_; }
  std::uint64_t answered() const override { return laboratory_.answered(); }
  bool serves() const { return server_ != nullptr; }

 private:
  Laboratory laboratory_;
  DeviceService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace

StatusOr<std::unique_ptr<MeasureServer>> StartMeasureServer(const FarmOptions& farm,
                                                            const DevicesOptions& options) {
  // All devices share the server's port, but over TLS each has a certificate of its own.
  if (farm.credentials.enabled()) {
    return Error(StatusCode::kUnimplemented, "simulated devices measure in plaintext only");
  }
  auto server = std::make_unique<OneServer>(farm, options);
  if (!server->serves()) return Error(StatusCode::kUnavailable, "cannot listen on 127.0.0.1");
  return server;
}

}  // namespace kiln::load
