#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <string_view>
#include <vector>

#include "cost_model/cost_model.h"
#include "tests/tuner/synthetic_task.h"
#include "tuner/search_policy.h"

namespace kiln::testing {

// The best time after each trial of a policy on a synthetic task, cold, with the lag that a tuner
// gives it.
inline std::vector<double> BestSoFar(std::string_view name, const Task& task, std::uint64_t seed,
                                     std::size_t trials, XgboostOptions options = {}) {
  options.seed = seed;
  const auto model = NewXgboostCostModel(options);
  const auto policy = *NewSearchPolicy(name, task, *model, {seed});
  const std::size_t lag = PolicyNeedsBarrier(name) ? 1 : 2;
  std::vector<std::vector<Trial>> in_flight;
  std::vector<double> best_so_far;
  double best = std::numeric_limits<double>::infinity();
  for (std::int64_t batch = 0; best_so_far.size() < trials; ++batch) {
    if (in_flight.size() == lag) {
      policy->Observe(in_flight.front());
      if (PolicyLearns(name)) {
        model->Add(task, in_flight.front());
        if (!model->Fit().ok()) break;
      }
      in_flight.erase(in_flight.begin());
    }
    std::vector<Trial> measured;
    for (const Proposal& proposal : policy->Propose(batch, 16)) {
      measured.push_back(SyntheticTrial(task, proposal.config));
      best = std::min(best, SyntheticTime(task, proposal.config));
      best_so_far.push_back(best);
    }
    if (measured.empty()) break;
    in_flight.push_back(std::move(measured));
  }
  best_so_far.resize(trials, best);
  return best_so_far;
}

}  // namespace kiln::testing
