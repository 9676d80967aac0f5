#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/config_choice.h"
#include "apps/kiln/interrupt.h"
#include "apps/kiln/output.h"
#include "apps/kiln/stored.h"
#include "apps/kiln/table.h"
#include "base/reactor.h"
#include "ops/target.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

struct Options {
  std::string workload;
  std::string target = "native";
  std::optional<std::int32_t> threads;
  std::string cache;
  bool follow = false, json = false;
};

// What became of a trial, in a word; the same marked if its time was not measured; and its time, or
// its bound.
std::string StatusOf(const Trial& trial) {
  if (std::holds_alternative<Timings>(trial.outcome)) return "ok";
  if (std::holds_alternative<Censored>(trial.outcome)) return "censored";
  return Name(std::get<Failure>(trial.outcome).kind);
}

std::string MarkedStatus(const Trial& trial) {
  if (trial.kind == TimeKind::kMeasured) return StatusOf(trial);
  return fmt::format("{} {}", StatusOf(trial), Name(trial.kind));
}

double TimeOf(const Trial& trial) {
  if (const auto* timings = std::get_if<Timings>(&trial.outcome)) return timings->min_ns();
  if (const auto* censored = std::get_if<Censored>(&trial.outcome)) return censored->bound_ns;
  return 0;
}

nlohmann::json ToJson(const DeviceState& state) {
  nlohmann::json json = nlohmann::json::object();
  if (state.frequency_mhz > 0) json["frequency_mhz"] = state.frequency_mhz;
  if (state.temperature_c > 0) json["temperature_c"] = state.temperature_c;
  if (state.load_1min > 0) json["load_1min"] = state.load_1min;
  return json;
}

// What one measurement says, whichever of a trial's it is.
nlohmann::json ToJson(const Trial& trial) {
  nlohmann::json json = {{"status", StatusOf(trial)},
                         {"kind", Name(trial.kind)},
                         {"device", trial.device},
                         {"device_before", ToJson(trial.before)},
                         {"device_after", ToJson(trial.after)},
                         {"measured_at", FormatTime(trial.measured_at_ms)}};
  if (const double ns = TimeOf(trial); ns > 0) json["min_ns"] = ns;
  if (const auto* failure = std::get_if<Failure>(&trial.outcome)) {
    json["stage"] = Name(failure->stage);
    json["message"] = failure->message;
  }
  if (!trial.log.empty()) json["log"] = trial.log;
  return json;
}

void PrintJson(const TrialRecord& record, double best_ns) {
  nlohmann::json line = ToJson(record.trial);
  nlohmann::json config = nlohmann::json::object();
  for (const auto& [knob, label] : record.labels) config[knob] = label;
  line.update({{"workload", record.workload},
               {"target", record.target},
               {"threads", record.threads},
               {"cache", Name(record.cache)},
               {"seq", record.seq},
               {"config_id", record.config_id},
               {"config", config}});
  if (best_ns > 0) line["best_ns"] = best_ns;
  if (record.trial.predicted) line["predicted"] = *record.trial.predicted;
  for (const Remeasurement& more : record.again) {
    nlohmann::json measurement = ToJson(more.trial);
    measurement["purpose"] = more.confirms ? "confirm" : "repeat";
    line["measured_again"].push_back(std::move(measurement));
  }
  WriteJson(line);
}

void PrintLine(const TrialRecord& record, const Workload& workload, double best_ns) {
  const double ns = TimeOf(record.trial);
  const bool is_best = ns > 0 && ns == best_ns;
  WriteOutput(fmt::format(
      "{:>5}  {:<17} {:>10} {:>8} {:>8}  {}  {}{}\n", record.seq, MarkedStatus(record.trial),
      ns > 0 ? fmt::format("{:.2f} us", ns / 1e3) : "",
      ns > 0 ? fmt::format("{:.1f}", Gops(workload, ns)) : "",
      best_ns > 0 ? fmt::format("{:.1f}", Gops(workload, best_ns)) : "", record.config_id,
      DescribeConfig(record.labels), is_best ? "  <- best so far" : ""));
  if (const auto* failure = std::get_if<Failure>(&record.trial.outcome)) {
    WriteOutput(fmt::format("{:>5}  {}: {}\n", "", Name(failure->stage), failure->message));
  }
}

// The best throughput after each trial, for each kind of times and each device: they do not
// compare.
using Curves = std::map<std::pair<TimeKind, std::string>, std::vector<double>>;

// Prints the records behind `seen` and returns the curves of all.
Curves PrintFrom(std::span<const TrialRecord> records, std::size_t seen, const Workload& workload,
                 bool json) {
  Curves curves;
  std::map<Curves::key_type, double> bests;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Trial& trial = records[i].trial;
    const Curves::key_type where(trial.kind, trial.device);
    double& best_ns = bests[where];
    if (const auto ns = RankTime(trial); ns && (best_ns == 0 || *ns < best_ns)) best_ns = *ns;
    curves[where].push_back(best_ns > 0 ? Gops(workload, best_ns) : 0);
    if (i < seen) continue;
    json ? PrintJson(records[i], best_ns) : PrintLine(records[i], workload, best_ns);
  }
  FlushOutput();
  return curves;
}

void Print(const Curves& curves) {
  for (const auto& [where, curve] : curves) {
    const auto& [kind, device] = where;
    if (curve.size() < 2 || curve.back() == 0) continue;
    WriteOutput(fmt::format("\nbest so far, GOP/s{}{}, over {} trials\n{}",
                            kind == TimeKind::kMeasured ? "" : fmt::format(" ({})", Name(kind)),
                            device.empty() ? "" : " on " + device, curve.size(),
                            Plot(curve, 72, 8)));
  }
}

StatusOr<int> ShowHistory(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const Workload workload, AsUsageError(ReadWorkload(options.workload)));
  BestQuery query;
  query.workload = Key(workload);
  query.threads = options.threads;
  if (!options.cache.empty())
    query.cache = options.cache == "cold" ? CacheState::kCold : CacheState::kHot;
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store, OpenStore(env, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(query.target, StoredTarget(*store, options.target));
  RETURN_IF_ERROR(TellUnknownWorkloads(*store));
  ASSIGN_OR_RETURN(std::vector<TrialRecord> records, store->Records(query));
  if (records.empty() && !options.follow) {
    return Error(StatusCode::kNotFound, "no trials of ", *query.workload, " on ", *query.target,
                 "; `kiln tune --workload KEY` makes some");
  }
  if (!options.json) {
    WriteOutput(fmt::format("{:>5}  {:<17} {:>10} {:>8} {:>8}  {:<16}  {}\n", "seq", "status",
                            "min", "GOP/s", "best", "config", "knobs"));
  }
  const Curves curves = PrintFrom(records, 0, workload, options.json);
  if (!options.json) Print(curves);
  if (!options.follow) return 0;
  const std::unique_ptr<Reactor> reactor = NewReactor();
  const Interrupt interrupt(*reactor);
  while (!interrupt.WaitFor(std::chrono::seconds(1))) {
    const std::size_t seen = records.size();
    ASSIGN_OR_RETURN(records, store->Records(query));
    PrintFrom(records, seen, workload, options.json);
    if (!FlushOutput()) return 0;  // nobody reads on
  }
  return kInterruptedStatus;
}

}  // namespace

void AddHistory(CLI::App& app, Environment& env) {
  auto* command =
      app.add_subcommand("history", "Show the trials of a workload and its best-so-far curve");
  auto options = std::make_shared<Options>();
  command->add_option("--workload", options->workload, "the workload's key")
      ->type_name("KEY")
      ->required();
  command->add_option("--target", options->target, "a target's name or file")
      ->capture_default_str();
  AddNumber<std::int32_t>(*command, "--threads", options->threads,
                          "only trials with so many threads", kThreadCounts);
  command->add_option("--cache", options->cache, "only trials with this state of the caches")
      ->check(CLI::IsMember({"hot", "cold"}));
  command->add_flag("--follow", options->follow, "wait for further trials, until Ctrl-C");
  command->add_flag("--json", options->json, "one JSON object per line");
  AddDatabase(*command, env);
  command->footer(
      "Examples:\n"
      "  kiln history --workload KEY\n"
      "  kiln history --workload KEY --threads 2 --json --follow");
  command->callback(
      [&env, options] { env.action = [&env, options] { return ShowHistory(env, *options); }; });
}

}  // namespace kiln
