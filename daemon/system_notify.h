#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kiln {

// This is the way to the service manager that started us (sd_notify(3)), or to nobody: without
// $NOTIFY_SOCKET nothing is sent. Errors are ignored: nobody could do anything about them.
class SystemNotify {
 public:
  virtual ~SystemNotify() = default;
  virtual void Send(std::string_view state) = 0;  // "READY=1\nSTATUS=..."
  // How often WATCHDOG=1 is due: half of what $WATCHDOG_USEC allows; nullopt: nobody watches.
  virtual std::optional<std::chrono::nanoseconds> watchdog_interval() const = 0;
};

// From the environment, whose variables are removed: they are not meant for our children.
std::unique_ptr<SystemNotify> NewSystemNotify();

}  // namespace kiln
