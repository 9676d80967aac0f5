#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/reactor.h"
#include "daemon/daemon_config.h"

namespace kiln {

// This runs the owner's program whenever a job has ended, with the job as JSON on its standard input:
// to send mail, or a message. One at a time, in the order of the ends; one that takes too long
// is killed, and what goes wrong is logged with the last line that it printed. All on the reactor's thread.
class EndCommand {
 public:
  virtual ~EndCommand() = default;
  // Nothing happens without a command in the configuration. `job` is for the log.
  virtual void Run(const DaemonConfig& config, std::int64_t job, std::string json) = 0;
  virtual bool is_idle() const = 0;
};

// `told` hears of each job whose command has ended, well or not, or could not be started. Not of one
// that goes with this object, nor of one that is left out because too many wait.
std::shared_ptr<EndCommand> NewEndCommand(Reactor& reactor,
                                          std::function<void(std::int64_t job)> told = nullptr);

}  // namespace kiln
