#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace kiln {

// This is what a tracker keeps over its restarts: how often it has been started. Multiplied by 2^40 it
// is the LeaseTableOptions::first_epoch, so that no epoch is ever granted twice, not even of a device
// that has forgotten what it served, and nothing has to be written while leases come and go.
class TrackerState {
 public:
  virtual ~TrackerState() = default;  // another tracker may use the directory
  virtual std::uint64_t first_epoch() const = 0;
};

// Counts this start in the directory, which is made if it is not there. kFailedPrecondition: another
// tracker uses it, or the file in it is damaged (which says how to go on).
StatusOr<std::unique_ptr<TrackerState>> OpenTrackerState(const std::string& directory);

}  // namespace kiln
