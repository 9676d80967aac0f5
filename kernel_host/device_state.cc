#include "kernel_host/device_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

namespace kiln {
namespace {

// The first bytes of a file, or nothing. Not std::ifstream: it reads far more of /proc/cpuinfo,
// which is slow to make on machines with many cores.
std::string ReadHead(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char text[1024];
  const ssize_t size = read(fd, text, sizeof text);
  close(fd);
  return std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0);
}

double ReadNumber(const std::string& path) { return std::atof(ReadHead(path).c_str()); }

double FrequencyMhz(std::int32_t core) {
  const double khz = ReadNumber("/sys/devices/system/cpu/cpu" + std::to_string(core) +
                                "/cpufreq/scaling_cur_freq");
  if (khz > 0) return khz / 1e3;
  const std::string cpuinfo = ReadHead("/proc/cpuinfo");  // virtual machines: the first core's
  const std::size_t line = cpuinfo.find("cpu MHz");
  const std::size_t colon = line == std::string::npos ? line : cpuinfo.find(':', line);
  return colon == std::string::npos ? 0 : std::atof(cpuinfo.c_str() + colon + 1);
}

double HottestZone() {
  double hottest = 0;
  for (int zone = 0; zone < 16; ++zone) {
    const std::string path = "/sys/class/thermal/thermal_zone" + std::to_string(zone) + "/temp";
    if (access(path.c_str(), R_OK) != 0) break;
    hottest = std::max(hottest, ReadNumber(path) / 1e3);
  }
  return hottest;
}

}  // namespace

DeviceState ReadDeviceState(std::int32_t core) {
  return {FrequencyMhz(core), HottestZone(), ReadNumber("/proc/loadavg")};
}

}  // namespace kiln
