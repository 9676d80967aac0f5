#pragma once

#include <cstdint>
#include <string>

namespace kiln {

// Before anything of a kernel is looked at: the process dies with its parent `parent`, is first in
// line when memory runs out, leads a process group of its own, and holds no descriptor but
// `channel` and the standard ones. What the system refuses is added to `log`.
void LeaveParent(int parent, int channel, std::string& log);

struct SandboxLimits {
  int channel = -1;               // the one descriptor that may still be read and written
  std::uint64_t cpu_seconds = 1;  // of all threads together
  std::uint64_t new_memory = 0;   // bytes of address space beyond what is mapped now
};

// From here on all threads of the process can compute, wait for each other, read the clock, use the
// channel and exit; any other system call raises SIGSYS. Everything else (threads, memory, signal
// handlers) must exist before. Where the system refuses the filter (qemu-user), only the limits
// hold, and `log` says so.
void EnterSandbox(const SandboxLimits& limits, std::string& log);

}  // namespace kiln
