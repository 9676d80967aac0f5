#pragma once

#include <string_view>
#include <vector>

#include "kernels_templates/isa/instruction_sets.h"
#include "kernels_templates/loop_program.h"
#include "ops/workload.h"

namespace kiln {

// What a machine does at most, over all the threads that are used: measured with the probes of
// peak_probe.h.
struct MachineLimits {
  // k_dot by each method of the instruction set.
  std::vector<double> dots_per_ns;
  double vectors_per_ns = 0;  // vector instructions of any kind, dots among them
  // Where data are read from, nearest first. What does not fit one level comes from the next.
  struct Level {
    std::string_view name;
    double capacity_bytes = 0;  // of all threads' caches together; the last level holds everything
    double bytes_per_ns = 0;    // read
  };
  std::vector<Level> levels;
};

// How long a layer takes at least, by what it needs of each of the machine's means; the means work
// at the same time, so the scarcest is the bound.
//
//   dots      With lanes L and group G of the instruction set, and o output channels per group of
//             the convolution: every output pixel needs ceil(o / L) vectors of sums, and each of
//             those ceil(taps / G) dots. Taps in the padding do not count: they can be skipped.
//             Depthwise may fill a vector with several pixels, so there it is
//             ceil(pixels * o / L) vectors. Of several methods, the one that is through first.
//   vectors   The dots, and the requantize instructions of each vector of sums.
//   memory    Input pixels that some tap reads, weights and outputs pass once per call. All of that
//             passes the nearest level; what exceeds a level's capacity comes from the one behind.
//
// So the rest of a measured time is not lost to rounding up the reduction or the channels, nor to
// requantizing or memory, but to this schedule: ScheduleBound says how much.
struct AchievableBound {
  double dots_ns = 0, vectors_ns = 0, memory_ns = 0;

  double ns() const;
  std::string_view limit() const;  // which one it is: "dots", "vectors", "memory"
};
AchievableBound LayerBound(const Workload& workload, const InstructionSet& set,
                           const MachineLimits& limits);

// What a stored peak alone says of a machine (db/tuning_store.h, in GOP/s): the dots of each method
// at that rate, and no other limit, so that LayerBound() is its dots. `kiln bench` measures the rest.
MachineLimits LimitsOfPeak(const InstructionSet& set, double peak_gops);

// The same for the instructions of one program (LoopProgram::Count()): its own dots, with tile
// waste, as fast as the fastest method has them; its preparing and requantizing as well; its loads
// from the nearest level. Never below the bound of the layer.
AchievableBound ScheduleBound(const Workload& workload, const OpCounts& counts,
                              const InstructionSet& set, const MachineLimits& limits);

}  // namespace kiln
