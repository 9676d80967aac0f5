#pragma once

#include <memory>

#include "tuner/search_policy.h"

// The policies behind NewSearchPolicy, a file each.

namespace kiln {

// Uniform, without repetition.
std::unique_ptr<SearchPolicy> NewRandomPolicy(const Task& task, const PolicyOptions& options);

// In the lexicographic order of the space.
std::unique_ptr<SearchPolicy> NewGridPolicy(const Task& task);

// AutoTVM's GATuner.
std::unique_ptr<SearchPolicy> NewGaPolicy(const Task& task, const PolicyOptions& options);

// AutoTVM's XGBTuner, with a model of its own.
std::unique_ptr<SearchPolicy> NewAutotvmPolicy(const Task& task, const PolicyOptions& options);

// Kiln's own.
std::unique_ptr<SearchPolicy> NewKilnPolicy(const Task& task, const CostModel& model,
                                            const PolicyOptions& options);

}  // namespace kiln
