#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/reactor.h"
#include "toolchain/compiler.h"

namespace kiln {

struct WorkerPoolOptions {
  std::string program{};                                         // of kiln-compile-worker
  std::int32_t workers = 2;                                      // at most so many at a time
  std::vector<std::int32_t> cores{};                             // they run on; empty: anywhere
  std::chrono::nanoseconds time_out = std::chrono::seconds(60);  // of processor time, for one job
  std::int32_t jobs_per_worker = 400;  // then it is replaced: what LLVM leaks stays bounded
  // How long a job waited until a worker was free; on the threads that compile. Null: nobody cares.
  std::function<void(std::chrono::nanoseconds)> on_queued{};
};

// A Compiler whose jobs run in kiln-compile-worker processes, started when there is work. A worker
// that dies takes nothing along: its job is tried once more in a fresh one, and if that dies too
// the kernel has failed; a job out of time is not tried again. The reactor must outlive the pool.
std::unique_ptr<Compiler> NewWorkerPool(Reactor& reactor, const WorkerPoolOptions& options);

}  // namespace kiln
