#include "daemon/daemon_config.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/duration.h"
#include "base/paths.h"
#include "base/read_file.h"
#include "daemon/closest_word.h"
#include "daemon/config_table.h"
#include "proto/address.h"
#include "proto/transport.h"

namespace kiln {
namespace {

using Keys = std::vector<std::string_view>;
using std::chrono::seconds;

// An absolute path in place of what was written; else says what is wrong with it.
StatusOr<std::string> AbsolutePath(const ConfigTable& table, std::string_view key,
                                   const std::string& path) {
  if (path.starts_with('/')) return path;
  if (!path.starts_with("~/")) {
    return table.Bad(key, " is " + Quoted(path) + ", a relative path: begin it with / or ~/");
  }
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home != '/') {
    return table.Bad(key, " is " + Quoted(path) + ", but HOME names no directory: begin it with /");
  }
  return home + path.substr(1);
}

StatusOr<std::string> Path(const ConfigTable& table, std::string_view key) {
  ASSIGN_OR_RETURN(std::string path, table.Text(key));
  if (path.empty()) return path;
  return AbsolutePath(table, key, path);
}

// What is shown in a list and typed in a command.
StatusOr<std::string> NameText(const ConfigTable& table, std::string_view key) {
  ASSIGN_OR_RETURN(std::string name, table.Text(key));
  if (!name.empty() && (!IsName(name) || name.find('/') != std::string::npos)) {
    return table.Bad(
        key, " is " + Quoted(name) + ": a name has up to 128 characters, no space, no slash");
  }
  return name;
}

StatusOr<seconds> Duration(const ConfigTable& table, std::string_view key, seconds otherwise) {
  ASSIGN_OR_RETURN(const std::string text, table.Text(key));
  if (text.empty()) return otherwise;
  const StatusOr<seconds> time = ParseDuration(text);
  if (!time.ok()) return table.Bad(key, ": " + Message(time.status()));
  if (*time > std::chrono::hours(1))
    return table.Bad(key, " is " + Quoted(text) + ": write 1s to 1h");
  return time;
}

enum class DayEnd { kIsTime, kIsNone };

// "22:00" as minutes; "24:00" only where the end of a day is meant.
StatusOr<int> MinuteOfDay(const ConfigTable& table, std::string_view key, DayEnd end) {
  ASSIGN_OR_RETURN(const std::string text, table.Text(key));
  if (text.empty()) {
    const char* example = end == DayEnd::kIsTime ? " = \"06:00\"" : " = \"22:00\"";
    return table.Bad(key, " is missing: write " + std::string(key) + example);
  }
  const StatusOr<int> minute = ParseMinuteOfDay(text);
  if (!minute.ok()) return table.Bad(key, ": " + Message(minute.status()));
  if (*minute == 24 * 60 && end == DayEnd::kIsNone) {
    return table.Bad(key, ": " + Quoted(text) + " is not a time of day here: write 00:00");
  }
  return minute;
}

StatusOr<TimeZone> Zone(const ConfigTable& table, const std::string& otherwise) {
  ASSIGN_OR_RETURN(const std::string name, table.Text("zone"));
  StatusOr<TimeZone> zone = TimeZone::Named(name.empty() ? otherwise : name);
  if (!zone.ok()) return table.Bad("zone", ": " + Message(zone.status()));
  return zone;
}

StatusOr<std::string> SocketAddress(const ConfigTable& table, std::string_view key) {
  ASSIGN_OR_RETURN(const std::string address, table.Text(key));
  if (address.empty()) return address;
  if (!IsUnixAddress(address)) {
    return table.Bad(key, " is " + Quoted(address) + ": write unix:/PATH");
  }
  ASSIGN_OR_RETURN(const std::string path,
                   AbsolutePath(table, key, std::string(UnixPath(address))));
  const Status form = CheckAddressForm("unix:" + path);
  if (!form.ok()) return table.Bad(key, ": " + Message(form));
  return "unix:" + path;
}

enum class Side { kListens, kDials };

StatusOr<std::string> Address(const ConfigTable& table, std::string_view key, Side side) {
  ASSIGN_OR_RETURN(std::string address, table.Text(key));
  if (address.empty()) return address;
  if (side == Side::kDials && IsUnixAddress(address)) return SocketAddress(table, key);
  const std::optional<HostPort> parts = SplitAddress(address);
  if (IsUnixAddress(address) || !parts || (side == Side::kDials && parts->port == 0)) {
    return table.Bad(key, " is " + Quoted(address) + ": write HOST:PORT" +
                              (side == Side::kDials ? ", with a port from 1 to 65535" : ""));
  }
  return address;
}

// The files of a table, which are for the address that `user` names.
StatusOr<TlsFiles> Tls(const ConfigTable& table, std::string_view user) {
  TlsFiles files;
  ASSIGN_OR_RETURN(files.ca, Path(table, "ca"));
  ASSIGN_OR_RETURN(files.cert, Path(table, "cert"));
  ASSIGN_OR_RETURN(files.key, Path(table, "key"));
  ASSIGN_OR_RETURN(files.crl, Path(table, "crl"));
  for (const std::string_view given : {"ca", "cert", "key", "crl"}) {
    if (!table.Has(given)) continue;
    if (!table.Has(user)) {
      return table.Bad(given, " is for " + Quoted(user) + ", which is missing");
    }
    for (const std::string_view needed : {"ca", "cert", "key"}) {
      if (!table.Has(needed)) return table.Bad(given, " needs " + Quoted(needed) + " beside it");
    }
  }
  return files;
}

// "0660"
StatusOr<std::uint32_t> SocketMode(const ConfigTable& table, std::uint32_t otherwise) {
  if (!table.Has("socket_mode")) return otherwise;
  ASSIGN_OR_RETURN(const std::string text, table.Text("socket_mode"));
  std::uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777 ||
      (mode & 0600) != 0600) {
    return table.Bad("socket_mode", " is " + Quoted(text) +
                                        ": write \"0600\" for the daemon's user and root, "
                                        "\"0660\" for its group too, \"0666\" for all");
  }
  return mode;
}

Status ReadListen(const ConfigTable& table, DaemonConfig& config) {
  RETURN_IF_ERROR(table.CheckKeys(Keys{"socket", "socket_mode", "address", "ca", "cert", "key",
                                       "crl", "metrics", "page", "token_file"}));
  ASSIGN_OR_RETURN(config.socket, SocketAddress(table, "socket"));
  ASSIGN_OR_RETURN(config.socket_mode, SocketMode(table, config.socket_mode));
  ASSIGN_OR_RETURN(config.address, Address(table, "address", Side::kListens));
  ASSIGN_OR_RETURN(config.tls, Tls(table, "address"));
  if (!config.address.empty() && !config.tls.enabled()) {
    return table.Bad("address",
                     " needs `ca`, `cert` and `key`: clients over a network are asked "
                     "who they are");
  }
  ASSIGN_OR_RETURN(config.metrics, Address(table, "metrics", Side::kListens));
  ASSIGN_OR_RETURN(config.page, Address(table, "page", Side::kListens));
  ASSIGN_OR_RETURN(config.token_file, Path(table, "token_file"));
  if (!config.token_file.empty() && config.page.empty()) {
    return table.Bad("token_file", " is for `page`, which is missing");
  }
  return absl::OkStatus();
}

Status ReadFarm(const ConfigTable& table, DaemonConfig& config) {
  RETURN_IF_ERROR(table.CheckKeys(Keys{"tracker", "ca", "cert", "key"}));
  ASSIGN_OR_RETURN(config.tracker, Address(table, "tracker", Side::kDials));
  ASSIGN_OR_RETURN(config.farm_tls, Tls(table, "tracker"));
  return absl::OkStatus();
}

struct DayWord {
  std::string_view word;
  unsigned days;
};
constexpr DayWord kDayWords[] = {{"mon", 1},        {"tue", 2},   {"wed", 4},  {"thu", 8},
                                 {"fri", 16},       {"sat", 32},  {"sun", 64}, {"weekdays", 0x1f},
                                 {"weekend", 0x60}, {"all", 0x7f}};

StatusOr<unsigned> Days(const ConfigTable& table) {
  if (!table.Has("days")) return 0x7f;
  ASSIGN_OR_RETURN(const std::vector<std::string> words, table.Texts("days"));
  unsigned days = 0;
  for (const std::string& word : words) {
    const auto known = std::find_if(std::begin(kDayWords), std::end(kDayWords),
                                    [&](const DayWord& each) { return each.word == word; });
    if (known != std::end(kDayWords)) {
      days |= known->days;
      continue;
    }
    Keys all;
    for (const DayWord& each : kDayWords) all.push_back(each.word);
    const auto meant = ClosestWord(word, all);
    return table.Bad("days", " has " + Quoted(word) +
                                 (meant ? ": did you mean " + Quoted(*meant) + "?"
                                        : ": write mon to sun, weekdays, weekend or all"));
  }
  return days;
}

StatusOr<TimeWindow> ReadWindow(const ConfigTable& table, const TimeZone& otherwise) {
  RETURN_IF_ERROR(table.CheckKeys(Keys{"name", "from", "to", "days", "zone"}));
  WindowRule rule;
  ASSIGN_OR_RETURN(rule.name, NameText(table, "name"));
  if (rule.name.empty()) return table.Bad("name", " is missing: jobs name their window");
  ASSIGN_OR_RETURN(rule.from_minute, MinuteOfDay(table, "from", DayEnd::kIsNone));
  ASSIGN_OR_RETURN(rule.to_minute, MinuteOfDay(table, "to", DayEnd::kIsTime));
  ASSIGN_OR_RETURN(rule.days, Days(table));
  if (!table.Has("zone")) return TimeWindow(std::move(rule), otherwise);
  ASSIGN_OR_RETURN(const TimeZone zone, Zone(table, ""));
  return TimeWindow(std::move(rule), zone);
}

Status ReadWindows(const ConfigTable& top, DaemonConfig& config) {
  ASSIGN_OR_RETURN(const std::vector<ConfigTable> tables, top.Tables("window"));
  for (const ConfigTable& table : tables) {
    ASSIGN_OR_RETURN(TimeWindow window, ReadWindow(table, config.zone));
    for (std::size_t i = 0; i < config.windows.size(); ++i) {
      if (config.windows[i].rule().name != window.rule().name) continue;
      return table.Bad("name", " is " + Quoted(window.rule().name) + " again, as in line " +
                                   std::to_string(tables[i].Line("name")));
    }
    config.windows.push_back(std::move(window));
  }
  return absl::OkStatus();
}

Status ReadJobs(const ConfigTable& table, DaemonConfig& config) {
  RETURN_IF_ERROR(
      table.CheckKeys(Keys{"default_window", "per_target", "per_user", "grace", "lease"}));
  ASSIGN_OR_RETURN(config.default_window, table.Text("default_window"));
  Keys names;
  for (const TimeWindow& window : config.windows) names.push_back(window.rule().name);
  if (!config.default_window.empty() &&
      std::find(names.begin(), names.end(), config.default_window) == names.end()) {
    const auto meant = ClosestWord(config.default_window, names);
    return table.Bad("default_window", " is " + Quoted(config.default_window) +
                                           ", but no [[window]] has this name" +
                                           (meant ? ": did you mean " + Quoted(*meant) + "?" : ""));
  }
  ASSIGN_OR_RETURN(config.jobs_per_target,
                   table.Number("per_target", {1, 1000}, config.jobs_per_target));
  ASSIGN_OR_RETURN(config.jobs_per_user, table.Number("per_user", {0, 1000}, config.jobs_per_user));
  ASSIGN_OR_RETURN(config.grace, Duration(table, "grace", config.grace));
  ASSIGN_OR_RETURN(config.lease, Duration(table, "lease", config.lease));
  return absl::OkStatus();
}

Status ReadEnd(const ConfigTable& table, DaemonConfig& config) {
  RETURN_IF_ERROR(table.CheckKeys(Keys{"command", "time"}));
  ASSIGN_OR_RETURN(config.command, table.Texts("command"));
  if (table.Has("command")) {
    if (config.command.empty()) return table.Bad("command", " is empty: leave it out");
    std::string& program = config.command.front();
    ASSIGN_OR_RETURN(program, AbsolutePath(table, "command", program));
    if (!FindProgram(program).ok()) {
      return table.Bad("command", " names " + Quoted(program) + ", which is no program here");
    }
  }
  ASSIGN_OR_RETURN(config.command_time, Duration(table, "time", config.command_time));
  return absl::OkStatus();
}

Status ReadMaintenance(const ConfigTable& table, DaemonConfig& config) {
  RETURN_IF_ERROR(table.CheckKeys(Keys{"backup", "keep_backups", "at", "keep_jobs_days"}));
  ASSIGN_OR_RETURN(config.backup, Path(table, "backup"));
  ASSIGN_OR_RETURN(config.keep_backups,
                   table.Number("keep_backups", {1, 1000}, config.keep_backups));
  if (table.Has("at")) {
    RETURN_IF_ERROR(MinuteOfDay(table, "at", DayEnd::kIsNone).status());
    ASSIGN_OR_RETURN(config.at, table.Text("at"));
  }
  ASSIGN_OR_RETURN(config.keep_jobs_days,
                   table.Number("keep_jobs_days", {1, 36500}, config.keep_jobs_days));
  return absl::OkStatus();
}

}  // namespace

StatusOr<DaemonConfig> ParseDaemonConfig(std::string_view text, const std::string& name) {
  ASSIGN_OR_RETURN(const ConfigTable top, ConfigTable::Parse(text, name));
  RETURN_IF_ERROR(top.CheckKeys(
      Keys{"name", "database", "zone", "listen", "farm", "window", "jobs", "end", "maintenance"}));
  ASSIGN_OR_RETURN(const TimeZone zone, Zone(top, "local"));
  DaemonConfig config{.zone = zone};
  ASSIGN_OR_RETURN(config.name, NameText(top, "name"));
  ASSIGN_OR_RETURN(config.database, Path(top, "database"));
  RETURN_IF_ERROR(ReadWindows(top, config));  // which [jobs] names
  constexpr std::pair<const char*, Status (*)(const ConfigTable&, DaemonConfig&)> kTables[] = {
      {"listen", ReadListen},
      {"farm", ReadFarm},
      {"jobs", ReadJobs},
      {"end", ReadEnd},
      {"maintenance", ReadMaintenance}};
  for (const auto& [key, read] : kTables) {
    ASSIGN_OR_RETURN(const ConfigTable table, top.Table(key));
    RETURN_IF_ERROR(read(table, config));
  }
  return config;
}

StatusOr<DaemonConfig> ReadDaemonConfig(const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<std::uint8_t> bytes, ReadFile(path, ConfigTable::kMostBytes));
  return ParseDaemonConfig({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path);
}

}  // namespace kiln
