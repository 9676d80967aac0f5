#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "kernel_host/device_state.h"
#include "kernel_host/guarded_buffer.h"
#include "kernel_host/host_protocol.h"
#include "kernel_host/prepared_case.h"
#include "kernel_host/runner_process.h"
#include "ops/isa.h"

namespace kiln {

// This runs trials, one after the other, each in a process of its own: prepares the data, starts a
// runner, leads it through verification and timing, and judges the output itself. It keeps what the
// next trial can use again.
class TrialSupervisor {
 public:
  // `server`: the socket to kiln-server, watched during trials.
  explicit TrialSupervisor(int server);
  TrialSupervisor(const TrialSupervisor&) = delete;
  TrialSupervisor& operator=(const TrialSupervisor&) = delete;
  ~TrialSupervisor();

  // When it returns, the runner does nothing any more, but may still have to be taken down.
  HostReply Run(const HostRequest& request);
  // Waits until it is. Before the next Run(), which would do so itself.
  void TakeDown() { runner_.reset(); }

 private:
  Outcome Measure(const HostRequest& request, HostReply& reply);
  std::optional<Failure> PrepareData(const HostRequest& request);

  const int server_;
  const IsaMask machine_;
  DeviceSensors sensors_;
  RunnerReport* report_;  // shared with the runner; nullptr if the system has no memory
  CaseCache cache_;
  std::vector<std::shared_ptr<const PreparedCase>> cases_;
  GuardedBuffer y_;
  std::optional<RunnerProcess> runner_;
};

}  // namespace kiln
