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
// carries to the others through the features. Thread-safe.
class CostModel {
 public:
  virtual ~CostModel() = default;

  // Takes the trials into account, failures and censored ones included (a bound teaches ordering
  // only).
  virtual Status Update(const Task& task, std::span<const Trial> trials) = 0;

  // One score for each config; higher is faster. Only the order within a task means anything.
  // Empty: it has not learned enough to say anything.
  virtual std::vector<float> Predict(const Task& task, std::span<const Config> configs) const = 0;
};

struct XgboostOptions {
  std::int32_t rounds = 120;
  std::int32_t max_depth = 6;
  double eta = 0.2;
  std::size_t max_rows = 8000;  // the newest are kept
  std::size_t min_rows = 8;     // below: no opinion
  std::uint64_t seed = 0;
};

// Gradient-boosted trees (XGBoost's C API, hist, one thread). Refits at Update.
StatusOr<std::unique_ptr<CostModel>> NewXgboostCostModel(const XgboostOptions& options);

// No opinion, ever: what `random`, `grid` and `ga` use.
std::unique_ptr<CostModel> NewNullCostModel();

}  // namespace kiln
