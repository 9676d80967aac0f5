#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cost_model/cost_model.h"
#include "kernels_templates/task.h"
#include "measure/measurement.h"

namespace kiln {

// This decides what to measure next for one task. Propose changes nothing that matters: a batch
// that is lost costs time and nothing else; only Observe teaches it. Same seed, same observations,
// same proposals. Not thread-safe: one thread at a time.
class SearchPolicy {
 public:
  virtual ~SearchPolicy() = default;
  // At most `count` legal configs that were neither proposed nor observed before. Empty: the space
  // is used up.
  virtual std::vector<Config> Propose(int count) = 0;
  virtual void Observe(std::span<const Trial> trials) = 0;
};

struct PolicyOptions {
  std::uint64_t seed = 0;
};

// By name: random, grid, ga, autotvm, kiln. kNotFound lists the names. The model is borrowed and
// may be updated between calls.
StatusOr<std::unique_ptr<SearchPolicy>> NewSearchPolicy(std::string_view name, const Task& task,
                                                        const CostModel& model,
                                                        const PolicyOptions& options);
std::span<const std::string_view> SearchPolicyNames();

// Whether the policy wants a learning cost model, and from which trials: of its own task (autotvm)
// or of all.
bool PolicyLearns(std::string_view name);

}  // namespace kiln
