#pragma once

#include <cstdint>

#include "base/status.h"
#include "ops/workload.h"

namespace kiln {

// The output of an operator as its source says it: a model's tensor, a table's row, an
// architecture. Images of h x w x o; dense: n rows of o.
struct OutputSizes {
  std::int64_t n = 1, h = 1, w = 1, o = 1;
  bool operator==(const OutputSizes&) const = default;
};

// What the numbers of an operator say that need not be canonical, or even possible (then 0).
OutputSizes OutputSizesOf(const Workload& given);

// Every importer asks this of every layer, once its workload is canonical: that the computation
// that the key names has the source's output. kInvalidArgument says how the two differ.
Status CheckOutput(const Workload& canonical, const OutputSizes& wanted);

}  // namespace kiln
