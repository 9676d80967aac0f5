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
  // Asked when its turn comes, and now and then while it waits or runs; false: drop it, and ask no
  // more. Thread-safe.
  std::function<bool()> wanted;
  std::function<void(HostReply)> done;  // on the queue's thread; not called if it was dropped
};

// This is what makes one kernel run at a time: a thread that takes jobs in order of arrival, and
// for each holds the lock of the cores. Thread-safe.
class MeasureQueue {
 public:
  virtual ~MeasureQueue() = default;  // waits for the job under way, drops the others
  virtual void Submit(MeasureJob job) = 0;
  // Somebody may want his jobs no longer: asks all of them, and breaks off the one that runs if it is
  // such a one. Does not wait for that.
  virtual void DropUnwanted() = 0;
};

std::unique_ptr<MeasureQueue> NewMeasureQueue(std::unique_ptr<HostProcess> host,
                                              std::unique_ptr<CoreLock> cores);

}  // namespace kiln
