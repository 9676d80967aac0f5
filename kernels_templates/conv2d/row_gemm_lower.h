#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels_templates/conv2d/row_gemm.h"
#include "kernels_templates/loop_program.h"

// From a schedule to the program, a part per file: row_gemm_lower.cc has the sizes, the data stages
// and the loops.

namespace kiln {

// What the two kinds of panel differ in.
struct Panel {
  std::string suffix;  // of function names
  std::int32_t vectors = 1;
  std::int32_t channels = 1;  // that exist
};

// The widths of the stores that write so many vectors of a pixel, in order.
std::vector<std::int32_t> StoreGroups(const GemmSchedule& schedule, std::int32_t vectors);

// A call of `name` for a full panel, or of `name`_tail for the last one; `p` is the panel.
std::string PanelCall(const GemmSchedule& schedule, const std::string& name,
                      const std::string& arguments);

// row_gemm_tile.cc: the micro-kernel, called so often, and the second loop of RequantizeAt::kRow.
Function MicroKernel(const GemmSchedule& schedule, const Panel& panel, double calls);
Function RequantizeRow(const GemmSchedule& schedule, const Panel& panel, double tile_calls);

// row_gemm_sums.cc, for a weight zero point: the sums of a block's pixels, and what they are
// written with.
std::string SumsSource(const GemmSchedule& schedule);
Function BlockSums(const GemmSchedule& schedule);

// row_gemm_pack.cc
Function PackPanel(const GemmSchedule& schedule, const Panel& panel);
std::vector<Stmt> PackBody(const GemmSchedule& schedule);

}  // namespace kiln
