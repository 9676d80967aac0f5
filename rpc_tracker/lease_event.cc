#include "rpc_tracker/lease_event.h"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace kiln {
namespace {

constexpr std::array<std::pair<LeaseEventKind, const char*>, 19> kNames{{
    {LeaseEventKind::kStarted, "started"},
    {LeaseEventKind::kRegistered, "registered"},
    {LeaseEventKind::kReplaced, "replaced"},
    {LeaseEventKind::kLost, "lost"},
    {LeaseEventKind::kForgotten, "forgotten"},
    {LeaseEventKind::kDeviceRefused, "device_refused"},
    {LeaseEventKind::kWaiting, "waiting"},
    {LeaseEventKind::kOffered, "offered"},
    {LeaseEventKind::kReturned, "returned"},
    {LeaseEventKind::kGranted, "granted"},
    {LeaseEventKind::kAdopted, "adopted"},
    {LeaseEventKind::kReleased, "released"},
    {LeaseEventKind::kExpired, "expired"},
    {LeaseEventKind::kRevoked, "revoked"},
    {LeaseEventKind::kWithdrawn, "withdrawn"},
    {LeaseEventKind::kUnserved, "unserved"},
    {LeaseEventKind::kRequestRefused, "request_refused"},
    {LeaseEventKind::kQuarantined, "quarantined"},
    {LeaseEventKind::kReadmitted, "readmitted"},
}};

std::optional<LeaseEventKind> KindNamed(std::string_view name) {
  for (const auto& [kind, known] : kNames) {
    if (name == known) return kind;
  }
  return std::nullopt;
}

constexpr std::array<std::pair<const char*, std::string LeaseEvent::*>, 6> kTexts{{
    {"device", &LeaseEvent::device},
    {"lease", &LeaseEvent::lease},
    {"client", &LeaseEvent::client},
    {"party", &LeaseEvent::party},
    {"reason", &LeaseEvent::reason},
    {"target", &LeaseEvent::target},
}};

}  // namespace

const char* Name(LeaseEventKind kind) {
  for (const auto& [known, name] : kNames) {
    if (kind == known) return name;
  }
  return "unknown";
}

std::string ToJsonLine(const LeaseEvent& event, WallTime time) {
  nlohmann::ordered_json line;
  line["time_ms"] =
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  line["event"] = Name(event.kind);
  for (const auto& [name, text] : kTexts) {
    if (!(event.*text).empty()) line[name] = event.*text;
  }
  if (event.epoch != 0) line["epoch"] = event.epoch;
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

StatusOr<LeaseEvent> ParseLeaseEvent(std::string_view line) {
  const Status malformed =
      Error(StatusCode::kInvalidArgument, "no lease event: ", std::string(line.substr(0, 200)));
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("event") || !json["event"].is_string()) return malformed;
  const auto kind = KindNamed(json["event"].get_ref<const std::string&>());
  if (!kind) return malformed;
  LeaseEvent event;
  event.kind = *kind;
  for (const auto& [name, text] : kTexts) {
    const auto found = json.find(name);
    if (found == json.end()) continue;
    if (!found->is_string()) return malformed;
    event.*text = found->get<std::string>();
  }
  if (const auto epoch = json.find("epoch"); epoch != json.end()) {
    if (!epoch->is_number_unsigned()) return malformed;
    event.epoch = epoch->get<std::uint64_t>();
  }
  return event;
}

}  // namespace kiln
