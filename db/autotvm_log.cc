#include "db/autotvm_log.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "base/version.h"
#include "db/row_text.h"
#include "db/trial_rules.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kTargetPrefix = "llvm -keys=cpu -device=kiln -model=";
constexpr double kFailureCost = 1e9;  // "seconds" of a failure
constexpr double kNsPerSecond = 1e9;

struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// ---- reading

// What AutoTVM's MeasureErrorNo says.
Failure FailureOf(std::int64_t error_no) {
  switch (error_no) {
    case 1:
      return {Stage::kLower, FailureKind::kInvalidConfig, "instantiation error"};
    case 2:
      return {Stage::kCompile, FailureKind::kCompileError, "compile error on the host"};
    case 3:
      return {Stage::kCompile, FailureKind::kCompileError, "compile error on the device"};
    case 4:
      return {Stage::kRun, FailureKind::kRuntimeError, "run-time error on the device"};
    case 5:
      return {Stage::kVerify, FailureKind::kWrongResult, "wrong answer"};
    case 6:
      return {Stage::kCompile, FailureKind::kTimeout, "the build timed out"};
    case 7:
      return {Stage::kRun, FailureKind::kTimeout, "the run timed out"};
    case 8:
      return {Stage::kRun, FailureKind::kRuntimeError, "unknown error"};
    default:
      throw Fault("error number " + std::to_string(error_no) + " is not known");
  }
}

Outcome ParseResult(const Json& result) {
  if (!result.is_array() || result.size() != 4 || !result[0].is_array() ||
      !result[1].is_number_integer() || !result[3].is_number()) {
    throw Fault("its result is not [[seconds, ...], error_no, all_cost, timestamp]");
  }
  if (const auto error_no = result[1].get<std::int64_t>(); error_no != 0)
    return FailureOf(error_no);
  Timings timings;
  for (const Json& seconds : result[0]) {
    const double value = seconds.is_number() ? seconds.get<double>() : 0;
    if (!(value > 0) || value >= kFailureCost) throw Fault("it has no error, but no time either");
    timings.samples_ns.push_back(value * kNsPerSecond);
  }
  if (timings.samples_ns.empty()) throw Fault("it has no error, but no time either");
  return timings;
}

void CheckEntity(const Json& config) {
  const bool has = config.is_object() && config.contains("entity") && config["entity"].is_array();
  if (!has) throw Fault("its config has no entity");
  for (const Json& knob : config["entity"]) {
    const bool fits =
        knob.is_array() && knob.size() == 3 && knob[0].is_string() && knob[1].is_string();
    if (!fits) throw Fault("a knob of its entity is not [name, kind, value]");
  }
}

ConfigLabels ParseOwnLabels(const Json& entity) {
  ConfigLabels labels;
  for (const Json& knob : entity) {
    if (knob[1] != "ot" || !knob[2].is_string()) {
      throw Fault("knob " + knob[0].get<std::string>() + " is not of kind 'ot' with a label");
    }
    labels.emplace_back(knob[0].get<std::string>(), knob[2].get<std::string>());
  }
  return labels;
}

// What v0.2 cannot say: exact times, the measurement's uuid.
void ParseExtras(const Json& extras, Trial& trial) {
  trial.uuid = extras.value("uuid", "");
  trial.device = extras.value("device", "");
  if (auto* timings = std::get_if<Timings>(&trial.outcome);
      timings && extras.contains("samples_ns")) {
    timings->samples_ns = extras["samples_ns"].get<std::vector<double>>();
    timings->calls_per_sample = extras.value("calls", 1);
  }
  if (std::holds_alternative<Failure>(trial.outcome) && extras.contains("status")) {
    trial.outcome =
        Failure{ParseStage(extras.value("stage", "")), ParseFailureKind(extras.value("status", "")),
                extras.value("message", "")};
  }
}

TrialRecord ParseOwn(const Json& json, const std::string& target, const Outcome& outcome) {
  TrialRecord record;
  record.target = target.substr(kTargetPrefix.size());
  record.kernel_template = json["input"][1].get<std::string>();
  const Json& args = json["input"][2];
  if (!args.is_array() || args.size() != 5) throw Fault("its args are not those of a line of Kiln");
  record.workload = args[2].get<std::string>();
  const StatusOr<Workload> workload = ReadWorkload(record.workload);
  if (!workload.ok()) throw Fault(Message(workload.status()));
  record.workload = Key(*workload);
  record.threads = args[3].get<std::int32_t>();
  record.cache = ParseCacheState(args[4].get<std::string>());
  record.labels = ParseOwnLabels(json["config"]["entity"]);
  record.config_id = ConfigId(record.labels);
  record.trial.outcome = outcome;
  if (json["config"].contains("code_hash") && json["config"]["code_hash"].is_string()) {
    record.trial.code_digest = ParseDigest(json["config"]["code_hash"].get<std::string>());
  }
  record.trial.measured_at_ms =
      static_cast<std::int64_t>(std::llround(json["result"][3].get<double>() * 1e3));
  if (json.contains("kiln")) ParseExtras(json["kiln"], record.trial);
  if (std::string fault = FaultOf(record.trial.outcome); !fault.empty()) throw Fault(fault);
  return record;
}

AutotvmLine ParseRecord(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) throw Fault("it is no JSON");
  if (!json.is_object() || !json.contains("input") || !json.contains("config") ||
      !json.contains("result")) {
    throw Fault("it is no record of AutoTVM: input, config and result are its parts");
  }
  if (!json.contains("version") || json["version"] != 0.2) throw Fault("it is not of version 0.2");
  const Json& input = json["input"];
  if (!input.is_array() || input.size() < 3 || !input[0].is_string() || !input[1].is_string()) {
    throw Fault("its input is not [target, task, args, kwargs]");
  }
  AutotvmLine line;
  line.task = input[1].get<std::string>();
  line.outcome = ParseResult(json["result"]);
  CheckEntity(json["config"]);
  line.is = AutotvmLine::Is::kForeign;
  if (const auto target = input[0].get<std::string>(); target.starts_with(kTargetPrefix)) {
    line.record = ParseOwn(json, target, line.outcome);
    line.outcome = line.record.trial.outcome;
    line.is = AutotvmLine::Is::kOwn;
  }
  return line;
}

// ---- writing

std::int64_t ErrorNumber(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::kInvalidConfig:
    case FailureKind::kWrongClass:
      return 1;
    case FailureKind::kCompileError:
    case FailureKind::kUnsupportedIsa:
    case FailureKind::kBadObject:
      return 2;
    case FailureKind::kRuntimeError:
    case FailureKind::kHostKilled:
      return 4;
    case FailureKind::kWrongResult:
      return 5;
    case FailureKind::kTimeout:
      return failure.stage == Stage::kLower || failure.stage == Stage::kCompile ? 6 : 7;
    case FailureKind::kDeviceLost:
      break;
  }
  return 8;
}

// The tensors x and w, for readers that want a computation's shapes; empty for a key of another
// version.
Json Tensors(const std::string& key) {
  const StatusOr<Workload> workload = ReadWorkload(key);
  if (!workload.ok())
    return {Json::array({"TENSOR", Json::array(), "int8"}),
            Json::array({"TENSOR", Json::array(), "int8"})};
  const Workload& w = *workload;
  const bool dense = w.op == OpKind::kDense;
  const Json x = dense ? Json::array({w.n, w.c}) : Json::array({w.n, w.h, w.w, w.c});
  const Json weights =
      dense ? Json::array({w.o, w.c}) : Json::array({w.o, w.kh, w.kw, w.reduce_c()});
  return {Json::array({"TENSOR", x, w.unsigned_activations() ? "uint8" : "int8"}),
          Json::array({"TENSOR", weights, w.type == DataType::kU8 ? "uint8" : "int8"})};
}

Json InputOf(const TrialRecord& record) {
  Json args = Tensors(record.workload);
  args.push_back(record.workload);
  args.push_back(record.threads);
  args.push_back(Name(record.cache));
  return Json::array({std::string(kTargetPrefix) + record.target, record.kernel_template,
                      std::move(args), Json::object()});
}

Json ConfigOf(const TrialRecord& record, const Trial& measurement) {
  Json entity = Json::array();
  for (const auto& [knob, label] : record.labels)
    entity.push_back(Json::array({knob, "ot", label}));
  return {{"index", -1},  // none: readers shall go by the entity
          {"code_hash", DigestText(measurement.code_digest)},
          {"entity", std::move(entity)}};
}

Json ResultOf(const Trial& measurement) {
  Json seconds = Json::array();
  std::int64_t error_no = 0;
  if (const auto* failure = std::get_if<Failure>(&measurement.outcome)) {
    error_no = ErrorNumber(*failure);
    seconds.push_back(kFailureCost);
  } else {
    for (const double ns : std::get<Timings>(measurement.outcome).samples_ns) {
      seconds.push_back(ns / kNsPerSecond);
    }
  }
  // How long the whole trial took is not stored.
  return Json::array(
      {std::move(seconds), error_no, 0.0, static_cast<double>(measurement.measured_at_ms) / 1e3});
}

Json ExtrasOf(const Trial& measurement) {
  Json extras = {{"uuid", measurement.uuid}, {"device", measurement.device}};
  if (const auto* failure = std::get_if<Failure>(&measurement.outcome)) {
    extras["status"] = StatusWord(measurement.outcome);
    extras["stage"] = Name(failure->stage);
    extras["message"] = failure->message;
  } else {
    const auto& timings = std::get<Timings>(measurement.outcome);
    extras["samples_ns"] = timings.samples_ns;  // exact: seconds are rounded
    extras["calls"] = timings.calls_per_sample;
  }
  return extras;
}

}  // namespace

AutotvmLine ParseAutotvmLine(std::string_view line) {
  const std::size_t first = line.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || line[first] == '#') {
    return {.is = AutotvmLine::Is::kComment};
  }
  try {
    return ParseRecord(line);
  } catch (const std::exception& fault) {  // of ours, or of a value of another type
    return {.is = AutotvmLine::Is::kDamaged, .why = fault.what()};
  }
}

void CountLine(std::string_view line, AutotvmCount& count) {
  ++count.lines;
  const AutotvmLine parsed = ParseAutotvmLine(line);
  switch (parsed.is) {
    case AutotvmLine::Is::kComment:
      ++count.comments;
      break;
    case AutotvmLine::Is::kOwn:
      ++count.own[StatusWord(parsed.outcome)];
      break;
    case AutotvmLine::Is::kForeign:
      ++count.foreign[parsed.task][StatusWord(parsed.outcome)];
      break;
    case AutotvmLine::Is::kDamaged:
      count.damaged.push_back({count.lines, parsed.why});
      break;
  }
}

std::optional<std::string> AutotvmLineOf(const TrialRecord& record, const Trial& measurement) {
  if (measurement.kind != TimeKind::kMeasured ||
      std::holds_alternative<Censored>(measurement.outcome)) {
    return std::nullopt;
  }
  const Json json = {{"input", InputOf(record)},
                     {"config", ConfigOf(record, measurement)},
                     {"result", ResultOf(measurement)},
                     {"version", 0.2},
                     {"tvm_version", std::string("kiln ") + kVersion},
                     {"kiln", ExtrasOf(measurement)}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace kiln
