#pragma once

#include <string>
#include <vector>

#include "kernels_templates/depthwise/depthwise_schedule.h"
#include "kernels_templates/loop_program.h"

// From a schedule to the program. Sizes become #defines, so that the code reads like the schedule;
// what the micro-kernel keeps in registers is spelled out.

namespace kiln {

LoopProgram LowerDepthwise(const DepthwiseSchedule& schedule);

// Its parts, a file each.

// The runs of a row of tiles, and which function computes each: those with the same columns in the
// image share one.
struct TileRuns {
  explicit TileRuns(const DepthwiseSchedule& schedule);
  std::vector<TileRun> runs;
  std::vector<std::size_t> variant;  // of each run: an index of `variants`
  std::vector<TileRun> variants;     // a run that stands for it
};

// depthwise_tile.cc: the micro-kernels. A function computes a run: with channels inside all blocks
// of one column of tiles, with channels outside all tiles of one block.
std::vector<Function> TileFunctions(const DepthwiseSchedule& schedule, const TileRuns& runs);
// The call for run `i`; `b` names the block in the order with channels outside.
Stmt CallTiles(const DepthwiseSchedule& schedule, const TileRuns& runs, std::size_t i);
Stmt CallFinish(const DepthwiseSchedule& schedule, const TileRuns& runs,
                std::size_t i);  // conv stage row

// depthwise_stages.cc: what happens around the tiles.
std::vector<Function> StageFunctions(const DepthwiseSchedule& schedule, const TileRuns& runs);
std::vector<LoopProgram::Phase> Phases(const DepthwiseSchedule& schedule);

// depthwise_pack.cc
std::vector<Stmt> PackBody(const DepthwiseSchedule& schedule);

}  // namespace kiln
