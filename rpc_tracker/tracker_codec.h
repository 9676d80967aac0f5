#pragma once

#include <string>

#include "base/status.h"
#include "proto/peer.h"
#include "rpc_tracker/lease_table.h"

namespace kiln::v1 {
class AcquireLeaseRequest;
class DeviceCommand;
class DeviceEntry;
class DeviceHello;
class ReleaseLeaseRequest;
class RenewLeaseRequest;
}  // namespace kiln::v1

// What the wire says, as the lease table takes it, and back. Everything is checked that
// proto/tracker.proto promises: kInvalidArgument, or kFailedPrecondition for another protocol, says
// what is wrong in words that quote no more of the message than is fit for a log.

namespace kiln {

// Its name is the credential's, if it has one.
StatusOr<DeviceHello> ReadHello(const v1::DeviceHello& message, const Peer& peer);
StatusOr<LeaseRequest> ReadAcquire(const v1::AcquireLeaseRequest& message, const Peer& peer);
Status CheckRenew(const v1::RenewLeaseRequest& message);
// Its device may be empty.
Status CheckRelease(const v1::ReleaseLeaseRequest& message);
LeaseReport ReadReport(const v1::ReleaseLeaseRequest& message);

// What is still to come of a quarantine is counted from `now`.
v1::DeviceEntry WriteEntry(const DeviceView& view, SteadyTime now);
v1::DeviceCommand WriteGrant(const SendGrant& grant);
v1::DeviceCommand WriteRevoke(const SendRevoke& revoke);

}  // namespace kiln
