#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/kiln/rig.h"
#include "db/tuning_store.h"
#include "ops/target.h"
#include "tuner/tuner.h"

namespace kiln {

// All that decides what a tuning does, whoever asks for it: a person (`kiln tune`) or the daemon.
struct TuningPlan {
  Target target;
  CacheState cache = CacheState::kHot;
  std::int32_t threads = 1;  // of the kernels
  std::string policy = "kiln", scheduler = "gradient";
  std::int32_t batch = 16;
  std::uint64_t seed = 0;
  Budget budget;
  // Of one network or several (models/model.h, SharedWorkloads); different from each other.
  std::vector<WeightedTask> tasks;
};

// Nothing is to be measured: what is stored is shown.
bool AllowsNoTrial(const Budget& budget);

// How many trials all tasks can still make or have; 0: there is no telling.
std::int64_t TrialsExpected(const TuningPlan& plan);

// This program as one that adds trials from now on.
Session NewSession(const std::string& command, std::uint64_t seed);

// Measured and stored, or the stored one where nothing is to be measured; 0: there is none, or
// other times have a peak that means nothing.
StatusOr<double> PeakFor(const TuningPlan& plan, Rig& rig, TuningStore& store);

// Tunes as Tuner does, until the budget is used up or the rig is interrupted. `before_round` is
// called often, first when stored trials have been told (kResumed) and before any other event; null:
// nobody cares.
struct TuningObserver {
  std::function<void(const TuneEvent&)> event;
  std::function<void()> before_round = nullptr;
};
StatusOr<std::vector<TaskResult>> RunTuning(const TuningPlan& plan, Rig& rig, TuningStore& store,
                                            const TuningObserver& observer);

}  // namespace kiln
