#pragma once

#include <memory>
#include <string>

namespace kiln {

// This is a device that registers with a tracker and acknowledges its leases, but says that it is where it
// is not, as a server does that is configured wrong or behind a filter.
class MisplacedDevice {
 public:
  virtual ~MisplacedDevice() = default;  // its registration ends
};

// For this machine's target. Comes back by itself when the tracker is started again.
std::unique_ptr<MisplacedDevice> RegisterAt(const std::string& tracker, const std::string& name,
                                            const std::string& address);

}  // namespace kiln
