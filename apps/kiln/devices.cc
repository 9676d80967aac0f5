#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/device_trouble.h"
#include "apps/kiln/output.h"
#include "apps/kiln/table.h"
#include "rpc_client/rpc_client.h"

namespace kiln {
namespace {

StatusOr<int> ShowDevices(const Environment& env, bool json) {
  if (env.tracker.empty()) {
    return UsageError(
        "name a tracker: --tracker HOST:PORT or $KILN_TRACKER (without one, `kiln tune` measures "
        "on this machine; `kiln targets` says what it is)");
  }
  ASSIGN_OR_RETURN(const TrackerEndpoint tracker, TrackerOf(env));
  ASSIGN_OR_RETURN(const FarmInfo farm, ListDevices(tracker));
  if (json) {
    for (const DeviceInfo& device : farm.devices) {
      const nlohmann::json line = {{"name", device.name},
                                   {"target", device.target},
                                   {"state", device.state},
                                   {"client", device.client},
                                   {"address", device.address},
                                   {"features", device.isa},
                                   {"cores", device.cores},
                                   {"labels", device.labels},
                                   {"build", device.build},
                                   {"epoch", device.epoch},
                                   {"kind", Name(device.time_kind)},
                                   {"failures", device.failures},
                                   {"fault", device.fault},
                                   {"retry_ms", device.retry.count()}};
      WriteJson(line);
    }
    return 0;
  }
  using A = Table::Align;
  Table table({{"name", A::kLeft},
               {"target", A::kLeft},
               {"state", A::kLeft},
               {"client", A::kLeft},
               {"cores"},
               {"times", A::kLeft},
               {"features", A::kLeft},
               {"address", A::kLeft},
               {"build", A::kLeft},
               {"trouble", A::kLeft}});
  for (const DeviceInfo& device : farm.devices) {
    std::string features;
    for (const std::string& name : device.isa) features += (features.empty() ? "" : ",") + name;
    table.Add({device.name, device.target, device.state, device.client,
               std::to_string(device.cores), Name(device.time_kind), features, device.address,
               device.build, TroubleOf(device)});
  }
  WriteOutput(table.Print());
  WriteOutput(fmt::format("{} devices, {} clients waiting\n", farm.devices.size(), farm.waiting));
  return 0;
}

}  // namespace

void AddDevices(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("devices", "List the devices of a tracker and who has them");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "one object per line");
  AddTracker(*command, env, "whose devices are listed");
  command->footer(
      "Examples:\n"
      "  kiln devices --tracker 127.0.0.1:9190\n"
      "  kiln devices --tracker farm.local:9190 --ca ca.crt --cert ann.crt --key ann.key");
  command->callback(
      [&env, json] { env.action = [&env, json] { return ShowDevices(env, *json); }; });
}

}  // namespace kiln
