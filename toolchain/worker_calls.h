#pragma once

#include <memory>
#include <string>

#include "toolchain/worker_pool.h"

namespace kiln {

// These are the kiln-compile-worker processes of one pool, started when there is work. A worker
// that dies takes nothing along: its job is tried once more in a fresh one; a job out of time is
// not tried again. Thread-safe; a call blocks.
class WorkerCalls {
 public:
  WorkerCalls(Reactor& reactor, const WorkerPoolOptions& options);
  ~WorkerCalls();

  // The frame that answers the request. kUnavailable: workers die of it. kDeadlineExceeded: not
  // within options.time_out. Other errors: there is no worker to be had.
  StatusOr<std::string> Call(const std::string& request);

  // "30000 ms of processor time".
  std::string TimeOutText() const;
  // An answer that cannot be read.
  Status OtherVersion() const;

 private:
  class Pool;
  const std::unique_ptr<Pool> pool_;
};

}  // namespace kiln
