#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "apps/kiln/command.h"
#include "apps/kiln/rig.h"
#include "apps/kiln/stored.h"
#include "apps/kiln/time_options.h"
#include "apps/kiln/tune_report.h"
#include "apps/kiln/tuning.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/standard_streams.h"
#include "ops/target.h"
#include "tuner/tuner.h"

namespace kiln {
namespace {

constexpr std::int64_t kTrialsPerTask = 64;  // where the command line sets no limit at all

struct Options {
  What what;
  Where where;
  std::optional<std::int64_t> trials, trials_per_task, early_stop;
  std::string time_budget, deadline;
  std::string policy = "kiln", scheduler = "gradient";
  std::int32_t batch = 16;
  std::uint64_t seed = 0;
  bool estimate = false;
  bool json = false;
};

// A model of one core with all data in its first cache knows nothing of what these ask for.
Status CheckEstimate(const Environment& env, const Options& options) {
  const auto refuse = [](const std::string& why) { return UsageError("--estimate ", why); };
  if (options.where.threads != 1) return refuse("is of one core: it takes --threads 1");
  if (CacheOf(options.where) != CacheState::kHot) {
    return refuse("knows no caches: it takes --cache hot");
  }
  if (!env.tracker.empty()) return refuse("needs no device: it takes no --tracker");
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<Rig>> RigFor(const Environment& env, const Options& options,
                                      const Target& target) {
  if (options.estimate) {
    StatusOr<std::unique_ptr<Rig>> rig = Rig::CreateEstimating(target);
    return target.estimate ? std::move(rig) : AsUsageError(std::move(rig));
  }
  return Rig::Create(env, options.where.target, options.where.threads);
}

StatusOr<Budget> BudgetOf(const Options& options) {
  Budget budget{.trials = options.trials,
                .trials_per_task = options.trials_per_task,
                .early_stop = options.early_stop};
  const SteadyTime now = SystemClock().Now();
  if (!options.time_budget.empty()) {
    ASSIGN_OR_RETURN(const std::chrono::seconds time, ParseDuration(options.time_budget));
    budget.deadline = now + time;
  }
  if (!options.deadline.empty()) {
    ASSIGN_OR_RETURN(const std::chrono::seconds time,
                     AsUsageError(UntilTimeOfDay(options.deadline, SystemClock().Today())));
    budget.deadline = std::min(budget.deadline.value_or(now + time), now + time);
  }
  if (!budget.deadline && !budget.trials && !budget.trials_per_task && !budget.early_stop) {
    budget.trials_per_task = kTrialsPerTask;
  }
  return budget;
}

StatusOr<TuningPlan> PlanOf(const Options& options, const Target& target,
                            const NetworkTasks& tasks) {
  TuningPlan plan{.target = target,
                  .cache = CacheOf(options.where),
                  .threads = options.where.threads,
                  .policy = options.policy,
                  .scheduler = options.scheduler,
                  .batch = options.batch,
                  .seed = options.seed};
  ASSIGN_OR_RETURN(plan.budget, BudgetOf(options));
  for (const NetworkTask& task : tasks.tasks) {
    plan.tasks.push_back({task.task, static_cast<double>(task.workload.count)});
  }
  return plan;
}

StatusOr<int> Tune(const Environment& env, const Options& options) {
  if (options.estimate) RETURN_IF_ERROR(CheckEstimate(env, options));
  ASSIGN_OR_RETURN(const Network network, Resolve(options.what));
  ASSIGN_OR_RETURN(const Target target, TargetOption(options.where.target));
  ASSIGN_OR_RETURN(const NetworkTasks tasks,
                   MakeTasks(env.registry, network, target, options.where.threads));
  ASSIGN_OR_RETURN(const TuningPlan plan, PlanOf(options, target, tasks));
  ASSIGN_OR_RETURN(
      const std::unique_ptr<TuningStore> store,
      OpenStore(env, OpenMode::kReadWrite, NewSession(env.command_line, options.seed)));
  RETURN_IF_ERROR(TellFormerKeys(*store, network));

  const auto start = std::chrono::steady_clock::now();
  ASSIGN_OR_RETURN(const std::unique_ptr<Rig> rig, RigFor(env, options, target));
  ASSIGN_OR_RETURN(const double peak_gops, PeakFor(plan, *rig, *store));
  WriteError(fmt::format("{}: {} tasks on {}, {} thread{}, {}\n", network.name, tasks.tasks.size(),
                         target.name, options.where.threads, options.where.threads == 1 ? "" : "s",
                         DescribePeak(rig->kind(), peak_gops)));

  TuneProgress progress(tasks.tasks, rig->kind(), peak_gops, TrialsExpected(plan));
  const StatusOr<std::vector<TaskResult>> results =
      RunTuning(plan, *rig, *store, {[&](const TuneEvent& event) { progress.Observe(event); }});
  progress.Finish();
  if (!results.ok()) {
    if (progress.trials() > 0) {
      PrintFailedSummary(network, progress.trials(), results.status(), options.json);
    }
    return results.status();
  }

  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const TuneSummary summary{network, tasks, *results, peak_gops, rig->kind(), options.where.threads,
                            seconds};
  options.json ? PrintSummaryJson(summary) : PrintSummary(summary);
  if (rig->interrupt().requested()) return kInterruptedStatus;
  for (const TaskResult& result : *results) {
    // As a build must notice: PrintSummary has said which and why.
    if (!result.best || result.shortfall == Shortfall::kErrors) return 1;
  }
  return tasks.unsupported.empty() ? 0 : 1;
}

}  // namespace

void AddTune(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("tune", "Find fast configs for the layers of a network");
  auto o = std::make_shared<Options>();
  AddWhat(*command, o->what);
  AddWhere(*command, o->where);
  AddNumber<std::int64_t>(*command, "--trials", o->trials,
                          "over all tasks; stored ones count; 0: show what is stored", {0});
  AddNumber<std::int64_t>(
      *command, "--trials-per-task", o->trials_per_task,
      fmt::format("for each task; stored ones count ({} where no limit is given)", kTrialsPerTask),
      {0});
  AddNumber<std::int64_t>(*command, "--early-stop", o->early_stop,
                          "end a task after so many trials without gain", {1});
  command->add_option("--time-budget", o->time_budget, "end after this time: 90s, 30m, 2h")
      ->check(CheckDuration)
      ->type_name("TIME");
  command->add_option("--deadline", o->deadline, "end at this time of day, local: 06:00")
      ->type_name("HH:MM");
  std::vector<std::string> policies;
  for (const std::string_view name : SearchPolicyNames()) policies.emplace_back(name);
  command->add_option("--policy", o->policy, "how configs are chosen")
      ->check(CLI::IsMember(policies))
      ->capture_default_str();
  command
      ->add_option("--scheduler", o->scheduler,
                   "which task is next: where it saves most, or in turn")
      ->check(CLI::IsMember({"gradient", "round-robin"}))
      ->capture_default_str();
  AddNumber<std::int32_t>(*command, "--batch", o->batch, "trials per round", {1, 1024})
      ->default_str(std::to_string(o->batch));
  AddNumber<std::uint64_t>(*command, "--seed", o->seed,
                           "the same seed and store give the same proposals")
      ->default_str(std::to_string(o->seed));
  command->add_flag("--estimate", o->estimate,
                    "no device: times are estimates by LLVM's model of the target's processor");
  command->add_flag("--json", o->json, "the summary as one JSON object per line");
  AddDatabase(*command, env);
  AddMeasuring(*command, env);
  command->footer(
      "Trials are stored as they are made: the same command again goes on where the last one "
      "stopped.\n"
      "Examples:\n"
      "  kiln tune --network mobilenet_v1\n"
      "  kiln tune --model m.tflite --threads 2 --time-budget 30m\n"
      "  kiln tune --network mobilenet_v1 --target rasp4b --estimate\n"
      "  kiln tune --workload "
      "conv2d/i8/n1h56w56c64/o64/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=step1/double");
  command->callback([&env, o] { env.action = [&env, o] { return Tune(env, *o); }; });
}

}  // namespace kiln
