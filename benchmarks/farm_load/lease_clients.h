#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/rng.h"
#include "base/status.h"
#include "benchmarks/farm_load/calls.h"
#include "benchmarks/farm_load/channel.h"
#include "benchmarks/farm_load/load_loop.h"
#include "benchmarks/farm_load/simulated_devices.h"
#include "proto/tracker.pb.h"

namespace kiln::load {

// What must never happen, counted over all clients.
struct LeaseFaults {
  std::uint64_t held_twice = 0;      // granted while another client's lease of the device was valid
  std::uint64_t unacknowledged = 0;  // granted though the device had not acknowledged the epoch
  std::uint64_t wrong_reply = 0;     // an answer to another request than the one that was sent
};

// This watches all leases of the load generator: who holds which device, as its holder sees it.
class LeaseLedger {
 public:
  explicit LeaseLedger(const SimulatedDevices& devices) : devices_(devices) {}
  void Granted(const v1::AcquireLeaseReply& reply, SteadyTime now);
  void Renewed(const std::string& device, SteadyTime until) { until_[device] = until; }
  void Released(const std::string& device) { until_.erase(device); }
  const LeaseFaults& faults() const { return faults_; }
  void CountWrongReply() { ++faults_.wrong_reply; }

 private:
  const SimulatedDevices& devices_;
  std::unordered_map<std::string, SteadyTime> until_;  // the end of the lease, by device
  LeaseFaults faults_;
};

// This is one client: a name and a connection of its own.
class LeaseClient {
 public:
  LeaseClient(Dialer& dialer, LeaseLedger& ledger, const Credential& credential, std::string name,
              std::uint64_t seed)
      : ledger_(ledger), channel_(dialer, credential), name_(std::move(name)), ids_(seed) {}

  LeaseLedger& ledger() { return ledger_; }
  Channel& channel() { return channel_; }
  const std::string& name() const { return name_; }
  std::string NewId();

 private:
  LeaseLedger& ledger_;
  Channel channel_;
  const std::string name_;
  Rng ids_;
};

struct LeaseWish {
  std::string target;
  std::int32_t priority = 0;
  std::chrono::milliseconds wait{3'600'000};
};

// This is one request of a client after the other, and the leases that come of them; one call at a
// time. What happens next is up to whoever is told of the event.
class LeaseSlot {
 public:
  enum class Event { kGranted, kRenewed, kReleased, kFailed };
  using Handler = std::function<void(LeaseSlot&, Event)>;

  LeaseSlot(LeaseClient& client, const LeaseWish& wish, Handler handler);
  LeaseSlot(const LeaseSlot&) = delete;
  LeaseSlot& operator=(const LeaseSlot&) = delete;

  void Acquire();
  void Renew();
  void Release();
  void Cancel();
  bool busy() const;
  const Status& error() const { return error_; }
  const std::string& device() const { return acquire_.reply().device(); }
  // Of the last lease; `granted` is zero if there was none.
  SteadyTime asked() const { return asked_; }
  SteadyTime granted() const { return granted_; }
  SteadyTime began() const { return began_; }  // the last renewal

 private:
  void OnAcquired();
  void OnRenewed();
  void OnReleased();
  void Fail(const Status& status);

  LeaseClient& client_;
  const Handler handler_;
  RepeatedCall<v1::AcquireLeaseRequest, v1::AcquireLeaseReply> acquire_;
  RepeatedCall<v1::RenewLeaseRequest, v1::RenewLeaseReply> renew_;
  RepeatedCall<v1::ReleaseLeaseRequest, v1::ReleaseLeaseReply> release_;
  SteadyTime asked_, granted_, began_;
  Status error_;
};

// Errors by code, with an example of each.
class ErrorCounts {
 public:
  void Add(const Status& status);
  std::uint64_t total() const { return total_; }
  std::string Describe() const;  // "none", or "12 RESOURCE_EXHAUSTED (too many ...)"
  void Clear() { *this = ErrorCounts(); }

 private:
  std::uint64_t total_ = 0;
  std::map<int, std::pair<std::uint64_t, std::string>> by_code_;
};

}  // namespace kiln::load
