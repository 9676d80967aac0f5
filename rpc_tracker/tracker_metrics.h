#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "rpc_tracker/event_log.h"
#include "rpc_tracker/lease_table.h"
#include "telemetry/metrics.h"

namespace kiln {

// This counts what a lease table does: leases and how they ended, who waits for how long, for how
// long each device is leased. It takes the place of the event log, and hands everything on to `next`,
// which may be null. Requests for targets that no device ever had count as "unknown": anybody can ask
// for anything.
//
// The metrics and the clock must outlive it, and it the last scrape.
std::unique_ptr<EventLog> NewLeaseMetrics(Metrics& metrics, const Clock& clock,
                                          EventLog* next = nullptr);

// Metric::kDevices of these.
void SetDeviceMetrics(Metrics& metrics, const std::vector<DeviceView>& devices);

}  // namespace kiln
