#pragma once

#include <cstddef>
#include <vector>

#include "apps/kiln/command.h"
#include "daemon/job_spec.h"
#include "daemon/tuner_messages.h"
#include "models/model.h"
#include "tuner/tuner.h"

namespace kiln {

// What a job tunes: its networks, and the tasks of their workloads, each once, with what it counts
// over all networks. `workloads` is in the order of `tasks`.
struct JobTasks {
  std::vector<WeightedNetwork> networks;
  std::vector<SharedWorkload> workloads;
  std::vector<WeightedTask> tasks;
  std::size_t unsupported = 0;  // workloads that no template serves
};

// The networks of a spec, from built-in ones and files that are what they were when the job was
// submitted. Errors are marked (job_trouble.h).
StatusOr<std::vector<WeightedNetwork>> ReadNetworks(const JobSpec& spec);

// Their tasks. An error: there is none.
StatusOr<JobTasks> MakeJobTasks(const TemplateRegistry& registry,
                                std::vector<WeightedNetwork> networks, const Target& target,
                                std::int32_t threads);

// Leaves the tasks whose best, of this state of the caches, is of code that nobody makes any more.
Status KeepStale(const Environment& env, const TuningStore& store, CacheState cache,
                 JobTasks& tasks);

// The time of each network before and after, over its tasks that have both; `results` is in the
// order of the tasks, or empty where nothing is known.
std::vector<NetworkTimes> TimesOf(const JobTasks& tasks, const std::vector<TaskResult>& results);

}  // namespace kiln
