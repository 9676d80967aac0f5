#pragma once

#include <gmock/gmock.h>

#include <string>

#include "daemon/daemon_config.h"

namespace kiln {

// A file that says everything.
inline constexpr char kFull[] = R"(# The owl's nights.
name = "owl"
database = "/var/lib/kiln/tuning.db"
zone = "Europe/Berlin"

[listen]
socket = "unix:/run/kiln/daemon.sock"
address = "0.0.0.0:7100"
ca = "/etc/kiln/ca.crt"
cert = "/etc/kiln/daemon.crt"
key = "/etc/kiln/daemon.key"
crl = "/etc/kiln/crl.pem"
metrics = "127.0.0.1:9100"
page = "127.0.0.1:9101"
token_file = "/etc/kiln/page.token"

[farm]
tracker = "tracker:7000"
ca = "/etc/kiln/ca.crt"
cert = "/etc/kiln/farm.crt"
key = "/etc/kiln/farm.key"

[[window]]
name = "night"
from = "22:00"
to = "06:00"

[[window]]
name = "weekend"
from = "00:00"
to = "24:00"
days = ["weekend", "fri"]
zone = "America/New_York"

[jobs]
default_window = "night"
per_target = 2
per_user = 3
grace = "1m"
lease = "1m30s"

[end]
command = ["/bin/sh", "-c", "cat >>~/ends"]
time = "90s"

[maintenance]
backup = "/backup"
keep_backups = 14
at = "13:30"
keep_jobs_days = 365
)";

inline StatusOr<DaemonConfig> Parse(const std::string& text) {
  return ParseDaemonConfig(text, "night.toml");
}

// The error of a file; "" is none.
inline std::string ErrorOf(const std::string& text) {
  const auto config = Parse(text);
  if (config.ok()) return "";
  EXPECT_EQ(config.status().code(), StatusCode::kInvalidArgument);
  return Message(config.status());
}

// That of a window's lines, of which the first is line 2.
inline std::string WindowError(const std::string& lines) { return ErrorOf("[[window]]\n" + lines); }

inline constexpr char kNight[] = "name = \"n\"\nfrom = \"22:00\"\nto = \"06:00\"\n";

}  // namespace kiln
