#pragma once

#include <chrono>
#include <cstdint>

#include "base/status.h"
#include "benchmarks/farm_load/farm.h"

// The workloads of farm_load. Each takes a farm without devices, prints one table, and returns when
// it is done or the user has had enough.

namespace kiln::load {

// Clients that acquire, get a grant that a device has acknowledged, and release, in a closed loop;
// and the same beside requests for a target that nobody serves.
struct CyclesOptions {
  std::int32_t waiting = 0;           // such requests; 0: only without
  std::int32_t waiting_clients = 10;  // over which they are spread
  std::int32_t rounds = 1;            // of both, in turns: the table has the medians
};
Status RunCycles(Farm& farm, const CyclesOptions& options);

// Every device is leased; the clients renew the leases in a closed loop.
struct RenewalsOptions {
  std::int32_t depth = 16;  // renewals under way per client
};
Status RunRenewals(Farm& farm, const RenewalsOptions& options);

// Devices that are connected and idle, with keepalive.
struct HeartbeatsOptions {
  double interval = 10;  // seconds between lines
};
Status RunHeartbeats(Farm& farm, const HeartbeatsOptions& options);

// Two clients that want the same devices: one has ten times the requests; then one has a priority.
struct FairnessOptions {
  std::int32_t requests = 20;  // under way of the modest client
  std::int32_t factor = 10;
  std::int32_t priority = 100;
  double hold_ms = 20;
};
Status RunFairness(Farm& farm, const FairnessOptions& options);

// Devices that also serve proto/device.proto's Measure with made-up times, for real clients, until
// the user has had enough.
struct DevicesOptions {
  double trial_ms = 1;     // from a request to its answer
  double kernel_us = 100;  // what a kernel is said to take
  double noise = 0.01;     // relative, of each sample
};

// This is the Device service of all devices, whose addresses go into their hellos: in plaintext on one
// port, over TLS on a port each, where a device serves only the lease that it holds.
class MeasureServer {
 public:
  virtual ~MeasureServer() = default;
  virtual DeviceFace FaceOf(const std::string& device) const = 0;
  virtual std::uint64_t answered() const = 0;
};
StatusOr<std::unique_ptr<MeasureServer>> StartMeasureServer(const FarmOptions& farm,
                                                            const DevicesOptions& options);
Status RunDevices(Farm& farm, const MeasureServer& server);

// The first lines of every table: what runs, and what of it the tracker's machine sees.
void PrintHeading(const Farm& farm, const std::string& workload);
// The last ones: faults, and what the devices did. Ok if nothing happened that never may.
Status PrintFaults(Farm& farm);

}  // namespace kiln::load
