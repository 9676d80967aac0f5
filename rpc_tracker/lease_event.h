#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/status.h"

namespace kiln {

enum class LeaseEventKind {
  kStarted,         // of the table: `epoch` is its first_epoch; 0: it knows nothing of the past
  kRegistered,      // a device has connected; `epoch` is the highest known of it
  kReplaced,        // its session was ended by a newer one
  kLost,            // its session has ended
  kForgotten,       // it did not come back
  kDeviceRefused,   // a hello was turned away
  kWaiting,         // a request stands in the queue
  kOffered,         // a device was asked to serve it, with this epoch
  kReturned,        // and did not say that it does: the request is back in its place
  kGranted,         // the device has acknowledged: from now on it is leased
  kAdopted,         // a device brought the lease that it serves, from before the tracker's start
  kReleased,        // the lease's holder has given it back, or gone
  kExpired,         // its holder was not heard of for one ttl
  kRevoked,         // its device has ended it
  kWithdrawn,       // a request has left the queue unanswered: its client has gone
  kUnserved,        // no device came free while it waited, or it gave way
  kRequestRefused,  // a request was turned away at once
  kQuarantined,     // a device has failed too often; after `started`: it is still to be
  kReadmitted,      // it may be offered again
};

// What happened in a lease table, for its log. Fields without a meaning for the kind are empty.
struct LeaseEvent {
  LeaseEventKind kind = LeaseEventKind::kStarted;
  std::string device;
  std::string lease;
  std::string client;
  std::string party;
  std::uint64_t epoch = 0;
  std::string reason;
  std::string target;  // of the device, or that is asked for

  bool operator==(const LeaseEvent&) const = default;
};

const char* Name(LeaseEventKind kind);  // "granted"

// One line of JSON, without the newline: {"time_ms":...,"event":"granted","device":...}. Empty fields
// are left out. Control characters are escaped, and bytes that are not UTF-8 replaced.
std::string ToJsonLine(const LeaseEvent& event, WallTime time);
// kInvalidArgument: not such a line.
StatusOr<LeaseEvent> ParseLeaseEvent(std::string_view line);

}  // namespace kiln
