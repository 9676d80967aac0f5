#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "measure/measurement.h"
#include "ops/target.h"
#include "rpc_client/rpc_client.h"

namespace kiln {

// What stands in for a machine that is not here.
struct Emulator {
  std::string program;  // "qemu-aarch64"
  std::string cpu;      // as the program calls it
};

// What runs kernels for `target` on this machine; nullopt: it does so itself, or kiln-server says
// why it does not. An error if only an emulator could and something is missing: it says which
// package.
StatusOr<std::optional<Emulator>> EmulatorFor(const Target& target);

// The kind of times that a farm's devices for the target give: measured ones where it has a device,
// busy or not, that gives such, or no device at all; emulated ones where it has only those.
StatusOr<TimeKind> KindOfTimes(const TrackerEndpoint& tracker, const Target& target);

}  // namespace kiln
