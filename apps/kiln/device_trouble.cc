#include "apps/kiln/device_trouble.h"

#include <fmt/format.h>

#include <chrono>

namespace kiln {

std::string TroubleOf(const DeviceInfo& device) {
  if (device.failures == 0) return "";
  const std::string retry =
      device.retry.count() > 0
          ? fmt::format("; tried again in {} s",
                        std::chrono::ceil<std::chrono::seconds>(device.retry).count())
          : "";
  return fmt::format("{} failures, the last: {}{}", device.failures, device.fault, retry);
}

}  // namespace kiln
