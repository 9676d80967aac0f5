#include "apps/kiln/daemon_access.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "apps/command_line/command_line.h"
#include "base/standard_streams.h"
#include "daemon/daemon_config.h"
#include "proto/address.h"

namespace kiln {

void AddDaemonAccess(CLI::App& command, DaemonAccess& access) {
  command
      .add_option("--daemon", access.address,
                  "the daemon's unix:PATH, or its HOST:PORT over TLS (default: this user's, " +
                      DefaultDaemonSocket() + ")")
      ->envname("KILN_DAEMON")
      ->check(CheckServerAddress)
      ->type_name("ADDRESS");
  AddCredentials(command, access.tls, CredentialUse::kToDial);
  command.add_flag("--json", access.json, "one JSON object per line");
}

std::unique_ptr<DaemonClient> ClientOf(const DaemonAccess& access, DaemonPatience patience) {
  const std::string address = access.address.empty() ? DefaultDaemonSocket() : access.address;
  return NewDaemonClient(address, IsUnixAddress(address) ? TlsFiles() : access.tls, patience);
}

std::string UserName() {
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr ? entry->pw_name : std::to_string(getuid());
}

JobObject ParseJob(const std::string& text) {
  JobObject json = JobObject::parse(text, nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? std::move(json) : JobObject::object();
}

std::string TextOf(const JobObject& job, const char* name) {
  return job.value(name, std::string());
}

std::string ProgressOf(const JobObject& job) {
  const std::int64_t stored = job.value("stored", job.value("trials", std::int64_t{0}));
  const std::int64_t expected = job.value("expected", std::int64_t{0});
  return expected > 0 ? fmt::format("{}/{}", stored, expected) : std::to_string(stored);
}

void PrintJobLine(const JobObject& job) {
  WriteOutput(fmt::format("job {} ({}): {}: {}\n", job.value("id", 0), TextOf(job, "name"),
                          TextOf(job, "state"), TextOf(job, "text")));
}

}  // namespace kiln
