#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernel_host/audit.h"
#include "kernel_host/device_state.h"
#include "kernel_host/fresh_inputs.h"
#include "kernel_host/guarded_buffer.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/memory_file.h"
#include "kernel_host/prepared_case.h"
#include "kernel_host/runner_process.h"
#include "kernel_host/zygote.h"

namespace kiln {

// This runs trials, one after the other, each in a process of its own: prepares the data, starts a
// runner, leads it through verification and timing, and judges outputs and times itself. It keeps
// what the next trial can use again.
class TrialSupervisor {
 public:
  // `server`: the socket to kiln-server, watched during trials.
  TrialSupervisor(int server, Zygote& zygote);
  TrialSupervisor(const TrialSupervisor&) = delete;
  TrialSupervisor& operator=(const TrialSupervisor&) = delete;
  ~TrialSupervisor();

  // When it returns, the runner does nothing any more, but may still have to be taken down.
  HostReply Run(const HostRequest& request);
  // Waits until it is. Before the next Run(), which would do so itself.
  void TakeDown();

 private:
  Outcome Measure(const HostRequest& request, HostReply& reply);
  std::string PrepareCases(const HostRequest& request);
  bool MapOutputs(const Workload& workload);
  std::optional<Failure> StartRunner(const HostRequest& request,
                                     std::chrono::steady_clock::time_point deadline);
  std::optional<Failure> LearnStepCosts(const HostRequest& request);
  RunnerTask TaskOf(const HostRequest& request) const;

  const int server_;
  Zygote& zygote_;
  DeviceSensors sensors_;
  const MemoryFile report_file_;
  RunnerReport* const report_;  // shared with the runner; nullptr if the system has no memory
  Rng rng_;
  CaseCache cache_;
  std::vector<std::shared_ptr<const PreparedCase>> cases_;
  MemoryFile y_file_;
  GuardedBuffer y_;
  FreshInputs fresh_;
  std::optional<RunnerProcess> runner_;
  struct {
    std::int32_t threads = 0;
    std::vector<std::int32_t> cores;
    bool rate_is_known = false;
    StepCosts of_step;
  } costs_;
};

}  // namespace kiln
