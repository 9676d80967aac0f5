#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tuner/rank_correlation.h"
#include "tuner/search_policy.h"
#include "tuner/tuner.h"

namespace kiln {

// This is how far the tuning of one task has come: its policy, what it may still spend, what the
// trials amount to. What trials say is taken in twice: Record counts them as they arrive, Learn
// uses them in the order of their submission, so that decisions do not depend on who was faster.
// One thread; the policy may be used on another one meanwhile.
class TaskSession {
 public:
  TaskSession(const WeightedTask& task, std::unique_ptr<SearchPolicy> policy, const Budget& budget);

  const Task& task() const { return task_; }
  SearchPolicy& policy() { return *policy_; }
  const TaskProgress& progress() const { return progress_; }
  const std::vector<Trial>& measured() const { return measured_; }  // with a time
  std::int64_t fresh() const { return fresh_; }                     // trials of this run

  // Trials of earlier runs, in stored order. They count against the budget and teach the policy.
  void Restore(std::span<const Trial> history);

  // Trials that this task may still get, at most `wanted`.
  std::int32_t Allowance(std::int32_t wanted) const;
  // `count` trials have been handed to the measurer as a batch of this number.
  std::int64_t BeginBatch(std::size_t count);
  std::int64_t next_batch() const { return next_batch_; }
  // One of them was withdrawn: as if it had never been handed over.
  void TakeBack();
  // One of them could not be made, for no fault of its config.
  void GiveBack(const Status& why);
  // The policy has nothing more to propose.
  void SpaceUsedUp();

  void Record(const Trial& trial);
  void Learn(std::span<const Trial> batch);

  // For MeasurePlan: 1.25 times the incumbent's minimum of 3 samples, as far as learnt; 0: none.
  std::int64_t CutOff() const { return cut_off_ns_; }

  // All but what a confirmation adds, and why the run ended.
  TaskResult Result() const;
  // Why there are no more trials, if it is for this task's own sake: kNone if the budget is why.
  Shortfall WhyNoMore() const;
  // Trials that could not be made: "3 trials could not be made, the last: no device".
  std::string Errors() const;

 private:
  std::string WhyNoBest() const;
  void SeeWhetherFinished();

  const Task task_;
  const std::unique_ptr<SearchPolicy> policy_;
  const Budget budget_;
  TaskProgress progress_;
  std::int64_t next_batch_ = 0;
  std::int64_t fresh_ = 0;
  std::int64_t trials_without_gain_ = 0;
  bool space_used_up_ = false;
  bool no_gain_ = false;  // for as long as the budget allows
  std::int64_t errors_ = 0;
  Status last_error_;
  std::int64_t cut_off_ns_ = 0;

  TaskResult counts_;
  std::vector<Trial> measured_;
  std::vector<double> predicted_, slowness_;  // of the trials that had a prediction
  std::map<std::string, std::int64_t> failures_;
  std::string first_failure_;
};

}  // namespace kiln
