// Bytes as the configuration of the daemon: what passes is within the limits that the daemon builds
// on, and what does not is refused in few words, on one line that says where.

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "daemon/daemon_config.h"

namespace kiln {
namespace {

void Need(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what.c_str());
  std::abort();
}

// "f:LINE: ...", or "f: ..." of a file that is too long.
void CheckError(const Status& status, std::string_view text) {
  const std::string words = Message(status);
  Need(status.code() == StatusCode::kInvalidArgument, words);
  Need(words.size() < 1000 && words.find_first_of("\r\n") == std::string::npos, words);
  if (text.size() > 32768) return;
  char* end = nullptr;
  const long line = words.starts_with("f:") ? std::strtol(words.c_str() + 2, &end, 10) : 0;
  long lines = 1;
  for (const char c : text) lines += c == '\n' ? 1 : 0;
  Need(line >= 1 && line <= lines && std::string_view(end).starts_with(": "), words);
}

void CheckWindows(const DaemonConfig& config) {
  constexpr WallTime kNow{std::chrono::seconds(1'795'780'800)};
  std::set<std::string> names;
  for (const TimeWindow& window : config.windows) {
    const WindowRule& rule = window.rule();
    Need(names.insert(rule.name).second && !rule.name.empty(), "a name that is there twice");
    Need(rule.from_minute >= 0 && rule.from_minute < 1440, "from " + rule.name);
    Need(rule.to_minute >= 0 && rule.to_minute <= 1440 && rule.days <= 0x7f, "to " + rule.name);
    const auto change = window.NextChange(kNow);
    Need(!change || (*change > kNow && window.IsOpen(*change) != window.IsOpen(kNow)), "a change");
    Need(!window.Describe(kNow).empty(), "no description");
  }
  Need(config.default_window.empty() || names.count(config.default_window) == 1, "no such window");
}

void Read(std::string_view text) {
  const StatusOr<DaemonConfig> config = ParseDaemonConfig(text, "f");
  if (!config.ok()) return CheckError(config.status(), text);
  CheckWindows(*config);
  Need(config->jobs_per_target >= 1 && config->jobs_per_user >= 0, "jobs at a time");
  Need(config->grace.count() >= 1 && config->lease.count() >= 1, "times");
  Need(config->keep_backups >= 1 && config->keep_jobs_days >= 1, "what is kept");
  Need(NextTimeOfDay(config->zone, config->at, WallTime{}).ok(), "the time of maintenance");
  Need(config->address.empty() || config->tls.enabled(), "an address for everybody");
  for (const std::string* path : {&config->database, &config->backup, &config->tls.ca}) {
    Need(path->empty() || path->front() == '/', "a relative path");
  }
  Need(config->socket.empty() || config->socket.starts_with("unix:/"), "a socket elsewhere");
}

}  // namespace
}  // namespace kiln

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  kiln::Read({reinterpret_cast<const char*>(data), size});
  return 0;
}
