#pragma once

#include <memory>

#include "base/reactor.h"
#include "base/status.h"
#include "rpc_client/tracker_client.h"

namespace kiln {

// This keeps one lease alive: it renews it every third of its time to live, and goes on while the
// tracker cannot be reached, since the device serves the lease until it is told otherwise.
// Thread-safe. Its destructor stops it and waits.
class Heartbeat {
 public:
  virtual ~Heartbeat() = default;
  // Ok, or why the lease is over.
  virtual Status status() const = 0;
};

// `tracker` and `reactor` must outlive it.
std::unique_ptr<Heartbeat> StartHeartbeat(Reactor& reactor, TrackerClient& tracker,
                                          const GrantedLease& lease);

}  // namespace kiln
