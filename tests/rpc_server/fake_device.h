#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proto/transport.h"
#include "rpc_server/device_service.h"

// A device whose kernels are a function of the test: everything but kiln-host is real.

namespace kiln {

using FakeKernel = std::function<HostReply(const HostRequest&)>;

class FakeHostProcess final : public HostProcess {
 public:
  explicit FakeHostProcess(FakeKernel kernel) : kernel_(std::move(kernel)) {}
  HostReply Run(const HostRequest& request, const std::stop_token& stop) override {
    const std::stop_callback count(stop, [this] { aborts_.fetch_add(1); });
    return kernel_(request);
  }
  StatusOr<HostDescription> Describe() override { return DescribeHost(); }
  const std::atomic<int>& aborts() const { return aborts_; }

 private:
  const FakeKernel kernel_;
  std::atomic<int> aborts_ = 0;
};

class NoCoreLock final : public CoreLock {
 public:
  Status Take() override { return absl::OkStatus(); }
  void Give() override {}
};

// Samples whose number is the object's size, so that a test sees which object has arrived.
inline HostReply SampleReply(const HostRequest& request) {
  HostReply reply;
  reply.outcome = Timings{{static_cast<double>(request.object.size())}, 1};
  reply.digests = {request.cases.front().expected_digest};
  return reply;
}

// A queue that lets a test see what has come to it. Waits end with false where what they wait for
// does not come.
class WatchedQueue final : public MeasureQueue {
 public:
  explicit WatchedQueue(std::unique_ptr<MeasureQueue> queue) : queue_(std::move(queue)) {}

  void Submit(MeasureJob job) override {
    {
      const std::lock_guard lock(mutex_);
      wanted_.push_back(job.wanted);
      changed_.notify_all();
    }
    queue_->Submit(std::move(job));
  }
  void DropUnwanted() override { queue_->DropUnwanted(); }

  // Waits until so many jobs have come in all.
  bool AwaitJobs(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return wanted_.size() >= count; });
  }
  // Waits until nobody wants the job number `index`, from 0, any more.
  bool AwaitUnwanted(std::size_t index) {
    std::unique_lock lock(mutex_);
    const std::function<bool()> wanted = wanted_.at(index);
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (wanted() && std::chrono::steady_clock::now() < deadline) {
      changed_.wait_for(lock, std::chrono::milliseconds(1));
    }
    return !wanted();
  }

 private:
  static constexpr std::chrono::seconds kPatience{30};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::function<bool()>> wanted_;  // of each job that has come
  const std::unique_ptr<MeasureQueue> queue_;
};

class FakeDevice {
 public:
  explicit FakeDevice(FakeKernel kernel = SampleReply, std::string name = "fake",
                      TimeKind kind = TimeKind::kMeasured)
      : identity_{std::move(name), "t", {"avx2"}, {0, 1}, {{"rack", "4"}}, "test", kind},
        service_(NewDeviceService(identity_, fence_, *peers_, QueueOf(std::move(kernel)))),
        server_(*Listen({.traffic = TestTraffic()}, {&service_->service()})) {}

  const std::string& address() const { return server_->address(); }
  const DeviceIdentity& identity() const { return identity_; }
  LeaseFence& fence() { return fence_; }
  WatchedQueue& queue() { return *queue_; }
  // How often the kernel under way was to be broken off.
  int aborts() const { return host_->aborts(); }
  // False: it is not within the time.
  bool AwaitAbort() const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (aborts() == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return aborts() > 0;
  }
  void Shutdown() { server_.reset(); }

 private:
  // The client's objects are in the same process.
  static Traffic TestTraffic() {
    Traffic traffic = kDeviceTraffic;
    traffic.memory.bytes = std::size_t{1} << 30;
    return traffic;
  }

  std::unique_ptr<MeasureQueue> QueueOf(FakeKernel kernel) {
    auto host = std::make_unique<FakeHostProcess>(std::move(kernel));
    host_ = host.get();
    auto queue = std::make_unique<WatchedQueue>(
        NewMeasureQueue(std::move(host), std::make_unique<NoCoreLock>()));
    queue_ = queue.get();
    return queue;
  }

  LeaseFence fence_;
  const DeviceIdentity identity_;
  FakeHostProcess* host_ = nullptr;  // the queue's
  WatchedQueue* queue_ = nullptr;    // the service's
  const std::unique_ptr<PeerCheck> peers_ = *NewPeerCheck({}, SystemClock());
  std::unique_ptr<DeviceService> service_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace kiln
