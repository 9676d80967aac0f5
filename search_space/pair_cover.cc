// Greedy. One walk through the space in a random order notes for every pair how many configs have
// it and a few of them, its witnesses. Then, while some pair is left, the rarest of them gives the
// next config: that of its witnesses with the most pairs that are left.

#include "search_space/pair_cover.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace kiln {
namespace {

constexpr std::size_t kWitnesses = 12;

// Numbers the pairs of choices, legal or not.
class PairNumbers {
 public:
  explicit PairNumbers(std::span<const Knob> knobs) {
    const std::size_t skip = knobs.size() > 1 ? 1 : 0;
    for (std::size_t a = 0; a < knobs.size(); ++a) {
      for (std::size_t b = a + skip; b < knobs.size(); ++b) {
        blocks_.push_back({a, b, knobs[b].values.size(), count_});
        count_ += knobs[a].values.size() * knobs[b].values.size();
      }
    }
  }

  std::size_t count() const { return count_; }

  template <typename Visit>
  void ForEach(const Config& config, Visit visit) const {
    for (const KnobPair& block : blocks_) {
      visit(block.begin + config.choice[block.first] * block.width + config.choice[block.second]);
    }
  }

  ChoicePair At(std::size_t number) const {
    const auto after = std::ranges::upper_bound(blocks_, number, {}, &KnobPair::begin);
    const KnobPair& block = *(after - 1);
    const std::size_t within = number - block.begin;
    return {block.first, block.second, static_cast<std::uint16_t>(within / block.width),
            static_cast<std::uint16_t>(within % block.width)};
  }

 private:
  struct KnobPair {
    std::size_t first, second;  // knobs
    std::size_t width;          // choices of the second
    std::size_t begin;          // number of the first pair
  };
  std::vector<KnobPair> blocks_;
  std::size_t count_ = 0;
};

struct PairRecord {
  std::uint64_t configs = 0;             // that have it
  std::vector<std::uint64_t> witnesses;  // indices of some of them
  bool left = true;
};

// Visits 0 .. size - 1 once each, in an order that `rng` decides.
template <typename Visit>
void VisitShuffled(std::uint64_t size, Rng& rng, Visit visit) {
  std::uint64_t step = 1 + rng.Below(size), at = rng.Below(size);
  while (std::gcd(step, size) != 1) step = step % size + 1;
  for (std::uint64_t i = 0; i < size; ++i, at = (at + step) % size) visit(at);
}

class GreedyCover {
 public:
  GreedyCover(const ConfigSpace& space, Rng rng)
      : space_(space), numbers_(space.knobs()), records_(numbers_.count()) {
    VisitShuffled(space.size(), rng, [this](std::uint64_t index) {
      numbers_.ForEach(space_.At(index), [&](std::size_t number) {
        PairRecord& record = records_[number];
        ++record.configs;
        if (record.witnesses.size() < kWitnesses) record.witnesses.push_back(index);
      });
    });
  }

  PairCover Run(std::size_t most) {
    PairCover cover;
    std::vector<std::size_t> rarest_first;
    for (std::size_t number = 0; number < records_.size(); ++number) {
      if (records_[number].configs > 0) rarest_first.push_back(number);
    }
    cover.pairs = rarest_first.size();
    std::ranges::stable_sort(rarest_first, {},
                             [this](std::size_t number) { return records_[number].configs; });
    for (const std::size_t number : rarest_first) {
      const PairRecord& record = records_[number];
      if (!record.left) continue;
      if (cover.configs.size() < most) Take(space_.At(BestWitness(record)), cover);
      if (record.left) cover.left.push_back(numbers_.At(number));
    }
    if (cover.configs.empty()) cover.configs.push_back(space_.At(0));
    return cover;
  }

 private:
  std::uint64_t BestWitness(const PairRecord& record) const {
    return *std::ranges::max_element(record.witnesses, {}, [this](std::uint64_t index) {
      std::size_t left = 0;
      numbers_.ForEach(space_.At(index),
                       [&](std::size_t number) { left += records_[number].left; });
      return left;
    });
  }

  void Take(Config config, PairCover& cover) {
    numbers_.ForEach(config, [this](std::size_t number) { records_[number].left = false; });
    cover.configs.push_back(std::move(config));
  }

  const ConfigSpace& space_;
  const PairNumbers numbers_;
  std::vector<PairRecord> records_;
};

}  // namespace

PairCover CoverPairs(const ConfigSpace& space, std::size_t most, Rng rng) {
  return GreedyCover(space, rng).Run(most);
}

}  // namespace kiln
