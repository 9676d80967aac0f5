#include "proto/security.h"

namespace kiln {

const char* Name(Role role) {
  switch (role) {
    case Role::kClient:
      return "client";
    case Role::kDevice:
      return "device";
    case Role::kAdmin:
      return "admin";
    case Role::kTracker:
      return "tracker";
  }
  return "nobody";
}

std::string DeviceHostName(const std::string& device) { return device + ".device.kiln"; }

}  // namespace kiln
