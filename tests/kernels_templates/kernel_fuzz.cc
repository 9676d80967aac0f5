#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/kiln/verify_configs.h"
#include "fuzz_workload.h"
#include "kernel_harness.h"
#include "kernels_templates/kernel_template.h"
#include "kernels_templates/task.h"
#include "ops/reference.h"
#include "ops/target.h"
#include "ops/workload_key.h"

// What scripts/fuzz_kernels asks beside `kiln verify`: keys of random workloads for a seed, and
// `verify` itself for instruction sets that this machine has in C only. A program and no test, so
// that one line runs any seed or finding again.

namespace kiln {
namespace {

struct Options {
  std::size_t count = 10;
  std::int64_t most_macs = 4'000'000;
  std::string op, target;
  std::vector<std::string> workloads;
  std::int32_t threads = 1;
  ConfigDraw draw{.pair_configs = 20};
};

int PrintKeys(const Options& options) {
  Rng rng(options.draw.seed);
  for (std::size_t printed = 0; printed < options.count;) {
    const Workload workload = DrawFuzzWorkload(rng, options.most_macs);
    if (!options.op.empty() && Name(workload.op) != options.op) continue;
    std::puts(Key(workload).c_str());
    ++printed;
  }
  return 0;
}

// What is wrong with a config, or nothing.
std::string Fault(const Task& task, const StatusOr<std::vector<LoadedKernel>>& kernels,
                  std::size_t i, const std::vector<OpCase>& cases,
                  const std::vector<std::vector<std::uint8_t>>& expected) {
  if (!kernels.ok()) return Message(kernels.status());
  for (std::size_t c = 0; c < cases.size(); ++c) {
    const std::string fault = CheckKernel((*kernels)[i], task.workload(), cases[c], expected[c]);
    if (!fault.empty()) return fault;
  }
  return "";
}

// Prints the line of a workload as `kiln verify --json` does. True: all configs are exact.
StatusOr<bool> Verify(const Task& task, const Options& options) {
  ASSIGN_OR_RETURN(const DrawnConfigs drawn, DrawConfigs(task, std::nullopt, options.draw));
  const PairReport pairs = ReportPairs(task.space(), drawn);
  std::vector<KernelSource> sources;
  for (const Config& config : drawn.configs) {
    ASSIGN_OR_RETURN(sources.emplace_back(), task.Emit(config));
  }
  std::vector<OpCase> cases;
  std::vector<std::vector<std::uint8_t>> expected;
  for (const DataSet set : {DataSet::kUniform, DataSet::kEdges}) {
    const OpCase& one = cases.emplace_back(MakeCase(task.workload(), set, options.draw.seed));
    expected.push_back(RunReference(task.workload(), one.values, one.x));
  }
  const IsaMask isa = task.target().isa;
  const auto kernels = CompileAndLoad(sources, isa);
  std::vector<std::string> failures;
  for (std::size_t i = 0; i < drawn.configs.size(); ++i) {
    // One that does not compile is not to hide the others.
    const std::string fault =
        kernels.ok() ? Fault(task, kernels, i, cases, expected)
                     : Fault(task, CompileAndLoad(std::span(sources).subspan(i, 1), isa), 0, cases,
                             expected);
    if (!fault.empty()) failures.push_back(fault + "  [" + pairs.configs[i] + "]");
  }
  const nlohmann::json line = {{"workload", Key(task.workload())},
                               {"configs", drawn.configs.size()},
                               {"wrong", failures.size()},
                               {"failed", 0},
                               {"failures", failures},
                               {"pairs",
                                {{"template", task.kernel_template().name()},
                                 {"covered", pairs.covered},
                                 {"all", pairs.all},
                                 {"left", pairs.left},
                                 {"configs", pairs.configs}}}};
  std::puts(line.dump().c_str());
  std::fflush(stdout);
  return failures.empty();
}

StatusOr<bool> VerifyAll(const Options& options) {
  ASSIGN_OR_RETURN(const Target target, FindTarget(options.target));
  if (!MachineRuns(target.isa))
    return Error(StatusCode::kUnimplemented, "nothing here runs ", options.target);
  if (!HasCompiler()) return Error(StatusCode::kUnimplemented, "clang-19 is not installed");
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  bool good = true;
  for (const std::string& key : options.workloads) {
    ASSIGN_OR_RETURN(const Workload workload, ParseWorkload(key));
    ASSIGN_OR_RETURN(const Task task, Task::Create(registry, {workload, target, options.threads}));
    ASSIGN_OR_RETURN(const bool exact, Verify(task, options));
    good = good && exact;
  }
  return good;
}

int Main(int argc, char** argv) {
  CLI::App app("Random workloads for templates, and their kernels on instruction sets in C");
  app.require_subcommand(1);
  Options options;
  auto* keys = app.add_subcommand("keys", "Print keys of random workloads");
  keys->add_option("--seed", options.draw.seed);
  keys->add_option("--count", options.count)->capture_default_str();
  keys->add_option("--most-macs", options.most_macs)->capture_default_str();
  keys->add_option("--op", options.op, "of this op only: conv2d, depthwise, dense");
  auto* verify = app.add_subcommand("verify", "Verify workloads; a line of JSON for each");
  verify
      ->add_option("--target", options.target,
                   "cascadelake, alderlake, ...: what is not here runs in C")
      ->required();
  verify->add_option("--workload", options.workloads)->required();
  verify->add_option("--threads", options.threads)->capture_default_str();
  verify->add_option("--pairs", options.draw.pair_configs, "at most so many configs")
      ->capture_default_str();
  verify->add_option("--config", options.draw.config, "knob=label,...: this one alone");
  verify->add_option("--seed", options.draw.seed);
  CLI11_PARSE(app, argc, argv);
  if (*keys) return PrintKeys(options);
  const StatusOr<bool> good = VerifyAll(options);
  if (!good.ok()) std::fprintf(stderr, "%s\n", Message(good.status()).c_str());
  return good.ok() && *good ? 0 : 1;
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) { return kiln::Main(argc, argv); }
