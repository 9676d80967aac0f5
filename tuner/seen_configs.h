#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_set>

#include "base/rng.h"
#include "kernels_templates/task.h"

namespace kiln {

// These are the configs of a space that were proposed or observed: what a policy must not propose.
class SeenConfigs {
 public:
  explicit SeenConfigs(ConfigSpace space) : space_(std::move(space)) {}

  // False if the config is there already, or not legal in this space.
  bool Insert(const Config& config);
  bool Contains(const Config& config) const;

  std::uint64_t size() const { return indices_.size(); }
  std::uint64_t unseen() const { return space_.size() - indices_.size(); }

  // Uniform over the unseen configs; nullopt when there are none.
  std::optional<Config> SampleUnseen(Rng& rng) const;

 private:
  ConfigSpace space_;
  std::unordered_set<std::uint64_t> indices_;
};

// The random numbers of one batch: a stream per (seed, task, batch), so that a proposal does not
// depend on how many numbers earlier batches or other tasks drew.
Rng BatchStream(std::uint64_t seed, const Task& task, std::int64_t batch);

}  // namespace kiln
