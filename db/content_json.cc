#include "db/content_json.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "base/utf8.h"
#include "db/row_text.h"
#include "db/trial_rules.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t kVersion = 1;

// What is wrong with a line, on its way to the error that names the line.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// ---- writing

std::string Line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

Json ToJson(const DeviceState& state) {
  return {{"frequency_mhz", state.frequency_mhz},
          {"temperature_c", state.temperature_c},
          {"load_1min", state.load_1min}};
}

void AddTimings(Json& json, const Timings& timings) {
  json["samples_ns"] = timings.samples_ns;
  json["calls"] = timings.calls_per_sample;
}

Json ToJson(const Trial& measurement, const char* purpose) {
  Json json = {{"uuid", measurement.uuid},
               {"purpose", purpose},
               {"device", measurement.device},
               {"measured_ms", measurement.measured_at_ms},
               {"status", StatusWord(measurement.outcome)}};
  if (const auto* failure = std::get_if<Failure>(&measurement.outcome)) {
    json["stage"] = Name(failure->stage);
    json["message"] = failure->message;
  } else if (const auto* censored = std::get_if<Censored>(&measurement.outcome)) {
    AddTimings(json, censored->partial);
    json["bound_ns"] = censored->bound_ns;
  } else {
    AddTimings(json, std::get<Timings>(measurement.outcome));
  }
  json["before"] = ToJson(measurement.before);
  json["after"] = ToJson(measurement.after);
  if (!measurement.log.empty()) json["log"] = measurement.log;
  return json;
}

// Bytes as text, or in hex where they are no UTF-8.
Json RawLine(const std::string& raw) {
  if (IsUtf8(raw)) return {{"type", "imported_line"}, {"format", "autotvm"}, {"raw", raw}};
  constexpr char kHexDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : raw) {
    const auto byte = static_cast<unsigned char>(c);
    hex += {kHexDigits[byte >> 4], kHexDigits[byte & 15]};
  }
  return {{"type", "imported_line"}, {"format", "autotvm"}, {"raw_hex", hex}};
}

// ---- reading

const Json& Member(const Json& json, const char* name) {
  const auto found = json.find(name);
  if (found == json.end()) throw Fault(std::string("it has no '") + name + "'");
  return *found;
}

template <typename Value>
Value Get(const Json& json, const char* name) {
  const Json& member = Member(json, name);
  bool fits = false;
  if constexpr (std::is_same_v<Value, std::string>) {
    fits = member.is_string();
  } else if constexpr (std::is_integral_v<Value>) {
    fits = member.is_number_integer();
  } else if constexpr (std::is_same_v<Value, double>) {
    fits = member.is_number();
  } else {
    fits = member.is_array();
  }
  if (!fits) throw Fault(std::string("its '") + name + "' is of another type");
  return member.get<Value>();
}

std::uint64_t ParseSeed(const std::string& text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seed);
  if (error != std::errc() || end != text.data() + text.size())
    throw Fault("its seed is no number");
  return seed;
}

Session ParseSession(const Json& json) {
  return {Get<std::int64_t>(json, "started_ms"), Get<std::string>(json, "command"),
          ParseSeed(Get<std::string>(json, "seed")), Get<std::string>(json, "compiler"),
          Get<std::string>(json, "host")};
}

DeviceState ParseDeviceState(const Json& json) {
  return {Get<double>(json, "frequency_mhz"), Get<double>(json, "temperature_c"),
          Get<double>(json, "load_1min")};
}

Timings ParseTimings(const Json& json) {
  return {Get<std::vector<double>>(json, "samples_ns"), Get<std::int32_t>(json, "calls")};
}

Outcome ParseOutcome(const Json& json) {
  const auto status = Get<std::string>(json, "status");
  if (status == "ok") return ParseTimings(json);
  if (status == "censored") return Censored{ParseTimings(json), Get<double>(json, "bound_ns")};
  return Failure{ParseStage(Get<std::string>(json, "stage")), ParseFailureKind(status),
                 Get<std::string>(json, "message")};
}

Trial ParseMeasurement(const Json& json, const Trial& like) {
  Trial trial = like;
  trial.uuid = Get<std::string>(json, "uuid");
  trial.device = Get<std::string>(json, "device");
  trial.measured_at_ms = Get<std::int64_t>(json, "measured_ms");
  trial.outcome = ParseOutcome(json);
  trial.before = ParseDeviceState(Member(json, "before"));
  trial.after = ParseDeviceState(Member(json, "after"));
  if (json.contains("log")) trial.log = Get<std::string>(json, "log");
  if (trial.uuid.empty()) throw Fault("a measurement has no uuid");
  if (const std::string fault = FaultOf(trial.outcome); !fault.empty()) throw Fault(fault);
  return trial;
}

void ParseMeasurements(const Json& json, const Trial& like, TrialRecord& record) {
  const Json& measurements = Member(json, "measurements");
  if (!measurements.is_array() || measurements.empty()) throw Fault("it has no measurements");
  for (const Json& measurement : measurements) {
    const auto purpose = Get<std::string>(measurement, "purpose");
    const bool is_first = &measurement == &measurements.front();
    if (is_first != (purpose == "tune") ||
        (!is_first && purpose != "repeat" && purpose != "confirm")) {
      throw Fault(
          "its first measurement, and no other, is of purpose 'tune'; the others 'repeat' or "
          "'confirm'");
    }
    Trial trial = ParseMeasurement(measurement, like);
    if (is_first) {
      record.trial = std::move(trial);
    } else {
      record.again.push_back({purpose == "confirm", std::move(trial)});
    }
  }
}

ConfigLabels ParseLabelsOf(const Json& json) {
  const Json& labels = Member(json, "labels");
  if (!labels.is_object()) throw Fault("its 'labels' is of another type");
  ConfigLabels result;
  for (const auto& [knob, label] : labels.items()) {
    if (!label.is_string()) throw Fault("the label of " + knob + " is no text");
    result.emplace_back(knob, label.get<std::string>());
  }
  return result;
}

SharedTrial ParseTrial(const Json& json) {
  SharedTrial shared;
  TrialRecord& record = shared.record;
  record.workload = Get<std::string>(json, "workload");
  if (const auto workload = ReadWorkload(record.workload); workload.ok()) {
    record.workload = Key(*workload);
  }
  record.target = Get<std::string>(json, "target");
  record.kernel_template = Get<std::string>(json, "template");
  record.threads = Get<std::int32_t>(json, "threads");
  if (record.threads < 1) throw Fault("it has no threads");
  record.cache = ParseCacheState(Get<std::string>(json, "cache"));
  record.seq = Get<std::int64_t>(json, "seq");
  record.labels = ParseLabelsOf(json);
  record.config_id = Get<std::string>(json, "config_id");
  if (record.config_id != ConfigId(record.labels))
    throw Fault("its config_id is not that of its labels");
  Trial like;
  like.code_digest = ParseDigest(Get<std::string>(json, "code_digest"));
  like.kind = ParseTimeKind(Get<std::string>(json, "kind"));
  ParseMeasurements(json, like, record);
  if (json.contains("predicted")) record.trial.predicted = Get<double>(json, "predicted");
  record.trial.batch = Get<std::int64_t>(json, "batch");
  shared.session = ParseSession(Member(json, "session"));
  return shared;
}

Peak ParsePeak(const Json& json) {
  Peak peak{Get<std::string>(json, "target"), Get<std::int32_t>(json, "threads"),
            Get<double>(json, "gops"), Get<std::string>(json, "device"),
            Get<std::int64_t>(json, "measured_ms")};
  if (const Status status = CheckStorable(peak); !status.ok()) throw Fault(Message(status));
  if (peak.threads < 1) throw Fault("it has no threads");
  return peak;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned byte = 0;
    const auto [end, error] = std::from_chars(&hex[i], &hex[i] + 2, byte, 16);
    if (error != std::errc() || end != &hex[i] + 2) break;
    bytes += static_cast<char>(byte);
  }
  if (bytes.size() * 2 != hex.size()) throw Fault("its 'raw_hex' is not hexadecimal");
  return bytes;
}

std::string ParseRawLine(const Json& json) {
  if (Get<std::string>(json, "format") != "autotvm") throw Fault("its format is not 'autotvm'");
  return json.contains("raw") ? Get<std::string>(json, "raw")
                              : FromHex(Get<std::string>(json, "raw_hex"));
}

void CheckHeader(const Json& json) {
  if (Get<std::int64_t>(json, "version") != kVersion) {
    throw Fault("it was exported by a newer Kiln: update Kiln");
  }
}

// Parses a line, and returns what hands it on.
std::function<void(ContentSink&)> ParseLine(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) throw Fault("it is no JSON object");
  const auto type = Get<std::string>(json, "type");
  if (type == "trial") {
    return [trial = ParseTrial(json)](ContentSink& sink) { sink.Take(trial); };
  }
  if (type == "peak") return [peak = ParsePeak(json)](ContentSink& sink) { sink.Take(peak); };
  if (type == "imported_line") {
    return [raw = ParseRawLine(json)](ContentSink& sink) { sink.TakeLine(raw); };
  }
  if (type != "kiln_export") throw Fault("its type '" + type + "' is not known");
  CheckHeader(json);
  return [](ContentSink&) {};
}

}  // namespace

JsonlWriter::JsonlWriter(std::string& text) : text_(text) {
  text_ += Line({{"type", "kiln_export"}, {"version", kVersion}});
}

void JsonlWriter::Take(const SharedTrial& trial) {
  const TrialRecord& record = trial.record;
  const Session& session = trial.session;
  Json labels = Json::object();
  for (const auto& [knob, label] : record.labels) labels[knob] = label;
  Json json = {{"type", "trial"},
               {"workload", record.workload},
               {"target", record.target},
               {"threads", record.threads},
               {"cache", Name(record.cache)},
               {"template", record.kernel_template},
               {"seq", record.seq},
               {"config_id", record.config_id},
               {"labels", std::move(labels)},
               {"code_digest", DigestText(record.trial.code_digest)},
               {"kind", Name(record.trial.kind)}};
  if (record.trial.predicted) json["predicted"] = *record.trial.predicted;
  json["batch"] = record.trial.batch;
  json["measurements"] = Json::array({ToJson(record.trial, "tune")});
  for (const Remeasurement& more : record.again) {
    json["measurements"].push_back(ToJson(more.trial, more.confirms ? "confirm" : "repeat"));
  }
  json["session"] = {{"started_ms", session.started_ms},
                     {"command", session.command},
                     {"seed", std::to_string(session.seed)},
                     {"compiler", session.compiler},
                     {"host", session.host}};
  text_ += Line(json);
}

void JsonlWriter::Take(const Peak& peak) {
  text_ += Line({{"type", "peak"},
                 {"target", peak.target},
                 {"threads", peak.threads},
                 {"gops", peak.gops},
                 {"device", peak.device},
                 {"measured_ms", peak.measured_at_ms}});
}

void JsonlWriter::TakeLine(const std::string& raw) { text_ += Line(RawLine(raw)); }

Status ReadJsonl(std::string_view text, const std::string& name, ContentSink& sink) {
  std::int64_t number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::function<void(ContentSink&)> hand_on;
    try {
      hand_on = ParseLine(line);
    } catch (const std::exception& fault) {  // of ours, or of how values are written
      return Error(StatusCode::kInvalidArgument, name, ", line ", number, ": ", fault.what(),
                   "; nothing of the file was imported");
    }
    hand_on(sink);
  }
  return number > 0 ? Status()
                    : Error(StatusCode::kInvalidArgument, name,
                            " is empty: `kiln db export --format jsonl` makes such files");
}

}  // namespace kiln
