#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/reactor.h"
#include "base/status.h"
#include "measure/measurer.h"
#include "toolchain/estimate_job.h"

namespace kiln {

// This counts what a kernel executes in one call. Not thread-safe; blocks the calling thread.
class BlockCounter {
 public:
  virtual ~BlockCounter() = default;
  // Every case of the request is verified, the first is counted. A Failure is the kernel's; an
  // error is the tool's: the emulator cannot be run.
  virtual StatusOr<std::variant<std::vector<CountedBlock>, Failure>> Count(
      const RunRequest& request) = 0;
};

struct EmulatedCounterOptions {
  std::string arch;  // "x86_64", "aarch64"
  IsaMask isa = 0;   // that kernels use
  // For one kernel, its data included, which the emulated program makes. An emulator is a hundred
  // times slower than its machine.
  std::chrono::nanoseconds time_out = std::chrono::seconds(120);
};

// Counts in qemu-user, with kiln-count-host in it, one process for many kernels. kNotFound: the
// emulator or the program is not installed; kFailedPrecondition: it does not count here, or
// emulates no processor with these features. The reactor must outlive it.
StatusOr<std::unique_ptr<BlockCounter>> NewEmulatedCounter(Reactor& reactor,
                                                           const EmulatedCounterOptions& options);

}  // namespace kiln
