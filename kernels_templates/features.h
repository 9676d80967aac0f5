#pragma once

#include <cstdint>
#include <span>

#include "kernels_templates/kernel_template.h"
#include "kernels_templates/loop_program.h"

namespace kiln {

// What a schedule does and how it uses the machine, in closed form: each family computes it from
// its knobs without lowering, and a test holds it equal to what Lower() shows. Sizes in bytes.
struct ScheduleSummary {
  OpCounts counts;                     // of one whole run
  double requantize_instructions = 0;  // per vector of results
  double lanes = 1, group = 1;         // of the instruction set
  double tile_h = 1, tile_w = 1,
         tile_c = 1;  // register tile: output rows, columns, vectors of channels
  double unroll = 1;
  double accumulators = 1, registers = 16;
  double computed_outputs = 1;  // tile waste included
  double panel_bytes = 0;       // weights that consecutive tiles share
  double block_bytes = 0;       // activations that consecutive panels share
  double packed_bytes = 0, workspace_bytes = 0;
  double chunks = 1;  // of the phase that computes
  double phases = 1;
  // Schedule choices, numbered as their knobs; -1 where a family has no such choice.
  double order = -1, data_stage = -1, vector_stage = -1, requantize_stage = -1, store = -1,
         method = -1;
};

// Fills kFeatureCount numbers: logarithms of amounts, ratios, choices.
void WriteFeatures(const TaskSpec& spec, const ScheduleSummary& summary, std::span<float> out);

}  // namespace kiln
