#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/child_program.h"
#include "base/status.h"
#include "daemon/tuner_messages.h"

namespace kiln {

// This is the program that tunes for one job, while it runs. Its destructor kills it.
class JobTuner {
 public:
  virtual ~JobTuner() = default;
  virtual void Stop() = 0;  // at the end of the trials that run; what is queued is not begun
  virtual void Kill() = 0;  // with the kernel that runs: at most that trial is lost
};

// These start tuners. Used on the reactor's thread, which calls the observer.
class JobTuners {
 public:
  struct Observer {
    std::function<void(const TunerEvent&)> event;
    std::function<void(const ProgramEnd&)> ended;  // once, last
  };
  virtual ~JobTuners() = default;
  virtual StatusOr<std::unique_ptr<JobTuner>> Start(const TunerOrder& order, Observer observer) = 0;
};

// `program run-job` as a child of this program: a tuner that crashes takes nothing else down, and
// its memory goes with it. What it says that is no event is logged and left out.
std::unique_ptr<JobTuners> NewJobTuners(Reactor& reactor, std::string program);

}  // namespace kiln
