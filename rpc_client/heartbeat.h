#pragma once

#include <memory>

#include "base/reactor.h"
#include "base/status.h"
#include "rpc_client/tracker_client.h"

namespace kiln {

// This keeps one lease alive: it renews it every third of its time to live, and goes on while the
// tracker cannot be reached, since the device serves the lease until it is told otherwise. At the
// least it renews every second, because the tracker asks a lease back in its answers: a client that
// waits is heard of within that time. Thread-safe. Its destructor stops it and waits.
class Heartbeat {
 public:
  virtual ~Heartbeat() = default;
  // Ok, or why the lease is over.
  virtual Status status() const = 0;
  // Whether the tracker's latest answer asks the lease back. Not while it cannot be reached: nobody
  // waits there then, and what is given back could not be had again. Does not block.
  virtual bool is_wanted_back() const = 0;
};

// `tracker` and `reactor` must outlive it.
std::unique_ptr<Heartbeat> StartHeartbeat(Reactor& reactor, TrackerClient& tracker,
                                          const GrantedLease& lease);

}  // namespace kiln
