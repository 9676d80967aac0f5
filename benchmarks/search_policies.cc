// Regret (found/best - 1, per cent) of the search policies on synthetic tasks after so many trials,
// cold: mean over tasks and seeds, and the share of runs within 5% of the true best.
//
// usage: search_policies [SEEDS [POLICY...]]
//
// POLICY/log_ratio is the policy with the cost model's other objective.

#include <fmt/core.h>

#include <cstdlib>
#include <string>

#include "tests/tuner/policy_run.h"

namespace kiln::testing {
namespace {

constexpr std::size_t kCheckpoints[] = {8, 16, 32, 64, 128, 256};

struct NamedTask {
  std::string name;
  Task task;
  double best;
};

std::vector<NamedTask> Tasks() {
  std::vector<NamedTask> tasks;
  const auto add = [&](const char* name, const Task& task) {
    tasks.push_back({name, task, SyntheticBest(task)});
  };
  add("small 64x56", SyntheticTask(64, 56));
  add("small 512x7", SyntheticTask(512, 7));
  add("large 256x14", SyntheticTask(256, 14, {.extra_values = 12}));
  return tasks;
}

void Report(std::string_view name, const NamedTask& task, std::uint64_t seeds) {
  const std::string_view policy = name.substr(0, name.find('/'));
  XgboostOptions options;
  if (name.ends_with("/log_ratio")) options.objective = XgboostOptions::Objective::kLogRatio;
  std::vector<double> regret(std::size(kCheckpoints)), close(std::size(kCheckpoints));
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const std::vector<double> best = BestSoFar(policy, task.task, seed, 256, options);
    for (std::size_t i = 0; i < regret.size(); ++i) {
      const double here = best[kCheckpoints[i] - 1] / task.best - 1;
      regret[i] += 100 * here / static_cast<double>(seeds);
      close[i] += here <= 0.05 ? 100.0 / static_cast<double>(seeds) : 0;
    }
  }
  fmt::print("{:14} {:13}", name, task.name);
  for (std::size_t i = 0; i < regret.size(); ++i)
    fmt::print(" {:6.1f} {:4.0f}%", regret[i], close[i]);
  fmt::print("\n");
}

int Main(int argc, char** argv) {
  const std::uint64_t seeds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20;
  std::vector<std::string_view> policies(argv + std::min(argc, 2), argv + argc);
  if (policies.empty()) {
    policies.assign(SearchPolicyNames().begin(), SearchPolicyNames().end());
  }
  const std::vector<NamedTask> tasks = Tasks();
  fmt::print("regret in %, and share of {} seeds within 5% of the best, after\n{:28}", seeds, "");
  for (const std::size_t trials : kCheckpoints) fmt::print(" {:>12}", trials);
  fmt::print("\n");
  for (const NamedTask& task : tasks) {
    fmt::print("{}: {} configs\n", task.name, task.task.space().size());
    for (const std::string_view policy : policies) Report(policy, task, seeds);
  }
  return 0;
}

}  // namespace
}  // namespace kiln::testing

int main(int argc, char** argv) { return kiln::testing::Main(argc, argv); }
