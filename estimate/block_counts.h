#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "toolchain/estimate_job.h"

namespace kiln {

// Reads what the count plugin wrote (apps/kiln_count_host/count_plugin.c): a line "<offset> <bytes>
// <count>" for each block, then "end". kDataLoss: it wrote no such thing, or not all of it.
StatusOr<std::vector<CountedBlock>> ParseBlockCounts(std::string_view text);

}  // namespace kiln
