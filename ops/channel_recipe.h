#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/rng.h"
#include "ops/op_data.h"
#include "ops/quantization.h"

namespace kiln {

// The part of the data recipe that draws one output channel.
struct ChannelDraw {
  std::vector<std::int32_t> w;  // [taps], the weight zero point taken off
  std::int32_t bias = 0;
  FixedPoint factor;
};

// The factor of a channel as networks have them for this kind of op: the right shift e grows with
// the number of taps, as trained weights shrink with it.
FixedPoint DrawFactor(const Workload& workload, Rng& rng);

// A channel of a trained network: weights so large that the outputs spread over the range of their
// type and sometimes leave it. With `shared` (pt) its factor is that one, or less where a left
// shift could overflow.
ChannelDraw DrawTrainedChannel(const Workload& workload, std::optional<FixedPoint> shared,
                               Rng& rng);

// The results of requantizing, zero point not added, that the clamp tells apart.
struct ResultRange {
  std::int32_t low = 0, high = 0;
};

// A channel at the edges: weights all at one end, sweeps of consecutive accumulators across zero
// and across rounding ties, biases at ties and at the ends of 32 bits, shifts from small to dead,
// multipliers of 0.
ChannelDraw DrawEdgeChannel(const Workload& workload, ResultRange results,
                            std::optional<FixedPoint> shared, Rng& rng);

}  // namespace kiln
