// Speed and feasibility, learned apart.
//
// Speed: boosted trees over the features of a config's program. The label is log(best/time), best
// being the fastest trial of the same task so far: dimensionless, 0 for the incumbent. Trained
// pairwise, only the order of the labels within a task counts, so one model serves a 20 us and a
// 20 ms layer. A censored trial is known to be slower than its bound: it is taught the bound, which
// puts it behind the incumbent that it lost to. A bound that is no longer worse than the best says
// nothing and is left out.
//
// Feasibility: whether a config compiles, runs and is right has no place on a time axis. Once there
// are failures, a second small booster learns P(works), and log P(works) is added to the score: a
// config that surely works keeps its place, one that surely fails falls behind everything.
//
// Times of different kinds (measured, estimated) are groups of their own. Estimates of a task are a
// beginning: they are left out as soon as there are enough other trials of it.
//
// A ranking has no zero. Scores are given relative to the task's first trial (the untuned default,
// as a rule), so that those of different fits may be compared.

#include <algorithm>
#include <cmath>
#include <deque>
#include <iterator>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cost_model/booster.h"
#include "cost_model/cost_model.h"
#include "cost_model/feature_rows.h"

namespace kiln {
namespace {

// A config 50 times slower than the best needs no finer distinction.
constexpr double kWorstLabel = -3.9;
constexpr std::size_t kEnoughRealTrials = 32;
constexpr std::int32_t kFeasibilityRounds = 40;
constexpr std::int32_t kFeasibilityDepth = 4;

// What one trial taught.
struct Row {
  enum class Kind : std::uint8_t { kTimed, kBound, kFailed };
  std::size_t group = 0;  // of a task and a kind of times
  std::size_t task = 0;
  bool estimated = false;
  Kind kind = Kind::kTimed;
  double ns = 0;  // time or bound
  std::vector<float> features;
};

std::optional<Row> RowOf(const Trial& trial) {
  Row row;
  if (const auto* timings = std::get_if<Timings>(&trial.outcome)) {
    row.ns = timings->min_ns();
  } else if (const auto* censored = std::get_if<Censored>(&trial.outcome)) {
    row.kind = Row::Kind::kBound;
    row.ns = censored->bound_ns;
  } else if (std::get<Failure>(trial.outcome).kind != FailureKind::kDeviceLost) {
    row.kind = Row::Kind::kFailed;
    return row;
  }
  if (row.ns <= 0) return std::nullopt;
  return row;
}

// Without the estimates that are no longer needed.
std::deque<Row> RowsToLearn(const std::deque<Row>& rows) {
  std::map<std::size_t, std::size_t> real;
  for (const Row& row : rows) real[row.task] += row.estimated ? 0 : 1;
  std::deque<Row> kept;
  std::ranges::copy_if(rows, std::back_inserter(kept), [&real](const Row& row) {
    return !row.estimated || real[row.task] < kEnoughRealTrials;
  });
  return kept;
}

// Rows by group, in order of arrival: what a ranking objective wants, and any other accepts.
std::vector<const Row*> ByGroup(const std::deque<Row>& rows) {
  std::vector<const Row*> sorted;
  sorted.reserve(rows.size());
  for (const Row& row : rows) sorted.push_back(&row);
  std::ranges::stable_sort(sorted, {}, &Row::group);
  return sorted;
}

TrainingSet SpeedSet(const std::deque<Row>& rows) {
  std::map<std::size_t, double> best;
  for (const Row& row : rows) {
    if (row.kind != Row::Kind::kTimed) continue;
    const auto [it, inserted] = best.try_emplace(row.group, row.ns);
    if (!inserted) it->second = std::min(it->second, row.ns);
  }
  TrainingSet set{kFeatureCount, {}, {}, {}};
  std::optional<std::size_t> group;
  for (const Row* row : ByGroup(rows)) {
    const auto found = best.find(row->group);
    if (row->kind == Row::Kind::kFailed || found == best.end()) continue;
    if (row->kind == Row::Kind::kBound && row->ns <= found->second) continue;
    if (group != row->group) set.groups.push_back(0);
    group = row->group;
    ++set.groups.back();
    set.rows.insert(set.rows.end(), row->features.begin(), row->features.end());
    set.labels.push_back(
        static_cast<float>(std::max(kWorstLabel, std::log(found->second / row->ns))));
  }
  return set;
}

TrainingSet FeasibilitySet(const std::deque<Row>& rows) {
  TrainingSet set{kFeatureCount, {}, {}, {}};
  for (const Row& row : rows) {
    set.rows.insert(set.rows.end(), row.features.begin(), row.features.end());
    set.labels.push_back(row.kind == Row::Kind::kFailed ? 0.0F : 1.0F);
  }
  return set;
}

// log of the logistic function.
double LogSigmoid(double margin) {
  return margin < 0 ? margin - std::log1p(std::exp(margin)) : -std::log1p(std::exp(-margin));
}

class XgboostCostModel final : public CostModel {
 public:
  explicit XgboostCostModel(const XgboostOptions& options) : options_(options) {}

  void Add(const Task& task, std::span<const Trial> trials) override {
    absl::MutexLock lock(&mutex_);
    const std::size_t id = task_ids_.try_emplace(task.Key(), task_ids_.size()).first->second;
    constexpr std::size_t kKinds = 3;
    if (!trials.empty()) anchors_.try_emplace(task.Key(), trials.front().config);
    for (const Trial& trial : trials) {
      std::optional<Row> row = RowOf(trial);
      if (!row) continue;
      row->group = id * kKinds + static_cast<std::size_t>(trial.kind);
      row->task = id;
      row->estimated = trial.kind == TimeKind::kEstimated;
      row->features.resize(kFeatureCount);
      task.Features(trial.config, row->features);
      rows_.push_back(*std::move(row));
      if (rows_.size() > options_.max_rows) rows_.pop_front();
    }
  }

  Status Fit() override {
    absl::MutexLock fitting(&fit_mutex_);
    std::deque<Row> rows;
    {
      absl::MutexLock lock(&mutex_);
      rows = RowsToLearn(rows_);
    }
    TrainingSet speed = SpeedSet(rows);
    if (speed.labels.size() < options_.min_rows) return absl::OkStatus();
    Trees trees;
    ASSIGN_OR_RETURN(trees.speed, TrainSpeed(std::move(speed)));
    const auto failed = [](const Row& row) { return row.kind == Row::Kind::kFailed; };
    if (std::ranges::any_of(rows, failed)) {
      ASSIGN_OR_RETURN(trees.feasibility, TrainFeasibility(FeasibilitySet(rows)));
    }
    absl::MutexLock lock(&mutex_);
    trees_ = std::move(trees);
    return absl::OkStatus();
  }

  std::vector<float> Predict(const Task& task, std::span<const Config> configs) const override {
    Trees trees;
    std::optional<Config> anchor;
    {
      absl::MutexLock lock(&mutex_);
      trees = trees_;
      const auto found = anchors_.find(task.Key());
      if (found != anchors_.end()) anchor = found->second;
    }
    if (trees.speed == nullptr || configs.empty()) return {};
    std::vector<float> scores = Score(trees, FeatureRows(task, configs));
    if (!anchor) return scores;
    const auto zero = trees.speed->Predict(FeatureRows(task, {&*anchor, 1}), kFeatureCount);
    if (!zero.ok()) return {};
    for (float& score : scores) score -= zero->front();
    return scores;
  }

 private:
  struct Trees {
    std::shared_ptr<const Booster> speed, feasibility;
  };

  // Empty if XGBoost fails: no opinion.
  static std::vector<float> Score(const Trees& trees, std::span<const float> rows) {
    auto scores = trees.speed->Predict(rows, kFeatureCount);
    if (!scores.ok()) return {};
    if (trees.feasibility == nullptr) return *std::move(scores);
    const auto margins = trees.feasibility->Predict(rows, kFeatureCount);
    if (!margins.ok()) return {};
    for (std::size_t i = 0; i < scores->size(); ++i) {
      (*scores)[i] += static_cast<float>(LogSigmoid((*margins)[i]));
    }
    return *std::move(scores);
  }

  StatusOr<std::shared_ptr<const Booster>> TrainSpeed(TrainingSet set) const {
    const bool ranks = options_.objective == XgboostOptions::Objective::kPairwise;
    if (!ranks) set.groups.clear();
    BoosterOptions options = Common(options_.max_depth, options_.eta);
    options.rounds = options_.rounds;
    options.parameters.emplace_back("objective", ranks ? "rank:pairwise" : "reg:squarederror");
    options.parameters.emplace_back("base_score", "0");
    return Booster::Train(set, options);
  }

  StatusOr<std::shared_ptr<const Booster>> TrainFeasibility(const TrainingSet& set) const {
    BoosterOptions options = Common(kFeasibilityDepth, 0.3);
    options.rounds = kFeasibilityRounds;
    options.parameters.emplace_back("objective", "binary:logistic");
    return Booster::Train(set, options);
  }

  BoosterOptions Common(std::int32_t depth, double eta) const {
    BoosterOptions options;
    options.parameters = {{"tree_method", "hist"},
                          {"max_depth", std::to_string(depth)},
                          {"eta", std::to_string(eta)}};
    options.seed = options_.seed;
    return options;
  }

  const XgboostOptions options_;
  absl::Mutex fit_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);  // one fit at a time
  mutable absl::Mutex mutex_;
  std::map<std::string, std::size_t> task_ids_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Config> anchors_ ABSL_GUARDED_BY(mutex_);  // the first trial of each task
  std::deque<Row> rows_ ABSL_GUARDED_BY(mutex_);
  Trees trees_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<CostModel> NewXgboostCostModel(const XgboostOptions& options) {
  return std::make_unique<XgboostCostModel>(options);
}

}  // namespace kiln
