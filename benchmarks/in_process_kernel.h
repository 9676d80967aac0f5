#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "kernel_host/bound_kernel.h"
#include "kernel_host/elf_loader.h"
#include "kernel_host/thread_pool.h"
#include "measure/measurer.h"
#include "ops/op_data.h"

namespace kiln {

// This is a compiled kernel in the process that calls it, as in a user's program: no sandbox, no
// guard pages, buffers from the C library. Only for kernels that have been verified.
class InProcessKernel {
 public:
  // Loads the object and makes its buffers. The pool must outlive it and be used by one caller at a
  // time. kInvalidArgument: no object for this workload or machine.
  static StatusOr<std::unique_ptr<InProcessKernel>> Load(const Artifact& artifact,
                                                         const Workload& workload,
                                                         ThreadPool& pool);

  // Packs the values and takes the input. kFailedPrecondition: pack refuses the values.
  Status Use(const OpCase& data);

  // One call on all threads of the pool, after Use().
  void Call() { pool_.Run(CallOnThread, this); }

  // Chunks [begin, end) of a kernel of one phase, on the calling thread.
  void CallChunks(std::uint32_t begin, std::uint32_t end);

  // Later calls read this memory instead of the input, x_bytes that the caller keeps.
  void ReadFrom(std::span<const std::uint8_t> x) { kernel_.x = x.data(); }

  void ClearOutput();

  const kiln_info& info() const { return kernel_.info; }
  std::span<const std::uint8_t> y() const { return {y_.get(), kernel_.info.y_bytes}; }

 private:
  struct Free {
    void operator()(std::uint8_t* bytes) const { std::free(bytes); }
  };
  using Bytes = std::unique_ptr<std::uint8_t, Free>;

  explicit InProcessKernel(ThreadPool& pool) : pool_(pool) {}
  static Bytes Allocate(std::uint64_t bytes);
  void MakeBuffers();
  static void CallOnThread(void* context, int thread);

  ThreadPool& pool_;
  std::optional<LoadedObject> object_;
  BoundKernel kernel_;
  Bytes packed_, x_, y_, shared_ws_;
  std::vector<Bytes> thread_ws_;
};

}  // namespace kiln
