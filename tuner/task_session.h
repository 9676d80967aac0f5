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
  // One of them could not be made, for no fault of its config.
  void GiveBack() { --progress_.trials; }
  // The policy has nothing more to propose.
  void SpaceUsedUp() { progress_.finished = true; }

  void Record(const Trial& trial);
  void Learn(std::span<const Trial> batch);

  // For MeasurePlan: 1.25 times the incumbent's minimum of 3 samples, as far as learnt; 0: none.
  std::int64_t CutOff() const { return cut_off_ns_; }

  // All but what a confirmation adds.
  TaskResult Result() const;

 private:
  std::string WhyNoBest() const;

  const Task task_;
  const std::unique_ptr<SearchPolicy> policy_;
  const Budget budget_;
  TaskProgress progress_;
  std::int64_t next_batch_ = 0;
  std::int64_t fresh_ = 0;
  std::int64_t trials_without_gain_ = 0;
  std::int64_t cut_off_ns_ = 0;

  TaskResult counts_;
  std::vector<Trial> measured_;
  std::vector<double> predicted_, slowness_;  // of the trials that had a prediction
  std::map<std::string, std::int64_t> failures_;
  std::string first_failure_;
};

}  // namespace kiln
