#include "kernel_host/device_state.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace kiln {

DeviceSensors::File::File(const std::string& path)
    : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
DeviceSensors::File::File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
DeviceSensors::File& DeviceSensors::File::operator=(File&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}
DeviceSensors::File::~File() {
  if (is_open()) close(fd_);
}

// Not std::ifstream: it reads far more of /proc/cpuinfo, which is slow to make on machines with many
// cores.
std::string DeviceSensors::File::ReadHead() const {
  char text[1024];
  const ssize_t size = is_open() ? pread(fd_, text, sizeof text, 0) : 0;
  return std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0);
}

double DeviceSensors::File::ReadNumber() const { return std::atof(ReadHead().c_str()); }

DeviceState DeviceSensors::Read(std::int32_t core) {
  return {FrequencyMhz(core), HottestZone(), load_.ReadNumber()};
}

double DeviceSensors::FrequencyMhz(std::int32_t core) {
  if (core_ != core) {
    frequency_.emplace("/sys/devices/system/cpu/cpu" + std::to_string(core) +
                       "/cpufreq/scaling_cur_freq");
    core_ = core;
  }
  const double khz = frequency_->ReadNumber();
  if (khz > 0) return khz / 1e3;
  const std::string cpuinfo = cpuinfo_.ReadHead();  // virtual machines: the first core's
  const std::size_t line = cpuinfo.find("cpu MHz");
  const std::size_t colon = line == std::string::npos ? line : cpuinfo.find(':', line);
  return colon == std::string::npos ? 0 : std::atof(cpuinfo.c_str() + colon + 1);
}

std::vector<DeviceSensors::File> DeviceSensors::OpenZones() {
  constexpr int kMaxZones = 16;
  std::vector<File> zones;
  for (int zone = 0; zone < kMaxZones; ++zone) {
    File file("/sys/class/thermal/thermal_zone" + std::to_string(zone) + "/temp");
    if (!file.is_open()) break;
    zones.push_back(std::move(file));
  }
  return zones;
}

double DeviceSensors::HottestZone() const {
  double hottest = 0;
  for (const File& zone : zones_) hottest = std::max(hottest, zone.ReadNumber() / 1e3);
  return hottest;
}

}  // namespace kiln
