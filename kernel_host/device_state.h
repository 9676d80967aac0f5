#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ops/measurement.h"

namespace kiln {

// This is what the machine says about itself now: the frequency of a core, its hottest thermal zone,
// the load of the last minute. The files that say it stay open, since finding one takes longer than
// reading it.
class DeviceSensors {
 public:
  // Some tens of microseconds.
  DeviceState Read(std::int32_t core);

 private:
  // One file of /proc or /sys, made anew by the system whenever it is read.
  class File {
   public:
    explicit File(const std::string& path);
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    ~File();
    bool is_open() const { return fd_ >= 0; }
    std::string ReadHead() const;  // its first bytes, or nothing
    double ReadNumber() const;     // or 0

   private:
    int fd_ = -1;
  };
  static std::vector<File> OpenZones();

  double FrequencyMhz(std::int32_t core);
  double HottestZone() const;

  std::optional<std::int32_t> core_;  // that frequency_ is of
  std::optional<File> frequency_;
  const File cpuinfo_{"/proc/cpuinfo"}, load_{"/proc/loadavg"};
  const std::vector<File> zones_ = OpenZones();
};

}  // namespace kiln
