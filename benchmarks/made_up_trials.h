#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "db/tuning_store.h"
#include "kernels_templates/task.h"

// Tasks and trials that nobody measured, for what the database costs.

namespace kiln {

// A conv2d of a size of its own, so that each is a task of its own.
inline Task TaskOf(const TemplateRegistry& registry, int number) {
  TaskSpec spec;
  spec.workload.h = spec.workload.w = 14;
  spec.workload.c = 256;
  spec.workload.o = 64 + 16 * number;
  spec.workload.kh = spec.workload.kw = 3;
  spec.workload.pad_top = spec.workload.pad_left = 1;
  spec.workload.pad_bottom = spec.workload.pad_right = 1;
  spec.target.name = "benchmark";
  return *Task::Create(registry, spec);
}

// At most `count`: no config twice.
inline std::vector<Trial> TrialsOf(const Task& task, std::uint64_t count) {
  Rng rng(1);
  std::vector<Trial> trials;
  for (std::uint64_t i = 0; i < std::min(count, task.space().size()); ++i) {
    Trial trial;
    trial.uuid = task.Key() + "/" + std::to_string(i);
    trial.config = task.space().At(i);
    trial.code_digest = task.Emit(trial.config)->code_digest;
    Timings timings;
    for (int s = 0; s < 10; ++s) timings.samples_ns.push_back(1e5 * (1 + rng.Unit()));
    trial.outcome = timings;
    trial.device = "benchmark";
    trials.push_back(std::move(trial));
  }
  return trials;
}

// Ends the program unless all is well.
inline void Check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", Message(status).c_str());
  std::exit(1);
}

}  // namespace kiln
