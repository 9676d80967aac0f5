#include "rpc_client/measure_stream.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "measure/measurer.h"
#include "proto/device.grpc.pb.h"
#include "proto/streams.h"
#include "proto/transport.h"

namespace kiln {
namespace {

class Call final : public ClientStream<v1::MeasureRequest, v1::MeasureReply> {
 public:
  StatusOr<v1::MeasureReply> Exchange(v1::MeasureRequest request,
                                      std::chrono::nanoseconds timeout) {
    const std::string trial = request.trial_id();
    SteadyTime due;
    {
      std::lock_guard lock(mutex_);
      if (ended_) return *ended_;
      due = last_due_ = std::max(last_due_, std::chrono::steady_clock::now()) + timeout;
      unsent_.push_back(trial);
    }
    Send(std::move(request));
    std::unique_lock lock(mutex_);
    const bool answered =
        changed_.wait_until(lock, due, [&] { return ended_ || replies_.contains(trial); });
    if (auto reply = replies_.extract(trial)) return std::move(reply.mapped());
    const bool was_sent = std::ranges::find(unsent_, trial) == unsent_.end();
    if (answered) return was_sent ? WhileRunning(*ended_) : *ended_;
    const auto late = Error(StatusCode::kUnavailable, "the device has not answered in time");
    ended_ = late;
    lock.unlock();
    changed_.notify_all();
    Cancel();
    return was_sent ? WhileRunning(late) : late;
  }

 private:
  // Other errors are the device's own words.
  static Status WhileRunning(const Status& status) {
    return status.code() == StatusCode::kUnavailable ? LostWhileRunning(status) : status;
  }

  void OnSent() override {
    std::lock_guard lock(mutex_);
    if (!unsent_.empty()) unsent_.pop_front();
  }

  void OnMessage(v1::MeasureReply reply) override {
    {
      std::lock_guard lock(mutex_);
      const std::string trial = reply.trial_id();
      replies_[trial] = std::move(reply);
    }
    changed_.notify_all();
  }

  void OnEnded(const Status& status) override {
    {
      std::lock_guard lock(mutex_);
      if (!ended_) {
        ended_ = status.ok() ? Error(StatusCode::kUnavailable, "the device has closed the stream")
                             : status;
      }
    }
    changed_.notify_all();
  }

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::map<std::string, v1::MeasureReply> replies_;  // by trial, until they are taken
  std::deque<std::string> unsent_;                   // trials that have not gone out
  std::optional<Status> ended_;
  SteadyTime last_due_;
};

class GrpcMeasureStream final : public MeasureStream {
 public:
  GrpcMeasureStream(const GrantedLease& lease, std::shared_ptr<grpc::Channel> channel, int protocol)
      : stub_(v1::Device::NewStub(std::move(channel))) {
    call_.context().AddMetadata(kProtocolMetadata, std::to_string(protocol));
    call_.context().AddMetadata(kLeaseMetadata, lease.id);
    call_.context().AddMetadata(kEpochMetadata, std::to_string(lease.epoch));
    stub_->async()->Measure(&call_.context(), &call_);
    call_.Open();
  }
  ~GrpcMeasureStream() override {
    call_.Cancel();
    call_.AwaitDone();
  }

  StatusOr<v1::MeasureReply> Exchange(v1::MeasureRequest request,
                                      std::chrono::nanoseconds timeout) override {
    return call_.Exchange(std::move(request), timeout);
  }
  void BreakOff() override { call_.Cancel(); }

 private:
  const std::unique_ptr<v1::Device::Stub> stub_;
  Call call_;
};

}  // namespace

std::unique_ptr<MeasureStream> OpenMeasureStream(const GrantedLease& lease,
                                                 std::shared_ptr<grpc::Channel> channel,
                                                 int protocol) {
  return std::make_unique<GrpcMeasureStream>(lease, std::move(channel), protocol);
}

}  // namespace kiln
