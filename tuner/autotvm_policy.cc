// AutoTVM's XGBTuner (Chen et al., NeurIPS 2018; TVM 0.9), the baseline that Kiln's search is
// measured against. Written from its description, constants in docs/search.md.
//
// The first 64 trials are random. After every 64 trials the model is trained from scratch, and
// simulated annealing on it makes a plan of 64 configs: 128 points, which persist from plan to
// plan, walk in parallel for up to 500 steps; a step changes one random knob of every point; the 64
// best unvisited configs seen on the way, kept in a heap, are the plan. Its last 5% are replaced by
// random configs. What differs: its spaces have no constraints, so a step here draws until the new
// config is legal (a few times, else the point stays).

#include <algorithm>
#include <cmath>
#include <set>

#include "tuner/policies.h"
#include "tuner/seen_configs.h"

namespace kiln {
namespace {

constexpr std::size_t kPlanSize = 64;
constexpr std::size_t kRandomTail = 3;  // 5% of the plan, rounded down
constexpr std::size_t kPoints = 128;
constexpr int kSteps = 500;
constexpr int kStepsWithoutChange = 50;
constexpr int kStepAttempts = 16;

// A config on its way into the plan: the better first, ties by index.
struct Candidate {
  float score = 0;
  std::uint64_t index = 0;
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.index < b.index;
  }
};

// The best kPlanSize distinct candidates so far.
class TopHeap {
 public:
  // Whether the candidate entered.
  bool Offer(const Candidate& candidate) {
    if (members_.contains(candidate.index)) return false;
    if (best_.size() == kPlanSize) {
      const auto worst = std::prev(best_.end());
      if (candidate.score <= worst->score) return false;
      members_.erase(worst->index);
      best_.erase(worst);
    }
    best_.insert(candidate);
    members_.insert(candidate.index);
    return true;
  }
  const std::set<Candidate>& best() const { return best_; }

 private:
  std::set<Candidate> best_;
  std::set<std::uint64_t> members_;
};

class AutotvmPolicy final : public SearchPolicy {
 public:
  AutotvmPolicy(const Task& task, const PolicyOptions& options)
      : task_(task),
        options_(options),
        seen_(task.space()),
        model_(NewAutotvmCostModel(
            {.plan_size = static_cast<std::int32_t>(kPlanSize), .seed = options.seed})) {}

  std::vector<Proposal> Propose(std::int64_t batch, std::int32_t count) override {
    Rng rng = BatchStream(options_.seed, task_, batch);
    if (observed_ >= kPlanSize * (fits_ + 1)) Replan(rng);
    std::vector<Proposal> proposals;
    while (static_cast<std::int32_t>(proposals.size()) < count) {
      std::optional<Proposal> next = NextOfPlan();
      if (!next) {
        const std::optional<Config> random = seen_.SampleUnseen(rng);
        if (!random) break;
        next = Proposal{*random, std::nullopt};
      }
      seen_.Insert(next->config);
      proposals.push_back(*std::move(next));
    }
    return proposals;
  }

  void Observe(std::span<const Trial> trials) override {
    for (const Trial& trial : trials) seen_.Insert(trial.config);
    model_->Add(task_, trials);
    observed_ += trials.size();
  }

 private:
  // nullopt: the plan is down to its random tail.
  std::optional<Proposal> NextOfPlan() {
    while (next_ + kRandomTail < plan_.size()) {
      Proposal proposal = plan_[next_++];
      if (!seen_.Contains(proposal.config)) return proposal;
    }
    return std::nullopt;
  }

  void Replan(Rng& rng) {
    fits_ = observed_ / kPlanSize;
    // A model that could not be trained leaves the search random, as before the first plan.
    if (!model_->Fit().ok()) return;
    plan_.clear();
    next_ = 0;
    const TopHeap top = Anneal(rng);
    for (const Candidate& candidate : top.best()) {
      plan_.push_back({task_.space().At(candidate.index), candidate.score});
    }
  }

  TopHeap Anneal(Rng& rng) {
    while (points_.size() < kPoints) points_.push_back(task_.space().Sample(rng));
    TopHeap top;
    std::vector<float> scores = model_->Predict(task_, points_);
    if (scores.empty()) return top;  // nothing worked yet
    OfferUnseen(top, points_, scores);
    int last_change = 0;
    for (int step = 0; step < kSteps && step < last_change + kStepsWithoutChange; ++step) {
      const double temperature = 1.0 - static_cast<double>(step) / (kSteps + 1);
      std::vector<Config> moved;
      for (const Config& point : points_) moved.push_back(Step(point, rng));
      const std::vector<float> moved_scores = model_->Predict(task_, moved);
      for (std::size_t i = 0; i < moved.size(); ++i) {
        const double gain = static_cast<double>(moved_scores[i]) - scores[i];
        if (rng.Unit() >= std::exp(std::min(gain / (temperature + 1e-5), 1.0))) continue;
        points_[i] = moved[i];
        scores[i] = moved_scores[i];
      }
      if (OfferUnseen(top, moved, moved_scores)) last_change = step;
    }
    return top;
  }

  bool OfferUnseen(TopHeap& top, std::span<const Config> configs, std::span<const float> scores) {
    bool changed = false;
    for (std::size_t i = 0; i < configs.size(); ++i) {
      if (seen_.Contains(configs[i])) continue;
      changed |= top.Offer({scores[i], task_.space().IndexOf(configs[i])});
    }
    return changed;
  }

  // One random knob to another random value.
  Config Step(const Config& from, Rng& rng) const {
    const std::span<const Knob> knobs = task_.space().knobs();
    for (int i = 0; i < kStepAttempts && !knobs.empty(); ++i) {
      const std::size_t k = rng.Below(knobs.size());
      Config to = from;
      to.choice[k] = static_cast<std::uint16_t>(rng.Below(knobs[k].values.size()));
      if (to != from && task_.space().Contains(to)) return to;
    }
    return from;
  }

  Task task_;
  PolicyOptions options_;
  SeenConfigs seen_;
  std::unique_ptr<CostModel> model_;
  std::vector<Config> points_;  // of the annealing; persist between plans
  std::vector<Proposal> plan_;  // best first
  std::size_t next_ = 0;        // into plan_
  std::size_t observed_ = 0;
  std::size_t fits_ = 0;  // how many plans' worth of trials the model has been trained on
};

}  // namespace

std::unique_ptr<SearchPolicy> NewAutotvmPolicy(const Task& task, const PolicyOptions& options) {
  return std::make_unique<AutotvmPolicy>(task, options);
}

}  // namespace kiln
