#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernel_host/fault.h"
#include "kernel_host/guarded_buffer.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/prepared_case.h"
#include "kernel_host/sampler.h"
#include "ops/measurement.h"

namespace kiln {

// The memory in which the runner tells its supervisor what happened, shared between both and zeroed
// before each trial. The supervisor believes none of its lengths: a kernel may have written here.
struct RunnerReport {
  std::atomic<Stage> stage;  // what the runner is at
  FaultRecord fault;
  bool failed;  // the runner refused the kernel, or pack refused the values
  FailureKind failure_kind;
  std::array<char, 512> failure;
  std::array<char, 1024> log;
  SampleRecord samples;
};

// What the supervisor asks for, one at a time, as 4 bytes on the channel; the runner answers each
// with one byte.
struct RunnerStep {
  enum class Kind : std::uint8_t {
    kRunCase,    // pack and call once, with the case's data placed as said
    kTime,       // take the plan's samples with what the last kRunCase has placed
    kCallAgain,  // call once more
  };
  Kind kind = Kind::kRunCase;
  Placement placement = Placement::kLow;
  std::uint16_t case_index = 0;
};
enum class RunnerAnswer : std::uint8_t { kDone = 1, kFailed = 2 };

struct RunnerTask {
  const HostRequest& request;
  const std::vector<std::shared_ptr<const PreparedCase>>& cases;
  const GuardedBuffer& y;  // shared with the supervisor
  IsaMask machine = 0;
  RunnerReport& report;
  int supervisor = 0;  // its process
  int channel = -1;
};

// The process that runs one kernel, from fork() to its end: loads the object, checks it, makes
// buffers and threads, enters the sandbox, then serves steps until the channel closes.
[[noreturn]] void RunnerMain(const RunnerTask& task);

}  // namespace kiln
