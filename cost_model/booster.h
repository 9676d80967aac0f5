#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace kiln {

// Rows to learn from, row-major.
struct TrainingSet {
  std::size_t columns = 0;
  std::vector<float> rows;            // labels.size() x columns
  std::vector<float> labels;          // one for each row
  std::vector<std::uint32_t> groups;  // for ranking: sizes of runs of rows that compare; or empty
};

struct BoosterOptions {
  // XGBoost's own names: {"max_depth", "6"}. One thread and silence are set in any case.
  std::vector<std::pair<std::string, std::string>> parameters;
  std::uint64_t seed = 0;  // any: XGBoost's own is signed and takes the lower 63 bits
  std::int32_t rounds = 100;
  // Called after each round with the round's number from 0 and the margins of the training rows;
  // false ends the training. Unset: all rounds.
  std::function<bool(std::int32_t, std::span<const float>)> go_on;
};

// This is a trained set of trees: the one place that sees XGBoost's C API. Immutable, thread-safe.
class Booster {
 public:
  // kInvalidArgument or kInternal with XGBoost's own words.
  static StatusOr<std::shared_ptr<const Booster>> Train(const TrainingSet& data,
                                                        const BoosterOptions& options);
  virtual ~Booster() = default;

  // The margin of each row (before any link function).
  virtual StatusOr<std::vector<float>> Predict(std::span<const float> rows,
                                               std::size_t columns) const = 0;
};

}  // namespace kiln
