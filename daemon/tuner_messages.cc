#include "daemon/tuner_messages.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<TunerOutcome, const char*>, 4> kOutcomes{{
    {TunerOutcome::kComplete, "complete"},
    {TunerOutcome::kTime, "time"},
    {TunerOutcome::kStopped, "stopped"},
    {TunerOutcome::kError, "error"},
}};
constexpr std::array<std::pair<TunerTrouble, const char*>, 6> kTroubles{{
    {TunerTrouble::kNone, "none"},
    {TunerTrouble::kModel, "model"},
    {TunerTrouble::kTarget, "target"},
    {TunerTrouble::kStore, "store"},
    {TunerTrouble::kDevice, "device"},
    {TunerTrouble::kError, "error"},
}};

constexpr std::array<std::string_view, 11> kOrderMembers = {
    "job", "spec",   "database", "tracker", "ca",     "cert",
    "key", "client", "priority", "seconds", "command"};

template <typename Table, typename Value>
const char* WordOf(const Table& table, Value value) {
  for (const auto& [each, word] : table) {
    if (each == value) return word;
  }
  return "";
}

template <typename Value, typename Table>
Value ValueOf(const Table& table, const std::string& word) {
  for (const auto& [each, known] : table) {
    if (word == known) return each;
  }
  throw Json::other_error::create(501, "unknown word " + word, nullptr);
}

template <typename Value>
Json OrNull(const std::optional<Value>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <typename Value>
std::optional<Value> Maybe(const Json& json, const char* name) {
  const Json& value = json.at(name);
  return value.is_null() ? std::nullopt : std::optional(value.get<Value>());
}

Json Write(const TunerBegun& begun) {
  return {{"event", "begun"},
          {"tasks", begun.tasks},
          {"stored", begun.stored},
          {"expected", OrNull(begun.expected)},
          {"peak_gops", OrNull(begun.peak_gops)},
          {"kind", begun.kind}};
}
Json Write(const TunerTrial& trial) {
  return {{"event", "trial"},   {"kind", trial.kind},     {"status", trial.status},
          {"task", trial.task}, {"device", trial.device}, {"improved", trial.improved},
          {"made", trial.made}};
}
Json Write(const TunerPhase& phase) {
  return {{"event", "phase"}, {"phase", phase.confirming ? "confirming" : "tuning"}};
}
Json Write(const TunerWaiting& waiting) { return {{"event", "waiting"}, {"text", waiting.text}}; }
Json Write(const TunerTimings& timings) {
  return {{"event", "timings"}, {"stage", timings.stage}, {"seconds", timings.seconds}};
}
Json Write(const TunerCache& cache) {
  return {{"event", "cache"}, {"hits", cache.hits}, {"misses", cache.misses}};
}
Json Write(const TunerEnded& ended) {
  Json networks = Json::array();
  for (const NetworkTimes& network : ended.networks) {
    networks.push_back({{"name", network.name},
                        {"tasks", network.tasks},
                        {"before_ns", OrNull(network.before_ns)},
                        {"after_ns", OrNull(network.after_ns)}});
  }
  return {{"event", "ended"},
          {"outcome", WordOf(kOutcomes, ended.outcome)},
          {"trouble", WordOf(kTroubles, ended.trouble)},
          {"text", ended.text},
          {"networks", std::move(networks)},
          {"made", ended.made},
          {"tasks_short", ended.tasks_short}};
}

TunerEnded ReadEnded(const Json& json) {
  TunerEnded ended;
  ended.outcome = ValueOf<TunerOutcome>(kOutcomes, json.at("outcome"));
  ended.trouble = ValueOf<TunerTrouble>(kTroubles, json.at("trouble"));
  ended.text = json.at("text");
  for (const Json& network : json.at("networks")) {
    ended.networks.push_back({network.at("name"), network.at("tasks"),
                              Maybe<double>(network, "before_ns"),
                              Maybe<double>(network, "after_ns")});
  }
  ended.made = json.at("made");
  ended.tasks_short = json.at("tasks_short");
  return ended;
}

TunerEvent ReadEvent(const Json& json) {
  const std::string event = json.at("event");
  if (event == "begun") {
    return TunerBegun{json.at("tasks"), json.at("stored"), Maybe<std::int64_t>(json, "expected"),
                      Maybe<double>(json, "peak_gops"), json.at("kind")};
  }
  if (event == "trial") {
    return TunerTrial{json.at("kind"),   json.at("status"),   json.at("task"),
                      json.at("device"), json.at("improved"), json.at("made")};
  }
  if (event == "phase") return TunerPhase{json.at("phase") == "confirming"};
  if (event == "waiting") return TunerWaiting{json.at("text")};
  if (event == "timings") return TunerTimings{json.at("stage"), json.at("seconds")};
  if (event == "cache") return TunerCache{json.at("hits"), json.at("misses")};
  if (event == "ended") return ReadEnded(json);
  throw Json::other_error::create(501, "unknown event " + event, nullptr);
}

// Words of devices and compilers may be in it: bytes that are no UTF-8 are replaced.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string ToJson(const TunerOrder& order) {
  return Dump({{"job", order.job},
               {"spec", Json::parse(ToJson(order.spec))},
               {"database", order.database},
               {"tracker", order.tracker},
               {"ca", order.tls.ca},
               {"cert", order.tls.cert},
               {"key", order.tls.key},
               {"client", order.client},
               {"priority", order.priority},
               {"seconds", OrNull(order.seconds)},
               {"command", order.command}});
}

StatusOr<TunerOrder> ParseTunerOrder(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    for (const auto& [name, unused] : json.items()) {
      if (std::ranges::find(kOrderMembers, name) != kOrderMembers.end()) continue;
      return Error(StatusCode::kInvalidArgument, "not an order to a tuner: no member ", name);
    }
    TunerOrder order;
    order.job = json.at("job");
    ASSIGN_OR_RETURN(order.spec, ParseJobSpec(json.at("spec").dump()));
    order.database = json.at("database");
    order.tracker = json.at("tracker");
    order.tls.ca = json.at("ca");
    order.tls.cert = json.at("cert");
    order.tls.key = json.at("key");
    order.client = json.at("client");
    order.priority = json.at("priority");
    if (json.contains("seconds")) order.seconds = Maybe<double>(json, "seconds");
    order.command = json.at("command");
    return order;
  } catch (const Json::exception& error) {
    return Error(StatusCode::kInvalidArgument, "not an order to a tuner: ", error.what());
  }
}

std::string ToJson(const TunerEvent& event) {
  return Dump(std::visit([](const auto& each) { return Write(each); }, event));
}

StatusOr<TunerEvent> ParseTunerEvent(std::string_view text) {
  try {
    return ReadEvent(Json::parse(text));
  } catch (const Json::exception& error) {
    return Error(StatusCode::kInvalidArgument, "not an event of a tuner: ", error.what());
  }
}

}  // namespace kiln
