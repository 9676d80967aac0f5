#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernel_host/fault.h"
#include "kernel_host/fresh_inputs.h"
#include "kernel_host/guarded_buffer.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/prepared_case.h"
#include "kernel_host/sampler.h"
#include "ops/measurement.h"

namespace kiln {

// The memory in which the runner tells its supervisor what happened, shared between both and zeroed
// before each trial. The supervisor believes none of it once the kernel has been called, which may
// have written here.
struct RunnerReport {
  std::atomic<Stage> stage;  // what the runner is at
  FaultRecord fault;
  bool failed;  // the runner refused the kernel, or pack refused the values
  FailureKind failure_kind;
  std::array<char, 512> failure;
  std::array<char, 1024> log;
  SampleRecord samples;
};

// What the supervisor asks for, one at a time, as 8 bytes on the channel; the runner answers each
// with one byte, and its task with one when it is ready.
struct RunnerStep {
  enum class Kind : std::uint8_t {
    kNothing,  // but answer
    kFetch,    // read and write the data of the first `calls` fresh inputs, without a call
    kRunCase,  // pack and call once, with the case's data placed as said
    kTime,     // take the plan's samples with what the last kRunCase has placed
    kCall,     // call again, `calls` times
    kFresh,    // call once with each of the first `calls` fresh inputs and what was packed last
  };
  Kind kind = Kind::kNothing;
  Placement placement = Placement::kLow;
  std::uint16_t case_index = 0;
  std::uint32_t calls = 0;
};
enum class RunnerAnswer : std::uint8_t { kDone = 1, kFailed = 2 };

// What a runner is given, and all that it is ever given: no expected digest, no seed, no data of
// other trials.
struct RunnerTask {
  HostRequest request;  // without cases
  std::vector<CaseLayout> cases;
  FreshLayout fresh;
  std::uint64_t y_bytes = 0;
  // Files that lie in memory, of the supervisor on its side, of the task on the runner's.
  struct Files {
    int report = -1, y = -1, fresh = -1;
    std::vector<int> cases;
  };
  Files files;
};
// False if the other end has gone; of what cannot be sent, errno says why.
bool SendTask(int channel, const RunnerTask& task);
bool ReceiveTask(int channel, RunnerTask& task);

// Where a runner comes from.
struct RunnerOrigin {
  IsaMask machine = 0;
  int parent = 0;  // its process
  int channel = -1;
};

// The process that runs one kernel, from fork() to its end: waits for its task, loads the object,
// checks it, makes buffers and threads, enters the sandbox, then serves steps until the channel
// closes.
[[noreturn]] void RunnerMain(const RunnerOrigin& origin);

}  // namespace kiln
