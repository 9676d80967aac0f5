#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "apps/kiln/job_networks.h"
#include "apps/kiln/job_observer.h"
#include "apps/kiln/rig.h"
#include "apps/kiln/tuning.h"

namespace kiln {

// This is one run of a job: from the daemon's order to the last words about it. Once per program,
// since it listens for SIGTERM.
class JobRun {
 public:
  JobRun(const Environment& env, const TunerOrder& order, TunerVoice& voice);
  JobRun(const JobRun&) = delete;

  // Tunes until the budget is used up, the time is, or SIGTERM comes; says how that went.
  TunerEnded Run();

 private:
  StatusOr<TunerEnded> Tune();
  StatusOr<TunerEnded> TuneWith(TuningPlan plan);
  StatusOr<std::unique_ptr<TuningStore>> OpenJobStore();
  StatusOr<std::unique_ptr<Rig>> MakeRig();
  TuningPlan PlanFor(const Target& target) const;
  TunerEnded Conclude(const TuningPlan& plan, const JobObserver& observer,
                      const std::vector<TaskResult>& results) const;
  TunerEnded Explain(const Status& why) const;
  // What an error of the tuning is to the daemon, by where it came from.
  Status Marked(const Status& error) const;
  bool is_stopped() const { return rig_ != nullptr && rig_->interrupt().requested(); }
  bool is_late() const;

  const Environment env_;
  const TunerOrder& order_;
  TunerVoice& voice_;
  const std::optional<SteadyTime> deadline_;
  JobTasks tasks_;
  std::int64_t made_ = 0;
  mutable std::mutex mutex_;  // guards the two errors, which come from several threads
  Status store_error_, builder_error_;
  std::unique_ptr<TuningStore> store_;
  std::unique_ptr<Rig> rig_;  // last: its threads use the members above
};

}  // namespace kiln
