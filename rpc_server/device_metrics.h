#pragma once

#include <memory>

#include "base/clock.h"
#include "rpc_server/device_service.h"
#include "rpc_server/host_process.h"
#include "telemetry/metrics.h"

namespace kiln {

// A host that counts the trials which the given one runs: how they ended, for how long they kept the
// device busy, and when the last one was. Trials that are broken off since nobody wants them are
// busy time only. At a scrape it says how hot and how fast the device is, if it is a real one: while
// a kernel runs, as of the end of the one before, so that nothing disturbs it.
//
// The metrics and the clock must outlive the host, and it the last scrape.
std::unique_ptr<HostProcess> WithMetrics(std::unique_ptr<HostProcess> host,
                                         const DeviceIdentity& identity, Metrics& metrics,
                                         const Clock& clock = SystemClock());

}  // namespace kiln
