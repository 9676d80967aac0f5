#pragma once

#include <span>
#include <string>
#include <vector>

#include "db/tuning_store.h"

// What every store does alike, whatever it keeps trials in.

namespace kiln {

// Whether a trial may be stored for this task: TuningStore::Append says what may not.
Status CheckStorable(const Task& task, const Trial& trial);

// What is wrong with an outcome that no store takes; empty: nothing.
std::string FaultOf(const Outcome& outcome);

// Whether a peak may be stored: TuningStore::AppendPeak.
Status CheckStorable(const Peak& peak);

// The trial as it is stored, still without seq.
TrialRecord RecordOf(const Task& task, CacheState cache, const Trial& trial);

// A record of another log as a hint for the task, with its config in the task's present space; nullopt:
// it is of another task, or there is no such config.
std::optional<Trial> HintOf(const Task& task, CacheState cache, TrialRecord record);

// The trials of `records`, all of this task, that its present space and code still mean
// (TuningStore::History), with their configs.
std::vector<Trial> CurrentTrials(const Task& task, std::span<const TrialRecord> records);

}  // namespace kiln
