#include "daemon/system_notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace kiln {
namespace {

std::string Take(const char* variable) {
  const char* value = std::getenv(variable);
  std::string text = value != nullptr ? value : "";
  unsetenv(variable);
  return text;
}

class SocketNotify final : public SystemNotify {
 public:
  SocketNotify(const std::string& path, std::optional<std::chrono::nanoseconds> interval)
      : interval_(interval) {
    if (path.empty() || path.size() >= sizeof address_.sun_path) return;
    address_.sun_family = AF_UNIX;
    std::memcpy(address_.sun_path, path.data(), path.size());
    if (path[0] == '@') address_.sun_path[0] = '\0';  // of the abstract namespace
    length_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  }
  ~SocketNotify() override {
    if (socket_ >= 0) close(socket_);
  }

  void Send(std::string_view state) override {
    if (socket_ < 0) return;
    sendto(socket_, state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
           reinterpret_cast<const sockaddr*>(&address_), length_);
  }
  std::optional<std::chrono::nanoseconds> watchdog_interval() const override { return interval_; }

 private:
  const std::optional<std::chrono::nanoseconds> interval_;
  sockaddr_un address_{};
  socklen_t length_ = 0;
  int socket_ = -1;
};

}  // namespace

std::unique_ptr<SystemNotify> NewSystemNotify() {
  const std::string path = Take("NOTIFY_SOCKET");
  const long long usec = std::atoll(Take("WATCHDOG_USEC").c_str());
  const std::string pid = Take("WATCHDOG_PID");
  std::optional<std::chrono::nanoseconds> interval;
  const bool ours = pid.empty() || std::atoll(pid.c_str()) == getpid();
  if (usec > 0 && ours) interval = std::chrono::microseconds(usec) / 2;
  return std::make_unique<SocketNotify>(path, interval);
}

}  // namespace kiln
