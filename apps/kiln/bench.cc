#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/kiln/command.h"
#include "apps/kiln/config_choice.h"
#include "apps/kiln/output.h"
#include "apps/kiln/rig.h"
#include "apps/kiln/stored.h"
#include "apps/kiln/table.h"
#include "dashboard/words.h"
#include "kernels_templates/achievable_bound.h"
#include "measure/figures.h"
#include "ops/target.h"
#include "ops/workload_key.h"

namespace kiln {
namespace {

struct Options {
  What what;
  Where where;
  bool all = false, json = false;
  std::string config, against = "default";
  std::int32_t rounds = 5;
};

// One workload: the config that is judged and the one it is judged against, measured in turn.
struct Contest {
  Task task;
  std::int32_t count = 1;
  Config config, other;
  std::optional<Timings> config_times, other_times;  // the round with the lowest minimum
  std::string trouble;
};

// Whether --against is knob=label,...: the config itself but for some knobs. A database whose name
// has an equals sign is given with a directory.
bool IsLabels(const std::string& against) {
  const auto equal = against.find('=');
  return equal != std::string::npos && against.find('/') == std::string::npos;
}

// The network of --all.
StatusOr<Network> StoredWorkloads(const Options& options, const TuningStore& store,
                                  const Target& target) {
  BestQuery query;
  query.target = target.name;
  query.threads = options.where.threads;
  query.cache = CacheOf(options.where);
  ASSIGN_OR_RETURN(const std::vector<Best> bests, store.Bests(query));
  Network network;
  for (const Best& best : bests) {
    const StatusOr<Workload> workload = ParseWorkload(best.record.workload);
    if (workload.ok())
      network.layers.push_back({.name = Describe(*workload), .workload = *workload});
  }
  return network;
}

StatusOr<std::vector<Contest>> MakeContests(const Environment& env, const Options& options,
                                            const Target& target) {
  if (options.all == options.what.any()) {
    return UsageError(
        "say what to measure: one of --all, --model FILE.tflite, --network NAME, --layers "
        "FILE.csv, --workload KEY...");
  }
  Network network;
  if (!options.all) {
    ASSIGN_OR_RETURN(network, Resolve(options.what));
    RETURN_IF_ERROR(CheckHasLayers(network));
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<TuningStore> store, OpenStore(env, OpenMode::kReadOnly));
  if (options.all) {
    ASSIGN_OR_RETURN(network, StoredWorkloads(options, *store, target));
    if (network.layers.empty()) {
      return Error(StatusCode::kNotFound, "nothing has a tuned config for ", target.name, " with ",
                   options.where.threads, " thread", options.where.threads == 1 ? "" : "s",
                   "; `kiln tune` finds them");
    }
  }
  std::unique_ptr<TuningStore> rival;
  if (options.against != "default" && !IsLabels(options.against)) {
    ASSIGN_OR_RETURN(rival, OpenSqliteStore(options.against, OpenMode::kReadOnly));
  }
  ASSIGN_OR_RETURN(const NetworkTasks tasks,
                   MakeTasks(env.registry, network, target, options.where.threads));
  std::vector<Contest> contests;
  for (const NetworkTask& each : tasks.tasks) {
    const Task& task = each.task;
    Contest contest{.task = task, .count = each.workload.count};
    ASSIGN_OR_RETURN(const std::optional<Config> best,
                     StoredConfig(*store, task, CacheOf(options.where)));
    if (!options.config.empty()) {
      ASSIGN_OR_RETURN(contest.config, FindConfig(task, options.config));
    } else if (best) {
      contest.config = *best;
    } else {
      contest.trouble = "no stored config of today's code";
    }
    contest.other = task.kernel_template().Default(task.spec(), task.space());
    if (IsLabels(options.against) && contest.trouble.empty()) {
      StatusOr<Config> variant = WithLabels(task, contest.config, options.against);
      if (!variant.ok()) contest.trouble = Message(variant.status());
      if (variant.ok()) contest.other = *std::move(variant);
    }
    if (rival) {
      ASSIGN_OR_RETURN(const std::optional<Config> theirs,
                       StoredConfig(*rival, task, CacheOf(options.where)));
      if (theirs) contest.other = *theirs;
      if (!theirs) contest.trouble = "no stored config in " + options.against;
    }
    contests.push_back(std::move(contest));
  }
  if (contests.empty())
    return Error(StatusCode::kNotFound, "nothing to measure: no stored config of ", target.name);
  return contests;
}

void Take(StatusOr<Trial> trial, std::optional<Timings>& times, std::string& trouble) {
  if (!trial.ok()) {
    trouble = Message(trial.status());
  } else if (const auto* failure = std::get_if<Failure>(&trial->outcome)) {
    trouble = std::string(Name(failure->kind)) + ": " + failure->message;
  } else if (auto* timings = std::get_if<Timings>(&trial->outcome)) {
    if (!times || timings->min_ns() < times->min_ns()) times = std::move(*timings);
  }
}

// Every round measures all contestants of all layers, so that a slow minute of the machine hits
// both sides.
void Measure(Rig& rig, const Options& options, std::vector<Contest>& contests) {
  for (std::int32_t round = 0; round < options.rounds; ++round) {
    WriteError(fmt::format("round {} of {}\n", round + 1, options.rounds));
    for (Contest& contest : contests) {
      if (rig.interrupt().requested()) return;
      if (!contest.trouble.empty()) continue;
      MeasureRequest request{
          .task = contest.task, .config = contest.config, .cases = {}, .plan = {}};
      request.cases = rig.expected().CasesFor(contest.task.workload());
      request.plan.threads = contest.task.threads();
      request.plan.cache = CacheOf(options.where);
      Take(rig.Measure(request), contest.config_times, contest.trouble);
      request.config = contest.other;
      Take(rig.Measure(std::move(request)), contest.other_times, contest.trouble);
    }
  }
}

// How fast it could be: this layer at best, and with the instructions of its config.
struct Bounds {
  AchievableBound layer, schedule;
};

Bounds BoundsOf(const Contest& contest, const MachineLimits& limits) {
  const Task& task = contest.task;
  const InstructionSet& set = RichestSet(task.target().isa);
  Bounds bounds{.layer = LayerBound(task.workload(), set, limits)};
  bounds.schedule = bounds.layer;
  const StatusOr<LoopProgram> program =
      task.kernel_template().Lower(task.spec(), task.space(), contest.config);
  if (program.ok()) {
    bounds.schedule = ScheduleBound(task.workload(), program->Count(), set, limits);
  }
  return bounds;
}

// What a machine can do, measured before the contest.
struct Machine {
  double peak_gops = 0;
  std::string_view instruction;  // that reaches it
  MachineLimits limits;
};

std::string Describe(const Machine& machine) {
  const std::string_view with = machine.instruction.empty() ? "plain C" : machine.instruction;
  std::string text =
      fmt::format("measured peak {:.0f} GOP/s ({}), {:.2f} vector instructions/ns; reads",
                  machine.peak_gops, with, machine.limits.vectors_per_ns);
  for (const MachineLimits::Level& level : machine.limits.levels) {
    text += fmt::format(" {} {:.0f}", level.name, level.bytes_per_ns);
  }
  return text + " GB/s";
}

void Print(const std::vector<Contest>& contests, const Options& options, const Machine& machine) {
  using A = Table::Align;
  const std::string rival = options.against == "default" ? "default"
                            : IsLabels(options.against)  ? "variant"
                                                         : "theirs";
  Table table({{"layer", A::kLeft},
               {"x"},
               {rival + " us"},
               {"stored us"},
               {"GOP/s"},
               {"peak"},
               {"bound us"},
               {"of bound"},
               {"ratio"},
               {"config", A::kLeft}});
  double before = 0, after = 0, bound = 0;
  for (const Contest& contest : contests) {
    const Workload& workload = contest.task.workload();
    if (!contest.trouble.empty() || !contest.config_times || !contest.other_times) {
      table.Add({Describe(workload), std::to_string(contest.count), "-", "-", "-", "-", "-", "-",
                 "-", contest.trouble});
      continue;
    }
    const double ours = contest.config_times->min_ns(), theirs = contest.other_times->min_ns();
    before += theirs * contest.count;
    after += ours * contest.count;
    const double least = BoundsOf(contest, machine.limits).layer.ns();
    bound += least * contest.count;
    table.Add({Describe(workload), std::to_string(contest.count),
               fmt::format("{:.2f}", theirs / 1e3), fmt::format("{:.2f}", ours / 1e3),
               fmt::format("{:.1f}", Gops(workload, ours)),
               ShareText(ShareOfPeak(Gops(workload, ours), machine.peak_gops)),
               fmt::format("{:.2f}", least / 1e3), ShareText(ShareOfBound(least, ours)),
               GainText(Gain(theirs, ours)), contest.task.space().Id(contest.config)});
  }
  WriteOutput(table.Print());
  if (after > 0) {
    WriteOutput(fmt::format("sum: {} {:.3f} ms, stored {:.3f} ms: {}; bound {:.3f} ms: {}\n", rival,
                            before / 1e6, after / 1e6, GainText(Gain(before, after)), bound / 1e6,
                            ShareText(ShareOfBound(bound, after))));
  }
  WriteOutput(fmt::format("{}\n", Describe(machine)));
}

void PrintJson(const std::vector<Contest>& contests, const Machine& machine) {
  for (const Contest& contest : contests) {
    const Workload& workload = contest.task.workload();
    nlohmann::json line = {
        {"workload", Key(workload)}, {"count", contest.count}, {"threads", contest.task.threads()}};
    if (!contest.trouble.empty()) line["trouble"] = contest.trouble;
    if (contest.config_times && contest.other_times) {
      const double ours = contest.config_times->min_ns();
      line["config_id"] = contest.task.space().Id(contest.config);
      line["min_ns"] = ours;
      line["median_ns"] = contest.config_times->median_ns();
      line["against_id"] = contest.task.space().Id(contest.other);
      line["against_ns"] = contest.other_times->min_ns();
      if (const auto ratio = Gain(contest.other_times->min_ns(), ours)) line["ratio"] = *ratio;
      line["gops"] = Gops(workload, ours);
      if (const auto share = ShareOfPeak(line["gops"], machine.peak_gops)) {
        line["peak_share"] = *share;
      }
      const Bounds bounds = BoundsOf(contest, machine.limits);
      line["bound_ns"] = bounds.layer.ns();
      if (const auto share = ShareOfBound(bounds.layer.ns(), ours)) line["bound_share"] = *share;
      line["bound_by"] = bounds.layer.limit();
      line["schedule_bound_ns"] = bounds.schedule.ns();
      line["schedule_bound_by"] = bounds.schedule.limit();
    }
    WriteJson(line);
  }
}

StatusOr<int> Bench(const Environment& env, const Options& options) {
  ASSIGN_OR_RETURN(const Target target, TargetOption(options.where.target));
  ASSIGN_OR_RETURN(std::vector<Contest> contests, MakeContests(env, options, target));
  ASSIGN_OR_RETURN(const std::unique_ptr<Rig> rig,
                   Rig::Create(env, options.where.target, options.where.threads));
  if (rig->kind() != TimeKind::kMeasured) {
    return Error(StatusCode::kFailedPrecondition, "the times of an emulated ", target.name,
                 " say nothing of a real one: bench needs a device (--tracker)");
  }
  ASSIGN_OR_RETURN(const MeasuredDots dots, MeasureDots(*rig, target, options.where.threads));
  Machine machine{.peak_gops = dots.peak.gops, .instruction = dots.instruction};
  ASSIGN_OR_RETURN(machine.limits, MeasureLimits(*rig, target, dots));
  Measure(*rig, options, contests);
  options.json ? PrintJson(contests, machine) : Print(contests, options, machine);
  if (rig->interrupt().requested()) return kInterruptedStatus;
  for (const Contest& contest : contests) {
    if (!contest.trouble.empty()) return 1;
  }
  return 0;
}

}  // namespace

void AddBench(CLI::App& app, Environment& env) {
  auto* command =
      app.add_subcommand("bench", "Measure stored configs again, in turn with the untuned default");
  auto o = std::make_shared<Options>();
  AddWhat(*command, o->what);
  command->add_flag("--all", o->all, "every stored workload of the target");
  AddWhere(*command, o->where);
  command
      ->add_option("--config", o->config,
                   "this config instead of the stored best: an id, or knob=label,...")
      ->type_name("ID");
  command
      ->add_option(
          "--against", o->against,
          "what to compare with: `default`; another database's best; or knob=label,...: the "
          "nearest legal config with these labels, to see what a knob is worth")
      ->type_name("default|DB|LABELS")
      ->capture_default_str();
  AddNumber<std::int32_t>(*command, "--rounds", o->rounds, "the minimum over so many rounds counts",
                          {1, 1000})
      ->default_str(std::to_string(o->rounds));
  command->add_flag("--json", o->json, "one object per line");
  AddDatabase(*command, env);
  AddMeasuring(*command, env);
  command->footer(
      "Examples:\n"
      "  kiln bench --network mobilenet_v1\n"
      "  kiln bench --workload KEY --against tile_w=4\n"
      "  kiln bench --all --threads 2 --against yesterday.db");
  command->callback([&env, o] { env.action = [&env, o] { return Bench(env, *o); }; });
}

}  // namespace kiln
