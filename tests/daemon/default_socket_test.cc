#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "daemon/daemon_config.h"

namespace kiln {
namespace {

TEST(DefaultDaemonSocketTest, IsInTheUsersOwnPlace) {
  setenv("XDG_RUNTIME_DIR", "/run/mine", 1);
  EXPECT_EQ(DefaultDaemonSocket(), "unix:/run/mine/kiln/daemon.sock");
  const std::string user = std::to_string(geteuid());
  const std::string usual = "/run/user/" + user;
  for (const char* ignored : {"", "relative"}) {
    setenv("XDG_RUNTIME_DIR", ignored, 1);
    EXPECT_EQ(DefaultDaemonSocket(), std::filesystem::is_directory(usual)
                                         ? "unix:" + usual + "/kiln/daemon.sock"
                                         : "unix:/tmp/kiln-" + user + "/daemon.sock");
  }
  unsetenv("XDG_RUNTIME_DIR");
}

}  // namespace
}  // namespace kiln
