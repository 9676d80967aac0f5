#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/kiln/command.h"
#include "apps/kiln/config_choice.h"
#include "apps/kiln/output.h"
#include "apps/kiln/rig.h"
#include "apps/kiln/stored.h"
#include "apps/kiln/table.h"
#include "apps/kiln/verify_cases.h"
#include "apps/kiln/verify_configs.h"
#include "ops/target.h"

namespace kiln {
namespace {

constexpr std::uint64_t kMostConfigs = 1'000'000;  // of a workload in one run

struct Options {
  What what;
  Where where;
  std::string golden;
  ConfigDraw draw;
  bool json = false;
};

// How many configs were looked at, and how many of them are not bit-exact.
struct Tally {
  std::size_t configs = 0;
  std::size_t wrong = 0;   // gave other bytes than the reference
  std::size_t failed = 0;  // gave none: did not compile, crashed, ran out of time, ...

  bool good() const { return wrong == 0 && failed == 0; }
  Tally& operator+=(const Tally& other) {
    configs += other.configs;
    wrong += other.wrong;
    failed += other.failed;
    return *this;
  }
};

// "2 WRONG, 1 FAILED"; not for a good one.
std::string Complaint(const Tally& tally) {
  std::string text;
  if (tally.wrong > 0) text = fmt::format("{} WRONG", tally.wrong);
  if (tally.failed > 0) text += fmt::format("{}{} FAILED", text.empty() ? "" : ", ", tally.failed);
  return text;
}

// What came of one thing that was verified.
struct Verdict {
  std::string name;
  Workload workload;
  Tally tally;
  bool has_best = false;
  std::vector<std::string> failures;  // one line per config that is wrong or failed
  nlohmann::json pairs;               // of labels, covered and left; null without --pairs
};

nlohmann::json PairsOf(const Task& task, const DrawnConfigs& drawn) {
  if (!drawn.cover) return nullptr;
  const PairReport report = ReportPairs(task.space(), drawn);
  return {{"template", task.kernel_template().name()},
          {"covered", report.covered},
          {"all", report.all},
          {"left", report.left},
          {"configs", report.configs}};
}

class Verification {
 public:
  Verification(const Environment& env, const Options& options, Target target, Rig& rig,
               const TuningStore* store)
      : env_(env), options_(options), target_(std::move(target)), rig_(rig), store_(store) {}

  // Drawn and best configs of a workload on these cases.
  Status Check(const std::string& name, const Workload& workload,
               const std::vector<RunCase>& cases) {
    const StatusOr<Task> created =
        Task::Create(env_.registry, {workload, target_, options_.where.threads});
    if (!created.ok()) {
      ++unsupported_;
      Skip(name, Message(created.status()));
      return absl::OkStatus();
    }
    const Task& task = *created;
    std::optional<Config> best;
    if (store_ != nullptr) {
      ASSIGN_OR_RETURN(best, StoredConfig(*store_, task, CacheOf(options_.where)));
    }
    ASSIGN_OR_RETURN(DrawnConfigs drawn, DrawConfigs(task, best, options_.draw));
    // A config that is asked for by name is run whatever is known of it.
    if (store_ != nullptr && options_.draw.config.empty()) {
      ASSIGN_OR_RETURN(const std::set<Config> killers, HostKillers(*store_, task));
      std::erase_if(drawn.configs, [&](const Config& c) { return killers.contains(c); });
    }
    const std::vector<Config>& configs = drawn.configs;
    std::vector<MeasureRequest> requests;
    for (const Config& config : configs) {
      MeasureRequest request{.task = task, .config = config, .cases = cases, .plan = {}};
      request.is_verification = true;
      request.plan.threads = options_.where.threads;
      request.plan.time = false;
      request.plan.time_out_ns = 20'000'000'000;
      requests.push_back(std::move(request));
    }
    Verdict verdict{.name = name,
                    .workload = workload,
                    .tally = {.configs = configs.size()},
                    .has_best = best.has_value(),
                    .failures = {},
                    .pairs = PairsOf(task, drawn)};
    const std::vector<StatusOr<Trial>> trials = rig_.MeasureAll(std::move(requests));
    for (std::size_t i = 0; i < trials.size(); ++i) {
      RETURN_IF_ERROR(trials[i].status());
      const auto* failure = std::get_if<Failure>(&trials[i]->outcome);
      if (failure == nullptr) continue;
      ++(failure->kind == FailureKind::kWrongResult ? verdict.tally.wrong : verdict.tally.failed);
      verdict.failures.push_back(fmt::format(
          "{} {} ({}): {}  [{}]", task.space().Id(configs[i]), Name(failure->kind),
          Name(failure->stage), failure->message, DescribeConfig(task.space().Labels(configs[i]))));
    }
    Report(verdict);
    return absl::OkStatus();
  }

  // An operator that cannot be verified, and why.
  void Skip(const std::string& name, const std::string& why) {
    unreached_.push_back(name + ": " + why);
  }

  int Finish(const std::string& what) const {
    options_.json ? SumUpJson(what) : SumUp(what);
    if (rig_.interrupt().requested()) return kInterruptedStatus;
    return tally_.good() && checked_ > 0 && unsupported_ == 0 ? 0 : 1;
  }
  // Nobody waits for more.
  bool interrupted() const { return rig_.interrupt().requested() || !FlushOutput(); }

 private:
  void SumUp(const std::string& what) const {
    for (const std::string& line : unreached_) WriteOutput(fmt::format("not verified: {}\n", line));
    WriteOutput(fmt::format("{}: {} configs of {} {} on {}, {} thread{}: {}\n", what,
                            tally_.configs, checked_,
                            options_.what.model.empty() ? "workloads" : "layers", target_.name,
                            options_.where.threads, options_.where.threads == 1 ? "" : "s",
                            checked_ == 0   ? "nothing verified"
                            : tally_.good() ? "all bit-exact"
                                            : Complaint(tally_)));
    if (checked_with_best_ < checked_) {
      WriteOutput(fmt::format("{} of them have no stored best config: `kiln tune` finds one\n",
                              checked_ - checked_with_best_));
    }
  }

  void SumUpJson(const std::string& what) const {
    const nlohmann::json line = {{"verified", what},
                                 {"target", target_.name},
                                 {"threads", options_.where.threads},
                                 {"workloads", checked_},
                                 {"with_best", checked_with_best_},
                                 {"configs", tally_.configs},
                                 {"wrong", tally_.wrong},
                                 {"failed", tally_.failed},
                                 {"not_verified", unreached_}};
    WriteJson(line);
  }

  void Report(const Verdict& verdict) {
    const Tally& tally = verdict.tally;
    ++checked_;
    tally_ += tally;
    checked_with_best_ += verdict.has_best;
    if (options_.json) {
      const nlohmann::json line = {
          {"name", verdict.name},         {"workload", Key(verdict.workload)},
          {"configs", tally.configs},     {"best", verdict.has_best},
          {"wrong", tally.wrong},         {"failed", tally.failed},
          {"failures", verdict.failures}, {"pairs", verdict.pairs}};
      WriteJson(line);
    } else {
      const std::string pairs = verdict.pairs.is_null()
                                    ? ""
                                    : fmt::format(", {} of {} pairs of labels",
                                                  verdict.pairs["covered"].get<std::size_t>(),
                                                  verdict.pairs["all"].get<std::size_t>());
      WriteOutput(fmt::format("{:<6}  {:<24} {:>4} configs{}{}  {}\n",
                              tally.good()       ? "ok"
                              : tally.wrong == 0 ? "FAILED"
                                                 : "WRONG",
                              Describe(verdict.workload), tally.configs,
                              verdict.has_best ? " and the best" : "", pairs, verdict.name));
      for (const std::string& failure : verdict.failures) {
        WriteOutput(fmt::format("        {}\n", failure));
      }
    }
    FlushOutput();
  }

  const Environment& env_;
  const Options& options_;
  const Target target_;
  Rig& rig_;
  const TuningStore* store_;
  Tally tally_;
  std::size_t checked_ = 0, checked_with_best_ = 0;
  std::size_t unsupported_ = 0;  // tuned layers that no template computes
  std::vector<std::string> unreached_;
};

StatusOr<int> VerifyGolden(const Options& options, Verification& verification) {
  ASSIGN_OR_RETURN(GoldenWalk walk, GoldenWalk::Open(options.what.model, options.golden));
  while (!verification.interrupted()) {
    ASSIGN_OR_RETURN(const std::optional<GoldenWalk::Step> step, walk.Next());
    if (!step) break;
    if (!step->unreached.empty()) {
      verification.Skip(step->name, step->unreached);
    } else {
      RETURN_IF_ERROR(verification.Check(step->name, step->workload, step->cases));
    }
  }
  return verification.Finish(options.what.model + " against " + options.golden);
}

StatusOr<int> Verify(const Environment& env, const Options& options) {
  if (!options.golden.empty() && options.what.model.empty()) {
    return UsageError("--golden goes with --model");
  }
  ASSIGN_OR_RETURN(const Network network, Resolve(options.what));
  ASSIGN_OR_RETURN(const Target target, TargetOption(options.where.target));
  if (options.golden.empty()) RETURN_IF_ERROR(CheckHasLayers(network));
  StatusOr<std::unique_ptr<TuningStore>> store = OpenStore(env, OpenMode::kReadOnly);
  if (!store.ok() && store.status().code() != StatusCode::kNotFound) return store.status();
  ASSIGN_OR_RETURN(const std::unique_ptr<Rig> rig,
                   Rig::Create(env, options.where.target, options.where.threads));
  Verification verification(env, options, target, *rig, store.ok() ? store->get() : nullptr);
  if (!options.golden.empty()) return VerifyGolden(options, verification);

  if (options.what.model.empty()) {
    for (const WeightedWorkload& unique : UniqueWorkloads(network)) {
      if (verification.interrupted()) break;
      RETURN_IF_ERROR(verification.Check(unique.layers[0], unique.workload,
                                         rig->expected().CasesFor(unique.workload)));
    }
  } else {
    for (const Layer& layer : network.layers) {
      if (verification.interrupted()) break;
      RETURN_IF_ERROR(verification.Check(layer.name, layer.workload,
                                         CasesWithValues(layer, options.draw.seed)));
    }
  }
  for (const auto& [op, count] : network.skipped)
    verification.Skip(fmt::format("{} x {}", count, op), "not tuned");
  return verification.Finish(network.name);
}

}  // namespace

void AddVerify(CLI::App& app, Environment& env) {
  auto* command = app.add_subcommand(
      "verify", "Run random and stored configs and compare them with the reference, bit for bit");
  auto o = std::make_shared<Options>();
  AddWhat(*command, o->what);
  AddWhere(*command, o->where);
  AddNumber<std::uint64_t>(*command, "--samples", o->draw.samples,
                           "random configs per workload, beside the default and the best",
                           {0, kMostConfigs})
      ->default_str(std::to_string(o->draw.samples));
  command
      ->add_option("--golden", o->golden,
                   "with --model: recorded inputs and outputs of all its operators")
      ->type_name("DIR");
  AddNumber<std::uint64_t>(
      *command, "--pairs", o->draw.pair_configs,
      "instead of random configs at most so many, chosen such that every two labels that go "
      "together occur together",
      {1, kMostConfigs})
      ->excludes("--samples");
  command
      ->add_option("--config", o->draw.config,
                   "this config alone: default, an id, or knob=label,...")
      ->excludes("--samples", "--pairs");
  AddNumber<std::uint64_t>(*command, "--seed", o->draw.seed, "of the random configs and inputs")
      ->default_str(std::to_string(o->draw.seed));
  command->add_flag("--json", o->json, "one object per workload, and one that sums up");
  AddDatabase(*command, env);
  AddMeasuring(*command, env);
  command->footer(
      "A config is WRONG if it gives other bytes than the reference, FAILED if it gives none: it "
      "does not compile,\n"
      "crashes, takes too long. Either makes the exit status 1.\n"
      "With --model the kernels get the file's real weights; without --golden, random inputs. "
      "Every kernel runs\n"
      "between guard pages, on inputs at both ends of its buffers.\n"
      "Examples:\n"
      "  kiln verify --network mobilenet_v1 --samples 50\n"
      "  kiln verify --workload KEY --pairs 200\n"
      "  kiln verify --model m.tflite --golden golden/m");
  command->callback([&env, o] { env.action = [&env, o] { return Verify(env, *o); }; });
}

}  // namespace kiln
