#include "tuner/task_session.h"

#include <algorithm>
#include <limits>
#include <sstream>

namespace kiln {
namespace {

constexpr double kCutOffFactor = 1.25;  // docs/search.md, the statistic
constexpr std::size_t kCutOffSamples = 3;

std::int64_t CutOffFor(const Timings& incumbent) {
  const std::size_t count = std::min(kCutOffSamples, incumbent.samples_ns.size());
  if (count == 0) return 0;
  const double least =
      *std::min_element(incumbent.samples_ns.begin(),
                        incumbent.samples_ns.begin() + static_cast<std::ptrdiff_t>(count));
  return static_cast<std::int64_t>(kCutOffFactor * least);
}

}  // namespace

TaskSession::TaskSession(const WeightedTask& task, std::unique_ptr<SearchPolicy> policy,
                         const Budget& budget)
    : task_(task.task), policy_(std::move(policy)), budget_(budget) {
  progress_.weight = task.weight;
  progress_.work = static_cast<double>(task_.workload().macs());
  progress_.family = task_.kernel_template().name();
  SeeWhetherFinished();
}

void TaskSession::SeeWhetherFinished() {
  progress_.finished = space_used_up_ || no_gain_ || Allowance(1) == 0;
}

void TaskSession::TakeBack() {
  --progress_.trials;
  SeeWhetherFinished();  // another one may be made in its place
}

void TaskSession::GiveBack(const Status& why) {
  ++errors_;
  last_error_ = why;
  TakeBack();
}

void TaskSession::SpaceUsedUp() {
  space_used_up_ = true;
  SeeWhetherFinished();
}

Shortfall TaskSession::WhyNoMore() const {
  if (!space_used_up_ && !no_gain_) return Shortfall::kNone;
  if (errors_ > 0) return Shortfall::kErrors;
  return space_used_up_ ? Shortfall::kSpaceUsedUp : Shortfall::kNoGain;
}

std::string TaskSession::Errors() const {
  std::ostringstream words;
  words << errors_ << (errors_ == 1 ? " trial" : " trials")
        << " could not be made, the last: " << Message(last_error_);
  return words.str();
}

void TaskSession::Restore(std::span<const Trial> history) {
  counts_.resumed = static_cast<std::int64_t>(history.size());
  progress_.trials = counts_.resumed;
  policy_->Observe(history);
  for (const Trial& trial : history) {
    Record(trial);
    next_batch_ = std::max(next_batch_, trial.batch + 1);
  }
  fresh_ = 0;
  while (!history.empty()) {  // batch by batch, as they were learnt
    const auto end = std::ranges::find_if(
        history, [&](const Trial& t) { return t.batch != history.front().batch; });
    const auto size = static_cast<std::size_t>(end - history.begin());
    Learn(history.first(size));
    history = history.subspan(size);
  }
}

std::int32_t TaskSession::Allowance(std::int32_t wanted) const {
  if (!budget_.trials_per_task) return wanted;
  const std::int64_t left = std::max<std::int64_t>(0, *budget_.trials_per_task - progress_.trials);
  return static_cast<std::int32_t>(std::min<std::int64_t>(wanted, left));
}

std::int64_t TaskSession::BeginBatch(std::size_t count) {
  progress_.trials += static_cast<std::int64_t>(count);
  SeeWhetherFinished();
  return next_batch_++;
}

void TaskSession::Record(const Trial& trial) {
  ++fresh_;
  ++counts_.trials;
  std::optional<double> slowness;
  if (const auto* failure = std::get_if<Failure>(&trial.outcome)) {
    ++counts_.failed;
    ++failures_[Name(failure->kind)];
    if (first_failure_.empty()) first_failure_ = failure->message;
  } else if (const auto* censored = std::get_if<Censored>(&trial.outcome)) {
    ++counts_.censored;
    slowness = censored->bound_ns;
  } else {
    ++counts_.ok;
    slowness = RankTime(trial);
    measured_.push_back(trial);
    if (!counts_.best || *slowness < *RankTime(*counts_.best)) counts_.best = trial;
  }
  if (trial.predicted && slowness) {
    predicted_.push_back(*trial.predicted);
    slowness_.push_back(-*slowness);
  }
}

void TaskSession::Learn(std::span<const Trial> batch) {
  double best = progress_.best_ns.empty() ? std::numeric_limits<double>::infinity()
                                          : progress_.best_ns.back();
  for (const Trial& trial : batch) {
    ++trials_without_gain_;
    const auto time = RankTime(trial);
    if (!time || *time >= best) continue;
    best = *time;
    trials_without_gain_ = 0;
    cut_off_ns_ = CutOffFor(std::get<Timings>(trial.outcome));
  }
  progress_.best_ns.push_back(best);
  no_gain_ |= budget_.early_stop && trials_without_gain_ >= *budget_.early_stop;
  SeeWhetherFinished();
}

TaskResult TaskSession::Result() const {
  TaskResult result = counts_;
  result.rank_correlation = RankCorrelation(predicted_, slowness_);
  if (!result.best) result.note = WhyNoBest();
  return result;
}

std::string TaskSession::WhyNoBest() const {
  if (counts_.trials == 0) return "nothing was tried";
  std::ostringstream note;
  note << "none of " << counts_.trials << " trials gave a time:";
  const char* separator = " ";
  for (const auto& [name, count] : failures_) {
    note << separator << count << " " << name;
    separator = ", ";
  }
  if (counts_.censored > 0) note << separator << counts_.censored << " CENSORED";
  if (!first_failure_.empty()) note << "; the first: " << first_failure_;
  return note.str();
}

}  // namespace kiln
