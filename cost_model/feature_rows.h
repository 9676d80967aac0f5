#pragma once

#include <span>
#include <vector>

#include "kernels_templates/task.h"

namespace kiln {

// The features of the configs, row-major, kFeatureCount columns.
inline std::vector<float> FeatureRows(const Task& task, std::span<const Config> configs) {
  std::vector<float> rows(configs.size() * kFeatureCount);
  for (std::size_t i = 0; i < configs.size(); ++i) {
    task.Features(configs[i], std::span(rows).subspan(i * kFeatureCount, kFeatureCount));
  }
  return rows;
}

}  // namespace kiln
