#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "apps/kiln/tuner_voice.h"
#include "tuner/tuner.h"

namespace kiln {

// This tells the daemon how the tuning of a job goes, and keeps what its last words need. On the
// tuner's thread.
class JobObserver {
 public:
  // `begun` is said once it is known what is stored.
  JobObserver(TunerVoice& voice, std::span<const WeightedTask> tasks, TunerBegun begun);

  void BeforeRound();
  void Observe(const TuneEvent& event);

  std::int64_t made() const { return made_; }           // trials of this run
  std::size_t confirmed() const { return confirmed_; }  // tasks
  bool all_finished() const;                            // no task can use another trial

 private:
  void TellTrial(const TuneEvent& event);
  void EnterConfirming();

  TunerVoice& voice_;
  const std::span<const WeightedTask> tasks_;
  TunerBegun begun_;
  bool has_begun_ = false, is_confirming_ = false;
  std::int64_t made_ = 0;
  std::size_t confirmed_ = 0;
  std::vector<std::optional<double>> best_ns_;  // by task
  std::vector<bool> finished_;                  // by task
};

}  // namespace kiln
