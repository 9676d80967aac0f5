#include <fmt/format.h>

#include "benchmarks/farm_load/workloads.h"

namespace kiln::load {

void PrintHeading(const Farm& farm, const std::string& workload) {
  const FarmOptions& options = farm.options();
  const TrackerProcess& tracker = farm.tracker();
  fmt::print("farm_load {}: {} devices, {} clients, {}, seed {}, tracker at {}\n", workload,
             options.devices, options.clients, farm.tls() ? "TLS" : "plaintext", options.seed,
             tracker.address());
  if (tracker.visible()) {
    fmt::print("tracker: {} connections of as many addresses, {} descriptors, {} threads, {} MB\n",
               tracker.connections(), tracker.descriptors(), tracker.threads(),
               tracker.rss_kib() / 1024);
  }
  std::fflush(stdout);
}

Status PrintFaults(Farm& farm) {
  const DeviceCounts& devices = farm.devices().counts();
  const LeaseFaults& faults = farm.ledger().faults();
  fmt::print(
      "devices: {} grants, {} acknowledged, {} revoked, {} dropped, {} silent, {} late, {} "
      "connections, {} ended{}\n",
      devices.grants, devices.acknowledged, devices.revokes, devices.dropped, devices.silent,
      devices.late, devices.connections, devices.ended,
      devices.last_end.empty() ? "" : " (" + devices.last_end + ")");
  fmt::print(
      "faults: {} leases held twice, {} not acknowledged, {} stale epochs, {} wrong answers\n",
      faults.held_twice, faults.unacknowledged, devices.stale_grants, faults.wrong_reply);
  std::fflush(stdout);
  const bool bad =
      faults.held_twice + faults.unacknowledged + devices.stale_grants + faults.wrong_reply != 0;
  return bad ? Error(StatusCode::kInternal, "the tracker broke its promises: see faults")
             : absl::OkStatus();
}

}  // namespace kiln::load
