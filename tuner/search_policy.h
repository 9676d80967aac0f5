#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "cost_model/cost_model.h"
#include "kernels_templates/task.h"
#include "measure/measurement.h"

namespace kiln {

// A config to measure, and the score that it was chosen by, where there was one (higher is faster).
struct Proposal {
  Config config;
  std::optional<double> predicted;
};

// This decides what to measure next for one task. A batch that is lost costs time and nothing else;
// only Observe teaches. Same seed, same calls, same proposals. Not thread-safe: one thread at a
// time.
class SearchPolicy {
 public:
  virtual ~SearchPolicy() = default;

  // At most `count` legal configs that were neither proposed nor observed before, and at least one
  // unless the space is used up. `batch` numbers the task's batches, stored ones of earlier runs
  // included: it selects the stream of random numbers.
  virtual std::vector<Proposal> Propose(std::int64_t batch, std::int32_t count) = 0;

  // Trials of this task whose times are only estimates, or of another program's log, before anything
  // else is asked: their order may be worth something, their configs were not seen. The best of each
  // call count, those of an earlier one first. Published policies know no such thing.
  virtual void Suggest(std::span<const Trial> hints) { static_cast<void>(hints); }

  // Trials of this task, whoever proposed them.
  virtual void Observe(std::span<const Trial> trials) = 0;
};

struct PolicyOptions {
  std::uint64_t seed = 0;
};

// By name: random, grid, ga, autotvm, kiln. kNotFound lists the names. The model is shared between
// tasks, borrowed, and may be fitted again between calls; policies that do not learn from it
// (PolicyLearns) ignore it.
StatusOr<std::unique_ptr<SearchPolicy>> NewSearchPolicy(std::string_view name, const Task& task,
                                                        const CostModel& model,
                                                        const PolicyOptions& options);
std::span<const std::string_view> SearchPolicyNames();

// Whether the policy asks the shared cost model, so that it is worth teaching. `autotvm` has one of
// its own.
bool PolicyLearns(std::string_view name);

// Whether the policy, as published, sees the whole last batch before it proposes the next one. The
// price is a device that idles meanwhile.
bool PolicyNeedsBarrier(std::string_view name);

}  // namespace kiln
