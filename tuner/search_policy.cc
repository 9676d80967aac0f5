#include "tuner/search_policy.h"

#include <algorithm>
#include <array>
#include <string>

#include "tuner/policies.h"

namespace kiln {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"kiln", "autotvm", "ga", "random", "grid"};

}  // namespace

StatusOr<std::unique_ptr<SearchPolicy>> NewSearchPolicy(std::string_view name, const Task& task,
                                                        const CostModel& model,
                                                        const PolicyOptions& options) {
  if (name == "kiln") return NewKilnPolicy(task, model, options);
  if (name == "autotvm") return NewAutotvmPolicy(task, options);
  if (name == "ga") return NewGaPolicy(task, options);
  if (name == "random") return NewRandomPolicy(task, options);
  if (name == "grid") return NewGridPolicy(task);
  std::string known;
  for (const std::string_view each : kNames) {
    known.append(known.empty() ? "" : ", ").append(each);
  }
  return Error(StatusCode::kNotFound, "no search policy named ", name, " (there are ", known, ")");
}

std::span<const std::string_view> SearchPolicyNames() { return kNames; }

bool PolicyLearns(std::string_view name) { return name == "kiln"; }

bool PolicyNeedsBarrier(std::string_view name) { return name == "autotvm" || name == "ga"; }

}  // namespace kiln
