// AutoTVM's GATuner (TVM 0.9), the genetic baseline: a population of 100 random genes is measured;
// the next one is bred from it and from the 3 best genes ever, parents drawn in proportion to
// throughput, one crossover point, each knob mutated with probability 0.1; genes measured before
// are mutated further. Written from its description. What differs: its spaces have no constraints,
// so a child that is illegal here becomes the legal config nearest to it.

#include <algorithm>
#include <map>

#include "tuner/policies.h"
#include "tuner/seen_configs.h"

namespace kiln {
namespace {

constexpr std::size_t kPopulation = 100;
constexpr std::size_t kElites = 3;
constexpr double kMutationProbability = 0.1;
// Beyond so many mutations in vain a space is nearly used up, and any unseen config does.
constexpr int kMutationAttempts = 50;

class GaPolicy final : public SearchPolicy {
 public:
  GaPolicy(const Task& task, const PolicyOptions& options)
      : task_(task), options_(options), seen_(task.space()) {}

  // Ends with the generation, so the last batch of one may be smaller than asked for.
  std::vector<Proposal> Propose(std::int64_t batch, std::int32_t count) override {
    if (next_ == genes_.size()) {
      Rng rng = BatchStream(options_.seed, task_, batch);
      NextGeneration(rng);
    }
    std::vector<Proposal> proposals;
    while (next_ < genes_.size() && static_cast<std::int32_t>(proposals.size()) < count) {
      proposals.push_back({genes_[next_++], std::nullopt});
    }
    return proposals;
  }

  void Observe(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) {
      if (!task_.space().Contains(trial.config)) continue;
      seen_.Insert(trial.config);
      const auto time = RankTime(trial);
      parents_.push_back({trial.config, time ? 1.0 / *time : 0.0});
    }
  }

 private:
  struct Parent {
    Config gene;
    double fitness = 0;
  };

  void NextGeneration(Rng& rng) {
    genes_.clear();
    next_ = 0;
    const std::vector<double> cumulated = CumulatedFitness();
    while (genes_.size() < kPopulation) {
      std::optional<Config> gene =
          cumulated.empty() ? seen_.SampleUnseen(rng) : Breed(cumulated, rng);
      if (!gene) break;
      seen_.Insert(*gene);
      genes_.push_back(*std::move(gene));
    }
    KeepElites();
  }

  // Empty: nobody to breed from.
  std::vector<double> CumulatedFitness() const {
    std::vector<double> cumulated;
    double sum = 0;
    for (const Parent& parent : parents_) cumulated.push_back(sum += parent.fitness);
    return sum > 0 ? cumulated : std::vector<double>();
  }

  // Only the fittest survive into the next selection, beside the generation to come.
  void KeepElites() {
    std::ranges::stable_sort(parents_, std::ranges::greater{}, &Parent::fitness);
    parents_.resize(std::min(parents_.size(), kElites));
  }

  std::optional<Config> Breed(const std::vector<double>& cumulated, Rng& rng) const {
    const Config& first = Select(cumulated, rng);
    const Config& second = Select(cumulated, rng);
    const std::span<const Knob> knobs = task_.space().knobs();
    const std::size_t point = knobs.empty() ? 0 : rng.Below(knobs.size());
    Config child = second;
    std::copy_n(first.choice.begin(), point, child.choice.begin());
    for (std::size_t k = 0; k < knobs.size(); ++k) {
      if (rng.Unit() < kMutationProbability) MutateKnob(child, k, rng);
    }
    child = task_.space().Nearest(child);
    for (int i = 0; i < kMutationAttempts && seen_.Contains(child); ++i) {
      if (knobs.empty()) break;
      MutateKnob(child, rng.Below(knobs.size()), rng);
      child = task_.space().Nearest(child);
    }
    return seen_.Contains(child) ? seen_.SampleUnseen(rng) : child;
  }

  void MutateKnob(Config& gene, std::size_t knob, Rng& rng) const {
    gene.choice[knob] =
        static_cast<std::uint16_t>(rng.Below(task_.space().knobs()[knob].values.size()));
  }

  const Config& Select(const std::vector<double>& cumulated, Rng& rng) const {
    const double mark = rng.Unit() * cumulated.back();
    const auto found = std::ranges::upper_bound(cumulated, mark);
    const auto index = std::min<std::ptrdiff_t>(found - cumulated.begin(),
                                                static_cast<std::ptrdiff_t>(parents_.size()) - 1);
    return parents_[static_cast<std::size_t>(index)].gene;
  }

  Task task_;
  PolicyOptions options_;
  SeenConfigs seen_;
  std::vector<Config> genes_;  // the present generation
  std::size_t next_ = 0;       // its first gene that was not proposed
  std::vector<Parent> parents_;
};

}  // namespace

std::unique_ptr<SearchPolicy> NewGaPolicy(const Task& task, const PolicyOptions& options) {
  return std::make_unique<GaPolicy>(task, options);
}

}  // namespace kiln
