#include "apps/kiln/emulation.h"

#include <algorithm>

#include "base/paths.h"
#include "rpc_client/rpc_client.h"

namespace kiln {

StatusOr<std::optional<Emulator>> EmulatorFor(const Target& target) {
  ASSIGN_OR_RETURN(const Target native, DetectNative());
  if (target.arch == native.arch) return std::optional<Emulator>();
  const std::string problem =
      target.name + " is an " + target.arch + " target and this machine is " + native.arch;
  if (target.emulated_cpu.empty()) {
    return Error(StatusCode::kFailedPrecondition, problem,
                 ": name a tracker with such a device (--tracker), or the emulated_cpu in the "
                 "target's file");
  }
  const Emulator emulator{"qemu-" + target.arch, target.emulated_cpu};
  if (const auto program = FindProgram(emulator.program); !program.ok()) {
    return Error(StatusCode::kNotFound, problem, ": to emulate it, install ", emulator.program,
                 " (Debian: apt install qemu-user), or name a tracker with such a device "
                 "(--tracker)");
  }
  if (const auto host = FindHelper("kiln-host-" + target.arch); !host.ok()) {
    return Error(StatusCode::kNotFound, problem,
                 ": to emulate it, install a compiler for it "
                 "(Debian: apt install g++-",
                 target.arch,
                 "-linux-gnu) and build Kiln again, or "
                 "name a tracker with such a device (--tracker); ",
                 Message(host.status()));
  }
  return std::optional<Emulator>(emulator);
}

StatusOr<TimeKind> KindOfTimes(const TrackerEndpoint& tracker, const Target& target) {
  ASSIGN_OR_RETURN(const FarmInfo farm, ListDevices(tracker));
  std::optional<TimeKind> kind;
  for (const DeviceInfo& device : farm.devices) {
    if (device.target != target.name || device.state == "lost") continue;
    kind = std::min(kind.value_or(device.time_kind), device.time_kind);
  }
  return kind.value_or(TimeKind::kMeasured);
}

}  // namespace kiln
