#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "kernels_templates/task.h"
#include "measure/measurement.h"

namespace kiln {

// This ranks configs without running them. One model serves many tasks: what it learns from one
// carries to the others through the features. Thread-safe: configs can be ranked by the last fit
// while the next one is made.
class CostModel {
 public:
  virtual ~CostModel() = default;

  // Remembers the trials for the next Fit: failures teach which configs do not work, a censored
  // trial's bound teaches ordering. Times are compared with times of the same kind only. Cheap.
  virtual void Add(const Task& task, std::span<const Trial> trials) = 0;

  // Learns from all that was added: the expensive part (100 ms for 2000 trials).
  virtual Status Fit() = 0;

  // One score for each config; higher is faster. Only scores of one task compare with each other.
  // Empty: it has not learned enough to say anything.
  virtual std::vector<float> Predict(const Task& task, std::span<const Config> configs) const = 0;
};

struct XgboostOptions {
  // What the trees are taught. kPairwise: the order of the trials of each task (a pairwise ranking
  // loss). kLogRatio: the logarithm of best/time, per task, by squared error. By
  // benchmarks/search_policies they are about even up to 64 trials, and pairwise ends nearer to the
  // best from 128 on.
  enum class Objective : std::uint8_t { kPairwise, kLogRatio };
  Objective objective = Objective::kPairwise;
  std::int32_t rounds = 120;
  std::int32_t max_depth = 4;
  double eta = 0.2;
  std::size_t max_rows = 8000;  // the newest are kept
  std::size_t min_rows = 8;     // below: no opinion
  std::uint64_t seed = 0;
};

// Gradient-boosted trees (XGBoost's C API, hist, one thread), trained across tasks. Once there are
// failures a second, small set of trees learns which configs work.
std::unique_ptr<CostModel> NewXgboostCostModel(const XgboostOptions& options);

// The model of AutoTVM's XGBTuner (TVM 0.9) with its constants, for the baseline policy: trials of
// one task, labels relative to the best throughput, failures 0, thousands of rounds stopped by
// a-recall@plan_size on the training rows.
struct AutotvmModelOptions {
  std::int32_t plan_size = 64;
  std::int32_t max_rounds = 8000;
  std::int32_t stop_after = 20;  // rounds without a better a-recall
  std::uint64_t seed = 0;
};
std::unique_ptr<CostModel> NewAutotvmCostModel(const AutotvmModelOptions& options);

// No opinion, ever.
std::unique_ptr<CostModel> NewNullCostModel();

}  // namespace kiln
