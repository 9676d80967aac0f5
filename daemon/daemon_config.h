#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "daemon/window.h"
#include "proto/security.h"

namespace kiln {

// How the daemon's owner wants it: a TOML file, docs/night.md. What is left out has these values.
struct DaemonConfig {
  std::string name;      // of this daemon among those of a database; empty: the host's name
  std::string database;  // empty: DefaultDatabasePath()
  TimeZone zone;         // of windows and deadlines

  // [listen]
  std::string socket;                // unix:PATH for clients; empty: DefaultDaemonSocket()
  std::uint32_t socket_mode = 0600;  // of a Unix socket: whoever may write to it may do everything
  std::string address;               // HOST:PORT for clients over TLS; empty: none
  TlsFiles tls;                      // of `address`
  std::string metrics;               // HOST:PORT for Prometheus; empty: none
  std::string page;        // HOST:PORT for browsers, may be that of `metrics`; empty: none
  std::string token_file;  // whoever knows its line may make changes on the page; empty: nobody

  // [farm]
  std::string tracker;  // empty: this machine
  TlsFiles farm_tls;

  // [[window]]
  std::vector<TimeWindow> windows;

  // [jobs]
  std::string default_window;        // of those that name none; empty: at any time
  std::int32_t jobs_per_target = 1;  // at a time over a tracker; this machine has one at a time
  std::int32_t jobs_per_user = 0;    // running at a time; 0: no limit
  std::chrono::seconds grace{30};    // from asking a tuner to stop until it is killed
  std::chrono::seconds lease{30};    // without a sign of life, a job is taken from its daemon

  // [end]: what is run when a job ends, with the job as JSON on its standard input.
  std::vector<std::string> command;  // the program's path is absolute
  std::chrono::seconds command_time{60};

  // [maintenance], once a day
  std::string backup;  // a directory; empty: none
  std::int32_t keep_backups = 7;
  std::string at = "12:00";          // local
  std::int32_t keep_jobs_days = 90;  // ended ones
};

// Strict: kInvalidArgument names the line, and what is unknown (with what is meant, perhaps),
// missing, twice or out of range. `name` is the file's, for messages. Relative paths are an error,
// but `~/` is the home directory.
StatusOr<DaemonConfig> ParseDaemonConfig(std::string_view text, const std::string& name);
StatusOr<DaemonConfig> ReadDaemonConfig(const std::string& path);

// unix:$XDG_RUNTIME_DIR/kiln/daemon.sock, or unix:/run/user/UID/..., or where neither is there,
// unix:/tmp/kiln-UID/daemon.sock.
std::string DefaultDaemonSocket();

}  // namespace kiln
