#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/status.h"
#include "rpc_tracker/quarantine.h"

namespace kiln {

// This is what a tracker keeps over its restarts: how often it has been started, and which devices have
// failed lately. The first, multiplied by 2^40, is the LeaseTableOptions::first_epoch, so that no epoch is
// ever granted twice, not even of a device that has forgotten what it served, and nothing has to be
// written while leases come and go. The second is LeaseTableOptions::records.
class TrackerState {
 public:
  // What is to be kept is written by then; another tracker may use the directory.
  virtual ~TrackerState() = default;
  virtual std::uint64_t first_epoch() const = 0;
  virtual const DeviceRecords& records() const = 0;  // as the former tracker left them
  // Puts these in their place, soon: the caller does not wait for the disk. If it cannot be written,
  // the log says so. Thread-safe.
  virtual void Keep(DeviceRecords records) = 0;
};

// Counts this start in the directory, which is made if it is not there. kFailedPrecondition: another
// tracker uses it, or a file in it is damaged (which says how to go on). The clock must outlive the
// state: on disk there are times of day, which go on while no tracker runs.
StatusOr<std::unique_ptr<TrackerState>> OpenTrackerState(const std::string& directory,
                                                         const Clock& clock = SystemClock());

}  // namespace kiln
