#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/daemon_config.h"

namespace kiln {

std::string DefaultDaemonSocket() {
  const std::string user = std::to_string(geteuid());
  // The XDG Base Directory Specification ignores relative paths here.
  const char* chosen = std::getenv("XDG_RUNTIME_DIR");
  if (chosen != nullptr && *chosen == '/') {
    return "unix:" + std::string(chosen) + "/kiln/daemon.sock";
  }
  const std::string usual = "/run/user/" + user;
  std::error_code error;
  if (std::filesystem::is_directory(usual, error)) return "unix:" + usual + "/kiln/daemon.sock";
  return "unix:/tmp/kiln-" + user + "/daemon.sock";
}

}  // namespace kiln
