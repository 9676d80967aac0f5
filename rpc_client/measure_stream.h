#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/status.h"
#include "rpc_client/tracker_client.h"

namespace grpc {
class Channel;
}
namespace kiln::v1 {
class MeasureReply;
class MeasureRequest;
}  // namespace kiln::v1

namespace kiln {

// This is one Measure call to a device, kept open: requests go out as they come, and each waits for
// its own answer. Thread-safe.
class MeasureStream {
 public:
  virtual ~MeasureStream() = default;  // breaks the call off and waits for its end
  // Blocks until the answer is here. An error of the stream, which is then spent for all, is
  // returned as the device gave it; kUnavailable also if no answer comes within `timeout`, counted
  // from when the answers to earlier requests are due. kUnavailable of a request that has gone out
  // is marked, as by LostWhileRunning().
  virtual StatusOr<v1::MeasureReply> Exchange(v1::MeasureRequest request,
                                              std::chrono::nanoseconds timeout) = 0;
  // The call ends soon.
  virtual void BreakOff() = 0;
};

// To the device of a lease, over its channel, in a version of the protocol that it understands.
std::unique_ptr<MeasureStream> OpenMeasureStream(const GrantedLease& lease,
                                                 std::shared_ptr<grpc::Channel> channel,
                                                 int protocol);

}  // namespace kiln
