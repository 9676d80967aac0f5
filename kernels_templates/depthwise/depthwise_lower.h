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

// depthwise_tile.cc: the micro-kernel for tiles like those of `variant`, from operands to stores
// (or to the buffer of sums). Accumulators() names those of an output.
std::vector<Stmt> TileBody(const DepthwiseSchedule& schedule, const TileRun& variant);
Stmt StoreOutput(const DepthwiseSchedule& schedule, std::int32_t th, std::int32_t tw);
std::string Accumulators(std::int32_t th, std::int32_t tw);

// depthwise_runs.cc: a function for each variant. With channels inside a call computes all blocks
// of one column of tiles, with channels outside a run of tiles of one block (named `b` where it is
// called).
std::vector<Function> TileFunctions(const DepthwiseSchedule& schedule, const TileRuns& runs);
Stmt CallTiles(const DepthwiseSchedule& schedule, const TileRuns& runs, std::size_t run);
Stmt CallFinish(const DepthwiseSchedule& schedule, const TileRuns& runs,
                std::size_t run);  // conv stage row

// depthwise_stages.cc: what happens around the tiles.
std::vector<Function> StageFunctions(const DepthwiseSchedule& schedule, const TileRuns& runs);
std::vector<LoopProgram::Phase> Phases(const DepthwiseSchedule& schedule);
// C that declares what the loop over chunks needs, and that sets up chunk `chunk` in it: `image`,
// `top` and the pointers `row` of the window's rows.
std::string WindowRows(const DepthwiseSchedule& schedule);
std::string ChunkRows(const DepthwiseSchedule& schedule);
// The same for stack `stack`: `row` has all rows from the first window's first to the last's last.
std::string StackRows(const DepthwiseSchedule& schedule);

// depthwise_pack.cc
Function PackFunction(const DepthwiseSchedule& schedule);
std::vector<Stmt> PackBody();

}  // namespace kiln
