#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/reactor.h"
#include "daemon/daemon_config.h"

namespace kiln {

// This looks after the database once a day, at the configuration's time: an integrity check; if that
// finds nothing, the removal of what nothing refers to (unless jobs run, whoever runs them: it takes
// the write lock for long) and a backup, of which only the newest are kept. Each is a `kiln db` command in a process of
// its own. A day that was missed is made up for at the next tick. All on the reactor's thread.
class Maintenance {
 public:
  struct Standing {
    std::string trouble;  // what the last check or backup said that is wrong; empty: nothing
    std::optional<WallTime> last_backup;  // that succeeded
  };
  virtual ~Maintenance() = default;
  // Does what is due; `jobs_run`: whether a tuner is writing, of this daemon or another.
  virtual void Tick(const DaemonConfig& config, WallTime now, bool jobs_run) = 0;
  virtual const Standing& standing() const = 0;
};

// `program` is `kiln`.
std::shared_ptr<Maintenance> NewMaintenance(Reactor& reactor, std::string program,
                                            std::string database);

}  // namespace kiln
