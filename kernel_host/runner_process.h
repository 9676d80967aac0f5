#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "kernel_host/runner.h"
#include "kernel_host/zygote.h"
#include "ops/measurement.h"

namespace kiln {

// What a step takes by the clock of the supervisor, and what the runner computes in it by the system's
// account: less if the machine had other work in between.
struct StepTime {
  double wall_ns = 0, processor_ns = 0;
};

// This is a runner as its supervisor sees it: a process that is asked for steps and has a deadline.
// However it ends, the destructor leaves nothing of it behind.
class RunnerProcess {
 public:
  // `server` is a socket: when its other end goes, so does the runner. `report` is what
  // task.files.report maps. Time in which this process is stopped, and so is the runner, counts for
  // nothing: a machine that is suspended, or a container that is frozen, says nothing of a kernel.
  RunnerProcess(Zygote& zygote, const RunnerTask& task, const RunnerReport& report, int server,
                std::chrono::steady_clock::time_point deadline);
  RunnerProcess(const RunnerProcess&) = delete;
  RunnerProcess& operator=(const RunnerProcess&) = delete;
  ~RunnerProcess();

  // Waits until the kernel is loaded and can be called. A failure as of Do().
  std::optional<Failure> AwaitReady();
  // Asks for one step and waits for its end. A failure ends the process; it is spent then.
  // `time`: what the step took, if it did not fail.
  std::optional<Failure> Do(const RunnerStep& step, StepTime* time = nullptr);
  // It is not needed any more: nothing of it runs from here on. The destructor waits for its end, as
  // taking its memory down takes a while.
  void Stop();

 private:
  enum class Event : std::uint8_t { kAnswer, kDeadline, kServerGone };

  std::optional<Failure> Ask(const RunnerStep& step);
  std::optional<Failure> AwaitAnswer();
  Event Wait();
  void Kill();  // and waits for the end
  Failure HowItEnded();
  Failure Reported() const;
  Failure BadStart(const std::string& why) const;
  Stage stage() const;

  Zygote& zygote_;
  const RunnerReport& report_;
  const int server_;
  std::chrono::steady_clock::time_point deadline_;  // later by what it was stopped for
  // When the supervisor was last seen to run.
  std::chrono::steady_clock::time_point seen_ = std::chrono::steady_clock::now();
  const bool has_one_thread_;  // of several the account says nothing about the time of a call
  int pid_ = -1, channel_ = -1;
  int wait_status_ = 0;
  bool called_ = false;  // the kernel may have run, and its process is not to be believed any more
};

}  // namespace kiln
