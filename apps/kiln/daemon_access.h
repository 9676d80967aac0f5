#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/status.h"
#include "daemon/daemon_client.h"
#include "proto/security.h"

namespace CLI {
class App;
}

// What the commands that talk to a daemon have in common.

namespace kiln {

struct DaemonAccess {
  std::string address;  // empty: this user's own
  TlsFiles tls;
  bool json = false;
};

// --daemon, --ca, --cert, --key, --json.
void AddDaemonAccess(CLI::App& command, DaemonAccess& access);

std::unique_ptr<DaemonClient> ClientOf(const DaemonAccess& access, DaemonPatience patience = {});

// Who asks, where no certificate says it.
std::string UserName();

// ---- jobs as the daemon sends them (docs/night.md, "A job as JSON")

using JobObject = nlohmann::ordered_json;
// An empty object where the text is none.
JobObject ParseJob(const std::string& text);
// A member that is text; empty if it is missing.
std::string TextOf(const JobObject& job, const char* name);
// Its trials: "120/400", or "120" where it is not known how many it will have.
std::string ProgressOf(const JobObject& job);
// "job 7 (nightly): queued: window night opens ...".
void PrintJobLine(const JobObject& job);

}  // namespace kiln
