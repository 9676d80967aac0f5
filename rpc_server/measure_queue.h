#pragma once

#include <functional>
#include <memory>

#include "kernel_host/host_protocol.h"
#include "rpc_server/core_lock.h"
#include "rpc_server/host_process.h"

namespace kiln {

// One measurement to make.
struct MeasureJob {
  std::shared_ptr<const std::string> object;  // goes into request.object when its turn comes
  HostRequest request;
  std::function<bool()> wanted;         // asked when its turn comes; false: drop it
  std::function<void(HostReply)> done;  // on the queue's thread; not called if it was dropped
};

// This is what makes one kernel run at a time: a thread that takes jobs in order of arrival, and
// for each holds the lock of the cores. Thread-safe.
class MeasureQueue {
 public:
  virtual ~MeasureQueue() = default;  // waits for the job under way, drops the others
  virtual void Submit(MeasureJob job) = 0;
};

std::unique_ptr<MeasureQueue> NewMeasureQueue(std::unique_ptr<HostProcess> host,
                                              std::unique_ptr<CoreLock> cores);

}  // namespace kiln
