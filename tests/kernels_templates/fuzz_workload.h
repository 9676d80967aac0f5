#pragma once

#include <cstdint>

#include "base/rng.h"
#include "ops/workload.h"

namespace kiln {

// A workload of any op, canonical: half of them shaped as the layers of real networks are, half odd;
// every field of the key varies, with few and many channels, images of one pixel, one row or one
// column, large ones with few channels, long kernels, strides beyond the kernel, padding that differs
// from side to side. No more than `most_macs` multiply-accumulates (from 100,000 on), so that a run
// is short.
Workload DrawFuzzWorkload(Rng& rng, std::int64_t most_macs);

}  // namespace kiln
