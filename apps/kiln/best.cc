#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/kiln/command.h"
#include "apps/kiln/config_choice.h"
#include "apps/kiln/output.h"
#include "apps/kiln/stored.h"
#include "apps/kiln/table.h"
#include "ops/target.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

struct Options {
  What what;
  bool all = false, json = false, csv = false;
  std::string target = "native";
  std::optional<std::int32_t> threads;
};

StatusOr<BestQuery> Query(const TuningStore& store, const Options& options) {
  BestQuery query;
  if (!options.all || options.target != "native") {
    ASSIGN_OR_RETURN(query.target, StoredTarget(store, options.target));
  }
  query.threads = options.threads;
  return query;
}

nlohmann::json ToJson(const StoredBest& stored) {
  const TrialRecord& record = stored.best.record;
  const Trial& judged = stored.best.judged;
  const auto& timings = std::get<Timings>(judged.outcome);
  nlohmann::json config = nlohmann::json::object();
  for (const auto& [knob, label] : record.labels) config[knob] = label;
  nlohmann::json line = {{"workload", record.workload},
                         {"target", record.target},
                         {"threads", record.threads},
                         {"cache", Name(record.cache)},
                         {"template", record.kernel_template},
                         {"config", config},
                         {"config_id", record.config_id},
                         {"min_ns", timings.min_ns()},
                         {"median_ns", timings.median_ns()},
                         {"gops", stored.gops},
                         {"peak_share", nullptr},
                         {"samples", timings.samples_ns.size()},
                         {"trials", stored.best.trials},
                         {"device", judged.device},
                         {"measured_at", FormatTime(judged.measured_at_ms)},
                         {"origin", stored.best.origin},
                         {"kind", Name(judged.kind)},
                         {"confirmed", stored.best.confirmed},
                         {"stale", stored.stale}};
  if (stored.peak_share) line["peak_share"] = *stored.peak_share;
  return line;
}

void PrintCsv(const std::vector<StoredBest>& bests) {
  WriteOutputLine(
      "workload,target,threads,cache,template,config_id,config,min_ns,median_ns,gops,peak_share,"
      "samples,trials,"
      "device,measured_at,origin,kind,stale");
  for (const StoredBest& stored : bests) {
    const TrialRecord& record = stored.best.record;
    const Trial& judged = stored.best.judged;
    const auto& timings = std::get<Timings>(judged.outcome);
    WriteOutput(fmt::format(
        "\"{}\",{},{},{},{},{},\"{}\",{:.1f},{:.1f},{:.2f},{},{},{},{},{},{},{},{}\n",
        record.workload, record.target, record.threads, Name(record.cache), record.kernel_template,
        record.config_id, DescribeConfig(record.labels), timings.min_ns(), timings.median_ns(),
        stored.gops, stored.peak_share ? fmt::format("{:.4f}", *stored.peak_share) : "",
        timings.samples_ns.size(), stored.best.trials, judged.device,
        FormatTime(judged.measured_at_ms), stored.best.origin, Name(judged.kind), stored.stale));
  }
}

void PrintTable(const std::vector<StoredBest>& bests) {
  using A = Table::Align;
  Table table({{"layer", A::kLeft},
               {"target", A::kLeft},
               {"t"},
               {"us"},
               {"GOP/s"},
               {"peak"},
               {"trials"},
               {"how", A::kLeft},
               {"device", A::kLeft},
               {"config", A::kLeft},
               {"knobs", A::kLeft}});
  for (const StoredBest& stored : bests) {
    const TrialRecord& record = stored.best.record;
    const double ns = std::get<Timings>(stored.best.judged.outcome).min_ns();
    const TimeKind kind = stored.best.judged.kind;
    const StatusOr<Workload> workload = ParseWorkload(record.workload);
    table.Add(
        {workload.ok() ? Describe(*workload) : record.workload, record.target,
         std::to_string(record.threads), fmt::format("{:.2f}", ns / 1e3),
         fmt::format("{:.1f}", stored.gops),
         stored.peak_share ? fmt::format("{:.0f}%", 100 * *stored.peak_share) : "-",
         std::to_string(stored.best.trials),
         fmt::format("{}{}{}{}", stored.best.origin, stored.best.confirmed ? ", confirmed" : "",
                     kind == TimeKind::kMeasured ? "" : fmt::format(", {}", Name(kind)),
                     stored.stale ? ", stale" : ""),
         stored.best.judged.device, record.config_id, DescribeConfig(record.labels)});
  }
  WriteOutput(table.Print());
}

StatusOr<int> ShowBest(const Environment& env, const Options& options) {
  if (options.all == options.what.any()) {
    return UsageError(
        "say which: one of --all, --model FILE, --network NAME, --layers FILE, --workload KEY...");
  }
  Network network;
  if (!options.all) {
    ASSIGN_OR_RETURN(network, Resolve(options.what));
    RETURN_IF_ERROR(CheckHasLayers(network));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store, OpenStore(env, OpenMode::kReadOnly));
  ASSIGN_OR_RETURN(const BestQuery query, Query(*store, options));
  RETURN_IF_ERROR(TellUnknownWorkloads(*store));
  RETURN_IF_ERROR(TellFormerKeys(*store, network));
  ASSIGN_OR_RETURN(std::vector<StoredBest> bests, ReadBests(env, *store, query));
  std::size_t missing = 0;
  if (!options.all) {
    std::multimap<std::string, StoredBest> by_key;
    for (StoredBest& stored : bests) by_key.emplace(stored.best.record.workload, std::move(stored));
    bests.clear();
    for (const WeightedWorkload& unique : UniqueWorkloads(network)) {
      const auto [from, to] = by_key.equal_range(Key(unique.workload));
      if (from == to) ++missing;
      for (auto it = from; it != to; ++it) bests.push_back(it->second);
    }
  }
  if (options.json) {
    for (const StoredBest& stored : bests) WriteJson(ToJson(stored));
  } else if (options.csv) {
    PrintCsv(bests);
  } else if (!bests.empty()) {
    PrintTable(bests);
  }
  const std::string where = query.target ? " for " + *query.target : "";
  if (missing > 0) {
    return Error(StatusCode::kNotFound, missing, " workloads have no tuned config", where,
                 "; `kiln tune` finds them");
  }
  if (bests.empty()) {
    return Error(StatusCode::kNotFound, "the database has no configs", where,
                 "; `kiln tune` finds some");
  }
  return 0;
}

}  // namespace

void AddBest(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("best", "Show the best stored configs");
  auto options = std::make_shared<Options>();
  AddWhat(*command, options->what);
  command->add_flag("--all", options->all,
                    "every workload in the database (of all targets, unless --target is given)");
  command->add_option("--target", options->target, "a target's name or file")
      ->capture_default_str();
  AddNumber<std::int32_t>(*command, "--threads", options->threads,
                          "only configs for so many threads", kThreadCounts);
  auto* json = command->add_flag("--json", options->json, "one JSON object per line");
  command->add_flag("--csv", options->csv, "comma-separated values")->excludes(json);
  AddDatabase(*command, env);
  command->footer(
      "Examples:\n"
      "  kiln best --network mobilenet_v1\n"
      "  kiln best --model m.tflite --target rasp4b --json\n"
      "  kiln best --all --csv > best.csv");
  command->callback(
      [&env, options] { env.action = [&env, options] { return ShowBest(env, *options); }; });
}

}  // namespace kiln
