#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "measure/measurer.h"

namespace kiln {

// Is told of devices, on the threads that use them.
struct DeviceObserver {
  std::function<void(Nanoseconds)> leased;  // how long a lease that was given was waited for
  std::function<void(Nanoseconds)> ran;     // how long a kernel was away, with its way there
};

// A DevicePool that lends what `inner` lends and tells. The clock must outlive it and its leases.
std::unique_ptr<DevicePool> NewTimedDevicePool(std::unique_ptr<DevicePool> inner,
                                               const Clock& clock, DeviceObserver observer);

}  // namespace kiln
