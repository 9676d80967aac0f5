#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "rpc_client/rpc_client.h"

namespace kiln {

// A lease as the tracker grants it.
struct GrantedLease {
  std::string id;
  std::uint64_t epoch = 0;
  std::string device;
  std::string address;
  std::chrono::milliseconds ttl{0};
  TimeKind time_kind = TimeKind::kMeasured;
};

struct AcquireRequest {
  std::string lease_id;
  std::string target;
  ClientIdentity client;
  TimeKind time_kind = TimeKind::kMeasured;
};

// What the holder says of the device when it gives it back: ReleaseLeaseRequest of proto/tracker.proto.
struct LeaseOutcome {
  std::string fault;    // at most kMaxFaultBytes printable ones; empty: none
  bool served = false;  // it has answered
};
inline constexpr std::size_t kMaxFaultBytes = 256;

// What the tracker says to a heartbeat.
struct RenewedLease {
  bool give_back = false;  // somebody's turn has come: release when the trial under way has ended
};

// A call under way. Cancel() makes it end soon, with an error. It may go as soon as it has ended,
// but never on a thread of gRPC's (see proto/streams.h).
class PendingCall {
 public:
  virtual ~PendingCall() = default;  // waits for the end
  virtual void Cancel() = 0;
};

// This is kiln.v1.Tracker seen from a client. Thread-safe.
class TrackerClient {
 public:
  virtual ~TrackerClient() = default;
  virtual const std::string& address() const = 0;
  virtual const TlsFiles& tls() const = 0;

  // Blocks until there is a connection. kUnavailable: not within the time. Another error says why
  // there will be none: the two sides' certificates do not fit, or one of them has none.
  virtual Status Connect(std::chrono::nanoseconds timeout) = 0;
  // After kUnavailable: blocks until the broken connection is noticed, a short while at most.
  virtual void AwaitDisconnect() = 0;

  // Waits in the tracker's queue, a day at most. Calls `done` on a thread of gRPC's, which is then
  // done with the call. A call that is cancelled may yet have been given the lease.
  virtual std::unique_ptr<PendingCall> Acquire(
      const AcquireRequest& request, std::chrono::nanoseconds wait,
      std::function<void(StatusOr<GrantedLease>)> done) = 0;
  // Calls `done` on a thread of gRPC's, which is then done with the call.
  virtual std::unique_ptr<PendingCall> Renew(const GrantedLease& lease,
                                             std::function<void(StatusOr<RenewedLease>)> done) = 0;
  // Begins to give a lease back. If that fails, the lease expires by itself.
  virtual std::unique_ptr<PendingCall> Release(const GrantedLease& lease,
                                               const LeaseOutcome& outcome,
                                               std::chrono::nanoseconds timeout) = 0;
  // After an Acquire that was cancelled: the tracker may have granted the lease all the same.
  virtual Status Withdraw(const std::string& lease_id, std::chrono::nanoseconds timeout) = 0;
  virtual StatusOr<FarmInfo> List(std::chrono::nanoseconds timeout) = 0;
};

// kUnavailable: nobody is at a tracker's address.
Status NothingAnswers(const std::string& address, std::chrono::nanoseconds tried_for);

std::unique_ptr<TrackerClient> NewTrackerClient(const TrackerEndpoint& endpoint);

}  // namespace kiln
