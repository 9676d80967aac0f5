#include "tuner/seen_configs.h"

#include "base/digest.h"

namespace kiln {

bool SeenConfigs::Insert(const Config& config) {
  return space_.Contains(config) && indices_.insert(space_.IndexOf(config)).second;
}

bool SeenConfigs::Contains(const Config& config) const {
  return indices_.contains(space_.IndexOf(config));
}

std::optional<Config> SeenConfigs::SampleUnseen(Rng& rng) const {
  if (unseen() == 0) return std::nullopt;
  // While at least half is unseen, 64 draws miss once in 2^64 calls or more; a fuller space is
  // walked.
  if (unseen() >= indices_.size()) {
    for (int i = 0; i < 64; ++i) {
      const std::uint64_t index = rng.Below(space_.size());
      if (!indices_.contains(index)) return space_.At(index);
    }
  }
  std::uint64_t skip = rng.Below(unseen());
  for (std::uint64_t index = 0; index < space_.size(); ++index) {
    if (!indices_.contains(index) && skip-- == 0) return space_.At(index);
  }
  return std::nullopt;
}

Rng BatchStream(std::uint64_t seed, const Task& task, std::int64_t batch) {
  Rng by_seed(seed);
  Rng by_task(by_seed.Next() ^ Digest(task.Key()));
  Rng by_batch(by_task.Next() ^ static_cast<std::uint64_t>(batch));
  return Rng(by_batch.Next());
}

}  // namespace kiln
