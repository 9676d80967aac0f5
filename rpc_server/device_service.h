#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "ops/measurement.h"
#include "proto/peer.h"
#include "rpc_server/lease_fence.h"
#include "rpc_server/measure_queue.h"

namespace grpc {
class Service;
}

namespace kiln {

// Who a device is, for its tracker and its clients.
struct DeviceIdentity {
  std::string name;
  std::string target;
  std::vector<std::string> isa;     // names of features that the machine has
  std::vector<std::int32_t> cores;  // the numbers of those to measure on; at least one
  std::map<std::string, std::string> labels;
  std::string build;  // "kiln-server 0.1.0"
  TimeKind time_kind = TimeKind::kMeasured;
};

// This is the gRPC service kiln.v1.Device: it checks each request against the fence and the limits
// of proto/device.proto, keeps what objects it has been sent, and passes the work to the queue,
// which makes the measurements of all callers one after the other. What nobody can be told of any
// more, because the lease has ended or the client has gone, is dropped, and broken off if it runs.
// It knows nothing of kernels. The fence's OnEnd() is its own.
// Thread-safe. Give service() to Listen(); the server must go before this object, the fence and the
// check of peers after.
class DeviceService {
 public:
  virtual ~DeviceService() = default;
  virtual grpc::Service& service() = 0;
};

std::unique_ptr<DeviceService> NewDeviceService(const DeviceIdentity& identity, LeaseFence& fence,
                                                PeerCheck& peers,
                                                std::unique_ptr<MeasureQueue> queue);

}  // namespace kiln
