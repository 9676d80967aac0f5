#pragma once

#include <memory>

#include "base/clock.h"
#include "base/reactor.h"
#include "proto/peer.h"
#include "rpc_tracker/event_log.h"
#include "rpc_tracker/lease_table.h"
#include "rpc_tracker/tracker_state.h"

namespace grpc {
class Service;
}

namespace kiln {

// This is a LeaseTable behind the gRPC service kiln.v1.Tracker: it carries messages in, actions
// out, and wakes the table when it is due. Thread-safe. Give service() to Listen(); the server must
// go before this object, all that it is given after it.
class TrackerService {
 public:
  virtual ~TrackerService() = default;
  virtual grpc::Service& service() = 0;
  // As the table sees them now.
  virtual std::vector<DeviceView> Devices() = 0;
  // The state is kept as it is now, and no more. Before the server goes: connections that end with it
  // are no failures of the devices.
  virtual void StopKeeping() = 0;
};

// `events` and `state` may be null: nothing is logged, or kept. The latter keeps the records of devices
// that fail; what it brings from a former tracker is in the options already.
std::unique_ptr<TrackerService> NewTrackerService(Reactor& reactor, const Clock& clock,
                                                  PeerCheck& peers,
                                                  const LeaseTableOptions& options,
                                                  EventLog* events = nullptr,
                                                  TrackerState* state = nullptr);

}  // namespace kiln
