// AutoTVM's XGBoostCostModel (Chen et al., NeurIPS 2018; TVM 0.9's constants, recalled in
// docs/search.md), the baseline that Kiln's model is compared with. Written from its description.
// What differs: the features are those of Kiln's templates; AutoTVM's describe the loops of a TVM
// schedule, which has no counterpart here.

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cost_model/average_recall.h"
#include "cost_model/booster.h"
#include "cost_model/cost_model.h"
#include "cost_model/feature_rows.h"

namespace kiln {
namespace {

// AutoTVM ranks by the mean of the samples; failures have no throughput.
double Throughput(const Trial& trial) {
  const auto* timings = std::get_if<Timings>(&trial.outcome);
  if (timings == nullptr || timings->samples_ns.empty()) return 0;
  const double sum = std::accumulate(timings->samples_ns.begin(), timings->samples_ns.end(), 0.0);
  return sum > 0 ? static_cast<double>(timings->samples_ns.size()) / sum : 0;
}

// Ends the training `patience` rounds after the best a-recall on the training rows.
class StopWhenRecallStalls {
 public:
  StopWhenRecallStalls(std::vector<float> labels, const AutotvmModelOptions& options)
      : labels_(std::move(labels)), options_(options) {}

  bool operator()(std::int32_t round, std::span<const float> margins) {
    const double recall =
        AverageRecall(margins, labels_, static_cast<std::size_t>(options_.plan_size));
    if (recall > best_) {
      best_ = recall;
      best_round_ = round;
    }
    return round - best_round_ < options_.stop_after;
  }

 private:
  std::vector<float> labels_;
  AutotvmModelOptions options_;
  double best_ = -1;
  std::int32_t best_round_ = 0;
};

class AutotvmCostModel final : public CostModel {
 public:
  explicit AutotvmCostModel(const AutotvmModelOptions& options) : options_(options) {}

  void Add(const Task& task, std::span<const Trial> trials) override {
    absl::MutexLock lock(&mutex_);
    for (const Trial& trial : trials) {
      rows_.resize(rows_.size() + kFeatureCount);
      task.Features(trial.config, std::span(rows_).last(kFeatureCount));
      throughputs_.push_back(Throughput(trial));
    }
  }

  Status Fit() override {
    TrainingSet set{kFeatureCount, {}, {}, {}};
    {
      absl::MutexLock lock(&mutex_);
      set.rows = rows_;
      const double best = throughputs_.empty() ? 0 : std::ranges::max(throughputs_);
      if (best <= 0) return absl::OkStatus();
      for (const double each : throughputs_) set.labels.push_back(static_cast<float>(each / best));
    }
    BoosterOptions options;
    options.parameters = {{"max_depth", "3"},
                          {"gamma", "0.0001"},
                          {"min_child_weight", "1"},
                          {"subsample", "1"},
                          {"eta", "0.3"},
                          {"lambda", "1"},
                          {"alpha", "0"},
                          {"objective", "rank:pairwise"}};
    options.seed = options_.seed;
    options.rounds = options_.max_rounds;
    options.go_on = StopWhenRecallStalls(set.labels, options_);
    ASSIGN_OR_RETURN(auto trees, Booster::Train(set, options));
    absl::MutexLock lock(&mutex_);
    trees_ = std::move(trees);
    return absl::OkStatus();
  }

  std::vector<float> Predict(const Task& task, std::span<const Config> configs) const override {
    std::shared_ptr<const Booster> trees;
    {
      absl::MutexLock lock(&mutex_);
      trees = trees_;
    }
    if (trees == nullptr || configs.empty()) return {};
    auto scores = trees->Predict(FeatureRows(task, configs), kFeatureCount);
    return scores.ok() ? *std::move(scores) : std::vector<float>();
  }

 private:
  const AutotvmModelOptions options_;
  mutable absl::Mutex mutex_;
  std::vector<float> rows_ ABSL_GUARDED_BY(mutex_);
  std::vector<double> throughputs_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Booster> trees_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<CostModel> NewAutotvmCostModel(const AutotvmModelOptions& options) {
  return std::make_unique<AutotvmCostModel>(options);
}

}  // namespace kiln
