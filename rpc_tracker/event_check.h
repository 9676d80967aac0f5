#pragma once

#include <cstdint>
#include <istream>
#include <map>
#include <string>

#include "base/status.h"
#include "rpc_tracker/lease_event.h"

namespace kiln {

// This is the proof, from a table's events alone, that no device was held by two: feed it all of
// them in order, those of restarted trackers (one log, appended to) included. What it holds them to:
//   - a device is granted only what it was offered, and has one lease at a time: between two grants
//     of a device there is the end (released, expired, revoked) of the first;
//   - a lease is on one device at a time;
//   - the epochs that a device is offered grow strictly, also over restarts of a tracker that keeps
//     its state. One that knows nothing of the past (`started` without an epoch) may begin anew,
//     since it believes what the devices tell it;
//   - a device is not offered between `quarantined` and `readmitted`; a tracker that begins anew says
//     again of whom it still knows;
//   - what a device brings back after a restart is either the lease that it had, or one that is not
//     older than any that was granted: an offer may not have reached it, nor the end of its lease.
class EventCheck {
 public:
  // kFailedPrecondition: the first violation, in words. The check is over then.
  Status Add(const LeaseEvent& event);

 private:
  struct Device {
    std::string lease;        // that it holds; empty: none
    std::uint64_t epoch = 0;  // of `lease`, or of what is offered
    std::string offered;
    std::uint64_t highest = 0, granted = 0;  // epochs: of all offers, and of those that it took
    bool before_restart = false;             // whether it still holds `lease` is not known
    bool quarantined = false;
  };

  Status Offered(Device& device, const LeaseEvent& event);
  Status Held(Device& device, const LeaseEvent& event);
  Status Ended(Device& device, const LeaseEvent& event);
  void Restarted(const LeaseEvent& event);

  std::map<std::string, Device> devices_;
  std::map<std::string, std::string> holds_;  // lease -> device
};

// Reads a log, a line of JSON each. Ok, or the first violation with the number of its line;
// kInvalidArgument: a line that is no event.
Status CheckEventLog(std::istream& lines);

}  // namespace kiln
