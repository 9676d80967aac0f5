#pragma once

#include <cstdint>

#include "ops/measurement.h"

namespace kiln {

// What the machine says about itself now: the frequency of `core`, its hottest thermal zone, the
// load of the last minute. Some tens of microseconds.
DeviceState ReadDeviceState(std::int32_t core);

}  // namespace kiln
