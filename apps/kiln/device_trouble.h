#pragma once

#include <string>

#include "rpc_client/rpc_client.h"

namespace kiln {

// What is wrong with a device of a tracker, and when it is tried again; empty: nothing is.
std::string TroubleOf(const DeviceInfo& device);

}  // namespace kiln
