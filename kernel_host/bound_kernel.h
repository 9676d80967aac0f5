#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "kernel_host/elf_loader.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/kiln_kernel.h"
#include "kernel_host/thread_pool.h"
#include "ops/isa.h"
#include "ops/measurement.h"
#include "ops/workload.h"

namespace kiln {

// A kernel of a loaded object and the memory that it is called with, which the caller owns.
struct BoundKernel {
  kiln_info info{};
  kiln_pack_fn* pack = nullptr;
  kiln_run_fn* run = nullptr;

  const void* packed = nullptr;
  const void* x = nullptr;
  void* y = nullptr;
  void* shared_ws = nullptr;
  std::array<void*, kMaxThreads> thread_ws{};
};

// What a kernel must fit.
struct KernelDemands {
  const Workload& workload;
  IsaMask machine = 0;
  std::int32_t threads = 1;  // at most kMaxThreads
};

// Finds the ABI's names for `symbol` and checks that the kernel computes this workload on this
// machine within reasonable memory. Sets info and functions of `kernel`, or returns what is wrong
// (kBadObject, kUnsupportedIsa). `object` must outlive it.
std::optional<Failure> Bind(const LoadedObject& object, const std::string& symbol,
                            const KernelDemands& demands, BoundKernel& kernel);

// The share of thread `thread` in one call: its pieces of every phase, with the ABI's barrier
// between phases and none after the last. All threads of the pool must do theirs.
void CallShare(const BoundKernel& kernel, ThreadPool& pool, int thread);

}  // namespace kiln
