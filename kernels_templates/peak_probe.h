#pragma once

#include <memory>

#include "base/status.h"
#include "kernels_templates/task.h"

namespace kiln {

// This is a kernel that does nothing but dots in registers: what it reaches is the machine's
// measured peak, of which other kernels have a share. It is built, run and timed like any other,
// but computes nothing: it is measured with unchecked cases. Its one knob is the number of
// independent accumulators.
StatusOr<Task> PeakProbeTask(const Target& target, std::int32_t threads);

// Multiply-accumulates of one run of the probe with `config`, over all threads.
double PeakProbeMacs(const Task& task, const Config& config);

}  // namespace kiln
