// What learning costs: fitting the cost model, ranking many configs with it, proposing a batch; and
// how well it orders configs that it has not seen (pairwise accuracy), per objective.
//
// usage: cost_model

#include <fmt/core.h>

#include <chrono>
#include <functional>

#include "tests/tuner/synthetic_task.h"
#include "tuner/search_policy.h"

namespace kiln::testing {
namespace {

double Milliseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

std::vector<Trial> RandomTrials(const Task& task, int count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<Trial> trials;
  trials.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    trials.push_back(SyntheticTrial(task, task.space().Sample(rng)));
  }
  return trials;
}

// The share of pairs of working configs that the model puts in their true order.
double PairwiseAccuracy(const CostModel& model, const Task& task, int count) {
  std::vector<Config> configs;
  for (const Trial& trial : RandomTrials(task, count, 99)) {
    if (RankTime(trial)) configs.push_back(trial.config);
  }
  const std::vector<float> scores = model.Predict(task, configs);
  double right = 0, pairs = 0;
  for (std::size_t i = 0; i < configs.size(); ++i) {
    for (std::size_t k = 0; k < i; ++k) {
      const bool faster = SyntheticTime(task, configs[i]) < SyntheticTime(task, configs[k]);
      right += faster == (scores[i] > scores[k]) ? 1 : 0;
      ++pairs;
    }
  }
  return right / pairs;
}

void Report(const char* name, const XgboostOptions& options) {
  const auto model = NewXgboostCostModel(options);
  const Task large = SyntheticTask(256, 14, {.extra_values = 12});
  for (const int channels : {32, 64, 128, 512}) {
    const Task task = SyntheticTask(channels, 28, {.extra_values = 12});
    model->Add(task, RandomTrials(task, 500, 1));
  }
  const double fit = Milliseconds([&] { (void)model->Fit(); });
  const double transferred = PairwiseAccuracy(*model, large, 300);
  model->Add(large, RandomTrials(large, 64, 2));
  (void)model->Fit();
  std::vector<Config> configs;
  configs.reserve(50'000);
  Rng rng(3);
  for (int i = 0; i < 50'000; ++i) configs.push_back(large.space().Sample(rng));
  const double score = Milliseconds([&] { (void)model->Predict(large, configs); });
  fmt::print(
      "{:9} fit of 2000 trials {:.0f} ms, scores of 50,000 configs {:.0f} ms, pairwise accuracy "
      "on a new task {:.3f}, with 64 of its trials {:.3f}\n",
      name, fit, score, transferred, PairwiseAccuracy(*model, large, 300));
}

void ReportProposal(const char* name, const Task& task) {
  const auto model = NewXgboostCostModel({});
  const std::vector<Trial> trials = RandomTrials(task, 500, 4);
  model->Add(task, trials);
  (void)model->Fit();
  for (const std::string_view policy : SearchPolicyNames()) {
    const auto search = *NewSearchPolicy(policy, task, *model, {});
    search->Observe(trials);
    fmt::print("{:9} {:8} proposes 16 of {} configs in {:.1f} ms\n", name, policy,
               task.space().size(), Milliseconds([&] { (void)search->Propose(40, 16); }));
  }
}

int Main() {
  Report("pairwise", {});
  Report("log ratio", {.objective = XgboostOptions::Objective::kLogRatio});
  ReportProposal("small", SyntheticTask());
  ReportProposal("large", SyntheticTask(256, 14, {.extra_values = 12}));
  return 0;
}

}  // namespace
}  // namespace kiln::testing

int main() { return kiln::testing::Main(); }
