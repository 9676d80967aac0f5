#include <fmt/format.h>

#include "benchmarks/farm_load/workloads.h"

namespace kiln::load {

Status RunDevices(Farm& farm, const MeasureServer& server) {
  RETURN_IF_ERROR(farm.ConnectDevices());
  PrintHeading(farm, "devices");
  const std::string first = DeviceNames(farm.options()).front();
  fmt::print("{} measures at {}; Ctrl-C ends all\n", first, server.FaceOf(first).address);
  std::fflush(stdout);
  while (farm.loop().RunFor(std::chrono::seconds(1))) {
  }
  fmt::print("{} trials answered\n", server.answered());
  farm.loop().BeginLeaving();
  return PrintFaults(farm);
}

}  // namespace kiln::load
