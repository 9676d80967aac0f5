#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "proto/transport.h"
#include "rpc_server/device_service.h"

// A device whose kernels are a function of the test: everything but kiln-host is real.

namespace kiln {

using FakeKernel = std::function<HostReply(const HostRequest&)>;

class FakeHostProcess final : public HostProcess {
 public:
  explicit FakeHostProcess(FakeKernel kernel) : kernel_(std::move(kernel)) {}
  HostReply Run(const HostRequest& request) override { return kernel_(request); }
  StatusOr<HostDescription> Describe() override { return DescribeHost(); }

 private:
  const FakeKernel kernel_;
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

class FakeDevice {
 public:
  explicit FakeDevice(FakeKernel kernel = SampleReply, std::string name = "fake",
                      TimeKind kind = TimeKind::kMeasured)
      : identity_{std::move(name), "t", {"avx2"}, {0, 1}, {{"rack", "4"}}, "test", kind},
        service_(NewDeviceService(identity_, fence_,
                                  NewMeasureQueue(std::make_unique<FakeHostProcess>(kernel),
                                                  std::make_unique<NoCoreLock>()))),
        server_(*Listen({}, {&service_->service()})) {}

  const std::string& address() const { return server_->address(); }
  const DeviceIdentity& identity() const { return identity_; }
  LeaseFence& fence() { return fence_; }
  void Shutdown() { server_.reset(); }

 private:
  LeaseFence fence_;
  const DeviceIdentity identity_;
  std::unique_ptr<DeviceService> service_;
  std::unique_ptr<RpcServer> server_;
};

}  // namespace kiln
