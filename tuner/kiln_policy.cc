// Kiln's own search: measure where the shared cost model expects speed, and enough elsewhere for
// the model to learn what it is wrong about.
//
// A batch is put together from five sources:
//   suggested as long as there are any: the best few by estimates that were made before, up to half
//             of the batch
//   spread    while the model has no opinion: every value of every knob about equally often
//   exploit   the best by the model: of all unseen configs where the space is small, else of those
//             that an evolution guided by the model comes across
//   polish    from the time there is an incumbent: the best by the model among the incumbents'
//             neighbours, which corrects a model that is right about regions and wrong about
//             details
//   explore   of a few random configs the one whose knob values were tried least
// The template's default config is always the first: it is the mark to beat. One batch takes few
// near-identical configs, because they would teach the same thing. The first batches are small:
// what a handful of trials teaches is worth more than a full pipeline.

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "tuner/policies.h"
#include "tuner/seen_configs.h"

namespace kiln {
namespace {

constexpr std::uint64_t kRankedWhole = 20'000;  // legal configs; more are searched by evolution
constexpr double kExploreShare = 0.125;
constexpr double kPolishShare = 0.25;
constexpr std::size_t kIncumbents = 3;
constexpr double kSuggestedShare = 0.5;
constexpr std::size_t kMostSuggested = 8;  // what is further behind by an estimate is any config
constexpr int kTwinsPerBatch = 2;          // configs one knob away from others of the same batch
constexpr int kSpreadCandidates = 64;      // random configs that a spread config is chosen from
constexpr int kExploreCandidates = 8;
constexpr std::int64_t kSmallBatches = 8;
constexpr std::int32_t kSmallBatch = 4;

// The evolution. A generation is made of the best scored so far, crossed and mutated.
constexpr std::size_t kPopulation = 384;
constexpr std::size_t kParents = 96;
constexpr int kGenerations = 6;
constexpr int kBreedAttempts = 8;

struct Scored {
  std::uint64_t index = 0;
  float score = 0;
};
bool Better(const Scored& a, const Scored& b) {
  return a.score != b.score ? a.score > b.score : a.index < b.index;
}

class KilnPolicy final : public SearchPolicy {
 public:
  KilnPolicy(const Task& task, const CostModel& model, const PolicyOptions& options)
      : task_(task), space_(task.space()), model_(model), options_(options), seen_(space_) {
    for (const Knob& knob : space_.knobs()) uses_.emplace_back(knob.values.size());
  }

  std::vector<Proposal> Propose(std::int64_t batch, std::int32_t count) override {
    Rng rng = BatchStream(options_.seed, task_, batch);
    if (batch < kSmallBatches) count = std::min(count, kSmallBatch);
    Batch out{static_cast<std::size_t>(std::min<std::uint64_t>(
                  static_cast<std::uint64_t>(std::max(count, 0)), seen_.unseen())),
              {}};
    ProposeDefault(out);
    ProposeSuggested(out);
    const std::vector<Scored> ranked = Ranked(rng);
    if (ranked.empty()) {
      Spread(out, rng);
    } else {
      Explore(out, rng);
      Polish(out);
      Exploit(out, ranked);
    }
    Fill(out, rng);
    return std::move(out.proposals);
  }

  void Suggest(std::span<const Trial> estimates) override {
    std::vector<Timed> fastest;
    for (const Trial& trial : estimates) {
      const auto time = RankTime(trial);
      if (time && space_.Contains(trial.config)) fastest.push_back({*time, trial.config});
    }
    std::ranges::stable_sort(fastest, {}, &Timed::time);
    fastest.resize(std::min(fastest.size(), kMostSuggested));
    for (const Timed& timed : fastest) suggested_.push_back(timed.config);
  }

  void Observe(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) {
      if (!space_.Contains(trial.config)) continue;
      MarkSeen(trial.config);
      if (const auto time = RankTime(trial)) fastest_.push_back({*time, trial.config});
    }
    std::ranges::stable_sort(fastest_, {}, &Timed::time);
    fastest_.resize(std::min(fastest_.size(), kParents));
  }

 private:
  struct Timed {
    double time = 0;
    Config config;
  };
  struct Batch {
    std::size_t wanted = 0;
    std::vector<Proposal> proposals;
    std::size_t room() const { return wanted - proposals.size(); }
  };

  void MarkSeen(const Config& config) {
    if (!seen_.Insert(config)) return;
    for (std::size_t k = 0; k < config.choice.size(); ++k) ++uses_[k][config.choice[k]];
  }

  void Take(Batch& out, const Config& config, std::optional<double> score) {
    MarkSeen(config);
    out.proposals.push_back({config, score});
  }

  void ProposeDefault(Batch& out) {
    const Config config = task_.kernel_template().Default(task_.spec(), space_);
    if (out.room() == 0 || seen_.Contains(config)) return;
    const std::vector<float> score = model_.Predict(task_, {&config, 1});
    Take(out, config, score.empty() ? std::nullopt : std::optional<double>(score.front()));
  }

  void ProposeSuggested(Batch& out) {
    std::size_t share = std::min(Share(out, kSuggestedShare), out.room());
    for (const Config& config : suggested_) {
      if (share == 0) return;
      if (seen_.Contains(config)) continue;
      const std::vector<float> score = model_.Predict(task_, {&config, 1});
      Take(out, config, score.empty() ? std::nullopt : std::optional<double>(score.front()));
      --share;
    }
  }

  // Unseen configs, best first by the model; empty: the model has no opinion.
  std::vector<Scored> Ranked(Rng& rng) const {
    std::vector<Scored> ranked = space_.size() <= kRankedWhole ? RankAll() : RankEvolved(rng);
    std::ranges::sort(ranked, Better);
    return ranked;
  }

  std::vector<Scored> RankAll() const {
    std::vector<Config> unseen;
    std::vector<std::uint64_t> indices;
    for (std::uint64_t i = 0; i < space_.size(); ++i) {
      Config config = space_.At(i);
      if (seen_.Contains(config)) continue;
      unseen.push_back(std::move(config));
      indices.push_back(i);
    }
    const std::vector<float> scores = model_.Predict(task_, unseen);
    std::vector<Scored> ranked;
    for (std::size_t i = 0; i < scores.size(); ++i) ranked.push_back({indices[i], scores[i]});
    return ranked;
  }

  std::vector<Scored> RankEvolved(Rng& rng) const {
    std::vector<Config> generation;
    for (const Timed& timed : fastest_) generation.push_back(timed.config);
    while (generation.size() < kPopulation) generation.push_back(space_.Sample(rng));
    std::unordered_map<std::uint64_t, float> scores;
    std::vector<Scored> best;  // of all generations, parents of the next
    for (int i = 0; i < kGenerations; ++i) {
      const std::vector<float> fresh = model_.Predict(task_, generation);
      if (fresh.empty()) return {};
      for (std::size_t k = 0; k < generation.size(); ++k) {
        const Scored scored{space_.IndexOf(generation[k]), fresh[k]};
        if (scores.emplace(scored.index, scored.score).second) best.push_back(scored);
      }
      std::ranges::sort(best, Better);
      generation = NextGeneration(std::span(best).first(std::min(best.size(), kParents)), rng);
    }
    std::erase_if(best, [this](const Scored& s) { return seen_.Contains(space_.At(s.index)); });
    return best;
  }

  std::vector<Config> NextGeneration(std::span<const Scored> parents, Rng& rng) const {
    std::vector<Config> next;
    while (next.size() < kPopulation) {
      const Config mother = space_.At(parents[rng.Below(parents.size())].index);
      const Config father = space_.At(parents[rng.Below(parents.size())].index);
      next.push_back(Breed(mother, father, rng));
    }
    return next;
  }

  // Every knob from either parent, then one to another value; the mother, if nothing legal comes
  // of it.
  Config Breed(const Config& mother, const Config& father, Rng& rng) const {
    const std::span<const Knob> knobs = space_.knobs();
    for (int i = 0; i < kBreedAttempts; ++i) {
      Config child = mother;
      for (std::size_t k = 0; k < knobs.size(); ++k) {
        if (rng.Below(2) == 0) child.choice[k] = father.choice[k];
      }
      const std::size_t k = rng.Below(knobs.size());
      child.choice[k] = static_cast<std::uint16_t>(rng.Below(knobs[k].values.size()));
      if (space_.Contains(child)) return child;
    }
    return mother;
  }

  void Spread(Batch& out, Rng& rng) {
    while (out.room() > 0) Take(out, *LeastUsed(kSpreadCandidates, rng), std::nullopt);
  }

  void Explore(Batch& out, Rng& rng) {
    const std::size_t share = std::min(Share(out, kExploreShare), out.room());
    for (std::size_t i = 0; i < share; ++i) {
      const Config config = *LeastUsed(kExploreCandidates, rng);
      const std::vector<float> score = model_.Predict(task_, {&config, 1});
      Take(out, config, score.empty() ? std::nullopt : std::optional<double>(score.front()));
    }
  }

  // Of some random unseen configs the one whose knob values were used least, each value's uses
  // weighed by how many values its knob has.
  std::optional<Config> LeastUsed(int candidates, Rng& rng) const {
    std::optional<Config> least;
    double fewest = std::numeric_limits<double>::infinity();
    for (int i = 0; i < candidates; ++i) {
      std::optional<Config> config = seen_.SampleUnseen(rng);
      if (!config) break;
      double uses = 0;
      for (std::size_t k = 0; k < uses_.size(); ++k) {
        uses += uses_[k][config->choice[k]] * static_cast<double>(uses_[k].size());
      }
      if (uses >= fewest) continue;
      fewest = uses;
      least = std::move(config);
    }
    return least;
  }

  void Polish(Batch& out) {
    std::vector<Config> neighbours;
    for (std::size_t i = 0; i < std::min(fastest_.size(), kIncumbents); ++i) {
      for (Config& config : space_.Neighbours(fastest_[i].config)) {
        if (!seen_.Contains(config)) neighbours.push_back(std::move(config));
      }
    }
    std::ranges::sort(neighbours);
    neighbours.erase(std::unique(neighbours.begin(), neighbours.end()), neighbours.end());
    const std::vector<float> scores = model_.Predict(task_, neighbours);
    std::vector<Scored> ranked;
    for (std::size_t i = 0; i < scores.size(); ++i) ranked.push_back({i, scores[i]});
    std::ranges::sort(ranked, Better);
    const std::size_t share = std::min({Share(out, kPolishShare), out.room(), ranked.size()});
    for (std::size_t i = 0; i < share; ++i) Take(out, neighbours[ranked[i].index], ranked[i].score);
  }

  void Exploit(Batch& out, std::span<const Scored> ranked) {
    for (const Scored& scored : ranked) {
      if (out.room() == 0) return;
      const Config config = space_.At(scored.index);
      if (seen_.Contains(config) || Twins(out, config) >= kTwinsPerBatch) continue;
      Take(out, config, scored.score);
    }
    for (const Scored& scored : ranked) {  // what is left are twins of this batch
      if (out.room() == 0) return;
      const Config config = space_.At(scored.index);
      if (!seen_.Contains(config)) Take(out, config, scored.score);
    }
  }

  void Fill(Batch& out, Rng& rng) {
    while (out.room() > 0) Take(out, *seen_.SampleUnseen(rng), std::nullopt);
  }

  static std::size_t Share(const Batch& out, double share) {
    return static_cast<std::size_t>(std::lround(share * static_cast<double>(out.wanted)));
  }

  // How many configs of the batch differ from `config` in a single knob.
  static int Twins(const Batch& out, const Config& config) {
    return static_cast<int>(std::ranges::count_if(out.proposals, [&](const Proposal& other) {
      int differing = 0;
      for (std::size_t k = 0; k < config.choice.size(); ++k) {
        differing += config.choice[k] != other.config.choice[k] ? 1 : 0;
      }
      return differing == 1;
    }));
  }

  Task task_;
  ConfigSpace space_;
  const CostModel& model_;
  PolicyOptions options_;
  SeenConfigs seen_;
  std::vector<std::vector<double>> uses_;  // of each value of each knob, by what was seen
  std::vector<Config> suggested_;          // best first
  std::vector<Timed> fastest_;             // best first, at most kParents
};

}  // namespace

std::unique_ptr<SearchPolicy> NewKilnPolicy(const Task& task, const CostModel& model,
                                            const PolicyOptions& options) {
  return std::make_unique<KilnPolicy>(task, model, options);
}

}  // namespace kiln
