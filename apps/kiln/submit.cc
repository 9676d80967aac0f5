#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

#include "apps/kiln/command.h"
#include "apps/kiln/daemon_access.h"
#include "base/duration.h"
#include "base/standard_streams.h"
#include "daemon/job_spec.h"
#include "daemon/submission.h"
#include "measure/uuid.h"
#include "tuner/search_policy.h"

namespace kiln {
namespace {

struct SubmitOptions {
  DaemonAccess daemon;
  std::vector<std::string> models, networks, layers, workloads;
  std::vector<double> weights;
  std::string layers_type, layers_act;
  JobSpec spec;
  std::string time_budget;
  Submission submission;
};

StatusOr<JobNetwork> FileNetwork(const std::string& path, std::string JobNetwork::*member) {
  std::error_code error;
  JobNetwork network;
  network.*member = std::filesystem::absolute(path, error).lexically_normal().string();
  const StatusOr<std::string> digest = FileDigest(network.*member);
  // The daemon may be on another machine, which has the file: it says so if not.
  if (digest.ok()) network.digest = *digest;
  return network;
}

StatusOr<JobSpec> SpecOf(const SubmitOptions& options) {
  JobSpec spec = options.spec;
  for (const std::string& model : options.models) {
    ASSIGN_OR_RETURN(JobNetwork network, FileNetwork(model, &JobNetwork::model));
    spec.networks.push_back(std::move(network));
  }
  for (const std::string& name : options.networks) spec.networks.push_back({.network = name});
  for (const std::string& list : options.layers) {
    ASSIGN_OR_RETURN(JobNetwork network, FileNetwork(list, &JobNetwork::layers));
    network.layers_type = options.layers_type;
    network.layers_act = options.layers_act;
    spec.networks.push_back(std::move(network));
  }
  if (!options.workloads.empty()) spec.networks.push_back({.workloads = options.workloads});
  if (spec.networks.empty()) {
    return UsageError(
        "say what to tune: --network NAME, --model FILE.tflite, --layers FILE.csv or --workload "
        "KEY..., also several of them");
  }
  if (!options.weights.empty() && options.weights.size() != spec.networks.size()) {
    return UsageError(
        fmt::format("{} weights for {} networks: give each one, in the order models, "
                    "networks, layer lists, workloads",
                    options.weights.size(), spec.networks.size()));
  }
  for (std::size_t i = 0; i < options.weights.size(); ++i) {
    spec.networks[i].weight = options.weights[i];
  }
  if (!options.time_budget.empty()) {
    ASSIGN_OR_RETURN(const std::chrono::seconds time, ParseDuration(options.time_budget));
    spec.seconds = time.count();
  }
  return spec;
}

int StatusOfJob(const JobObject& job) {
  return TextOf(job, "state") == "failed" ? kFailureStatus : 0;
}

StatusOr<int> Submit(const SubmitOptions& options) {
  ASSIGN_OR_RETURN(const JobSpec spec, SpecOf(options));
  Submission submission = options.submission;
  if (submission.uuid.empty()) submission.uuid = RandomUuid();
  submission.user = UserName();
  submission.spec = ToJson(spec);
  if (submission.name.empty()) submission.name = Describe(spec);
  ASSIGN_OR_RETURN(const std::string text, ClientOf(options.daemon)->Submit(submission));
  if (text.empty()) {
    if (options.daemon.json) return 0;
    WriteOutput(fmt::format("{}: begins when its window opens, and again with each night\n",
                            submission.series));
    return 0;
  }
  const JobObject job = ParseJob(text);
  options.daemon.json ? WriteOutputLine(text) : PrintJobLine(job);
  return StatusOfJob(job);
}

}  // namespace

void AddSubmit(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand("submit", "Give the daemon a job for the night");
  auto o = std::make_shared<SubmitOptions>();
  constexpr char kWhat[] = "What to tune (several may be given; they share the budget)";
  command->add_option("--model", o->models, "quantized networks")
      ->type_name("FILE.tflite")
      ->group(kWhat);
  command->add_option("--network", o->networks, "built-in networks: mobilenet_v1, ...")
      ->group(kWhat);
  command->add_option("--layers", o->layers, "tables of layers")
      ->type_name("FILE.csv")
      ->group(kWhat);
  command->add_option("--workload", o->workloads, "workload keys")
      ->type_name("KEY...")
      ->group(kWhat);
  command->add_option("--layers-type", o->layers_type, "as of `kiln tune`")
      ->check(CLI::IsMember({"i8", "u8s8", "u8"}))
      ->group(kWhat);
  command->add_option("--layers-act", o->layers_act, "as of `kiln tune`")
      ->check(CLI::IsMember({"none", "lo", "lohi"}))
      ->group(kWhat);
  command->add_option("--weight", o->weights, "how much the time of each of them counts (1)")
      ->group(kWhat);
  command->add_flag("--stale", o->spec.stale_only,
                    "only layers whose best config is of code that this Kiln no longer makes");
  command->add_option("--target", o->spec.target, "a target's name; see `kiln targets`")
      ->capture_default_str();
  AddNumber<std::int32_t>(*command, "--threads", o->spec.threads, "threads of the kernels",
                          kThreadCounts)
      ->default_str("1");
  command->add_option("--cache", o->spec.cache, "state of the caches before a call")
      ->check(CLI::IsMember({"hot", "cold"}))
      ->capture_default_str();
  AddNumber<std::int64_t>(*command, "--trials", o->spec.trials,
                          "over all layers; stored ones count", {1});
  AddNumber<std::int64_t>(*command, "--trials-per-task", o->spec.trials_per_task,
                          "for each layer; stored ones count", {1});
  AddNumber<std::int64_t>(*command, "--early-stop", o->spec.early_stop,
                          "end a layer after so many trials without gain", {1});
  command->add_option("--time-budget", o->time_budget, "of running, over all nights: 90s, 30m, 2h")
      ->check(CheckDuration)
      ->type_name("TIME");
  std::vector<std::string> policies;
  for (const std::string_view name : SearchPolicyNames()) policies.emplace_back(name);
  command->add_option("--policy", o->spec.policy, "how configs are chosen")
      ->check(CLI::IsMember(policies))
      ->capture_default_str();
  AddNumber<std::uint64_t>(*command, "--seed", o->spec.seed, "of the search")->default_str("0");
  command->add_option("--window", o->submission.window,
                      "when it may run, a window of the daemon's configuration; any: at any time");
  command
      ->add_option("--deadline", o->submission.deadline,
                   "it ends then, whatever it has: 06:00, or 2026-11-28T06:00:00Z")
      ->type_name("TIME");
  AddNumber<std::int32_t>(*command, "--priority", o->submission.priority, "higher first",
                          {-100, 100})
      ->default_str("0");
  command->add_option("--after", o->submission.after, "jobs that must be done first")
      ->type_name("ID...");
  command->add_option("--name", o->submission.name, "for people; without, what it tunes");
  command
      ->add_option("--recurring", o->submission.series,
                   "again with each night of its window, under this name")
      ->type_name("NAME");
  command->add_option("--uuid", o->submission.uuid,
                      "of the job: the same one again is the same job (default: a new one)");
  AddDaemonAccess(*command, o->daemon);
  command->footer(
      "Without a limit of trials or time a job runs until its deadline, or for ever.\n"
      "Examples:\n"
      "  kiln submit --network mobilenet_v1 --window night --trials 2000\n"
      "  kiln submit --model a.tflite --model b.tflite --weight 2 --weight 1 --deadline 06:00\n"
      "  kiln submit --network resnet18 --window night --stale --trials-per-task 256 --recurring "
      "keep-fresh");
  command->callback([&env, o] { env.action = [o] { return Submit(*o); }; });
}

}  // namespace kiln
