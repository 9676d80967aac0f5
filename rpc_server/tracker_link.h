#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/reactor.h"
#include "base/status.h"
#include "proto/transport.h"
#include "rpc_server/device_service.h"
#include "rpc_server/lease_fence.h"

namespace kiln {

// This is a device's connection to its tracker: it registers, moves the fence as the tracker
// commands, and comes back by itself, within seconds, for as long as it lives. Its destructor ends
// the registration.
class TrackerLink {
 public:
  virtual ~TrackerLink() = default;
};

struct TrackerLinkOptions {
  std::string tracker;  // its address
  DialOptions dial;     // how it is reached
  std::string address;  // where clients reach the device; empty: where they reach the tracker
  DeviceIdentity identity;
};

// The reactor and the fence must outlive the link.
std::unique_ptr<TrackerLink> NewTrackerLink(Reactor& reactor, LeaseFence& fence,
                                            const TrackerLinkOptions& options);

}  // namespace kiln
