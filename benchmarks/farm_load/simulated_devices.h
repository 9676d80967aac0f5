#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/rng.h"
#include "benchmarks/farm_load/channel.h"
#include "benchmarks/farm_load/load_loop.h"
#include "rpc_server/lease_fence.h"

namespace kiln::load {

// What a device does when it is granted a lease. Of each grant it decides once, by its own random
// numbers, whether it drops its connection, keeps silent, answers late, or acknowledges.
struct DeviceBehaviour {
  std::chrono::nanoseconds latency{0};     // before it acknowledges
  double noise = 0;                        // the latency is uniform within this fraction around it
  double drop = 0, silence = 0, late = 0;  // probabilities
  std::chrono::nanoseconds late_by{};      // after the usual latency
  std::chrono::nanoseconds away{};         // until it comes back after a drop
};

// Where clients find a device's Device service, and what that asks whether they hold a lease; null:
// it does not ask, the device keeps a fence of its own.
struct DeviceFace {
  std::string address;
  std::shared_ptr<LeaseFence> fence;
};

struct DeviceOptions {
  std::vector<std::string> names;
  std::string target;
  std::string time_kind = "measured";
  std::vector<std::string> isa;
  std::uint64_t seed = 1;
  DeviceBehaviour behaviour;
  std::function<Credential(const std::string& name)> credential;
  std::function<DeviceFace(const std::string& name)> face;
};

struct DeviceCounts {
  std::uint64_t connections = 0, ended = 0;
  std::uint64_t grants = 0, acknowledged = 0, revokes = 0;
  std::uint64_t dropped = 0, silent = 0, late = 0;
  std::uint64_t stale_grants = 0;  // with an epoch that is not above all former ones: a fault
  std::string last_end;            // why the last connection that was not dropped ended
};

class SimulatedDevice;

// These are devices that speak the protocol of proto/tracker.proto, each over a channel and a
// connection of its own, on one thread. They fence as rpc_server's devices do: epochs grow, a
// connection that is lost is dialled again, and the hello says what is held.
class SimulatedDevices {
 public:
  SimulatedDevices(Dialer& dialer, DeviceOptions options);
  ~SimulatedDevices();

  // Dials for all, a few at a time, and waits until each has said hello.
  bool Connect(std::chrono::nanoseconds patience);
  // Hangs up for good. The loop must run until it returns, so it does.
  bool Close(std::chrono::nanoseconds patience);

  std::size_t connected() const { return connected_; }
  const DeviceCounts& counts() const { return counts_; }
  // When the device acknowledged this lease; nullopt: it has not, or has heard of another since.
  std::optional<SteadyTime> Acknowledged(const std::string& device, std::string_view lease,
                                         std::uint64_t epoch) const;

 private:
  friend class SimulatedDevice;
  void Dial(SimulatedDevice& device);  // soon
  void DialNext();
  void Forget(SimulatedDevice& device);  // it is no longer dialling

  Dialer& dialer_;
  LoadLoop& loop_;
  const DeviceOptions options_;
  std::vector<std::unique_ptr<SimulatedDevice>> devices_;
  std::unordered_map<std::string, SimulatedDevice*> by_name_;
  std::deque<SimulatedDevice*> to_dial_;
  std::size_t dialling_ = 0, connected_ = 0, open_ = 0;
  bool closing_ = false;
  DeviceCounts counts_;
};

}  // namespace kiln::load
