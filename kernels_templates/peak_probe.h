#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "kernels_templates/task.h"

namespace kiln {

// These are kernels that only find out what a machine can do: the yardsticks of other kernels. They
// are built, run and timed like any other, but compute nothing: they are measured with unchecked
// cases. The best of all configs counts, as disturbances only ever slow a probe down.

// Nothing but dots in registers, by each method of the target's richest instruction set: what the
// fastest reaches is the machine's measured peak, of which other kernels have a share. Their one
// knob is the number of independent accumulators.
StatusOr<std::vector<Task>> PeakProbeTasks(const Target& target, std::int32_t threads);
// Dots of one run of the probe with `config`, over all threads.
double PeakProbeDots(const Task& task, const Config& config);

// Nothing but additions of vectors in registers: how many simple vector instructions a machine
// makes. The same knob.
StatusOr<Task> VectorProbeTask(const Target& target, std::int32_t threads);
// Vector instructions of one run, over all threads.
double VectorProbeInstructions(const Task& task, const Config& config);

// Nothing but reads: every thread reads that many bytes of its own (at least a few KiB; rounded
// down to whole iterations) from end to end, again and again. One config.
StatusOr<Task> ReadProbeTask(const Target& target, std::int32_t threads,
                             std::int64_t bytes_per_thread);
// Bytes that one run reads, over all threads.
double ReadProbeBytes(const Task& task);

}  // namespace kiln
