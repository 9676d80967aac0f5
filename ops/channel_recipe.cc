// Sizes of weights. An accumulator is the sum of `taps` products of an input (root mean square
// about kInputRms, see data_recipe.cc) and a weight, so it spreads by kInputRms * rms(w) *
// sqrt(taps). The output spreads by that times the factor, which is about 3/4 * 2^-e. Wanted is an
// output spread that fills the type's range; so a trained channel has
//   rms(w) = output spread * 4/3 * 2^e / (kInputRms * sqrt(taps)).
// All arithmetic is on integers: every machine draws the same. So must every compiler: no
// expression draws twice unless C++ says which comes first or the order does not matter.

#include "ops/channel_recipe.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <limits>

namespace kiln {
namespace {

constexpr std::int64_t kInputRms = 60;
constexpr std::int64_t kTypicalWeightRms = 32;
constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();
// Of an accumulator, half for the products and less than half for the bias.
constexpr std::int64_t kProductsLimit = std::int64_t{1} << 30;
constexpr std::int64_t kBiasLimit = kProductsLimit - (std::int64_t{1} << 20);

std::int64_t SquareRoot(std::int64_t value) {
  std::int64_t root = 0;
  for (std::int64_t bit = std::int64_t{1} << 31; bit > 0; bit >>= 1) {
    if ((root + bit) * (root + bit) <= value) root += bit;
  }
  return root;
}

std::int32_t FloorLog2(std::int64_t value) {
  std::int32_t log = 0;
  while (value > 1) value >>= 1, ++log;
  return log;
}

bool HasRelu(const Workload& workload) { return workload.act != Activation::kNone; }

std::int64_t OutputSpread(const Workload& workload) { return HasRelu(workload) ? 80 : 56; }

// kInputRms * sqrt(taps), with 4 fractional bits.
std::int64_t InputSpread16(const Workload& workload) {
  return kInputRms * SquareRoot(workload.taps() * 256);
}

std::int64_t AccumulatorSpread(const Workload& workload, std::int32_t shift) {
  const std::int64_t at_one = OutputSpread(workload) * 4 / 3;
  return shift <= 0 ? at_one << std::min(-shift, 16) : std::max<std::int64_t>(1, at_one >> shift);
}

// The weights at both ends that the class has and that keep sums inside of kProductsLimit whatever
// the input.
struct WeightRange {
  std::int32_t low, high;
};
WeightRange SafeWeights(const Workload& workload) {
  const std::int64_t safe = kProductsLimit / (255 * workload.taps());
  const std::int64_t high = workload.weight_zero_point ? 255 : 127;
  const std::int64_t low = workload.weight_zero_point ? high : -workload.lowest_weight();
  return {static_cast<std::int32_t>(-std::min(low, safe)),
          static_cast<std::int32_t>(std::min(high, safe))};
}

// Where a layer has one weight zero point, few of its channels have a weight further than a signed
// byte from it: one of every kFarChannels, as in TFLite's legacy MobileNets and their embedding
// extractor (of the blocks of 64 depthwise channels of those, 50 of 214 have such a weight).
std::int64_t TrainedLimit(const Workload& workload, Rng& rng) {
  constexpr std::uint64_t kFarChannels = 256;
  const std::int64_t safe = SafeWeights(workload).high;
  if (!workload.weight_zero_point || rng.Below(kFarChannels) == 0) return safe;
  return std::min<std::int64_t>(safe, std::numeric_limits<std::int8_t>::max());
}

// Weights spread evenly over -largest..largest; eight to a random number.
std::vector<std::int32_t> EvenWeights(std::int64_t taps, std::int32_t largest, Rng& rng) {
  std::vector<std::int32_t> w(static_cast<std::size_t>(taps));
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < w.size(); ++i, bits >>= 8) {
    if (i % 8 == 0) bits = rng.Next();
    // NOLINTNEXTLINE(bugprone-signed-char-misuse): with its sign
    const std::int32_t byte = static_cast<std::int8_t>(bits & 0xFF);
    w[i] = (std::max(byte, -127) * largest * 129 + 8192) >> 14;  // byte * largest / 127, rounded
  }
  return w;
}

// Mostly zeros: of 65,536 weights `density` are in -3..3.
std::vector<std::int32_t> SparseWeights(std::int64_t taps, std::uint64_t density, Rng& rng) {
  std::vector<std::int32_t> w(static_cast<std::size_t>(taps), 0);
  for (std::int32_t& weight : w) {
    const std::uint64_t bits = rng.Next();
    if ((bits & 0xFFFF) < density) weight = static_cast<std::int32_t>((bits >> 16) % 7) - 3;
  }
  return w;
}

// Weights with the given root mean square, which has 8 fractional bits.
std::vector<std::int32_t> WeightsOfRms(const Workload& workload, std::int64_t rms256, Rng& rng) {
  constexpr std::int64_t kSparseRms = 2;  // of -3..3
  if (rms256 < kSparseRms * 256) {
    const auto density = static_cast<std::uint64_t>(rms256 * rms256 / (kSparseRms * kSparseRms));
    return SparseWeights(workload.taps(), std::max<std::uint64_t>(density, 64), rng);
  }
  const std::int64_t largest = rms256 * 7 / 4 / 256;  // an even spread has rms largest / sqrt(3)
  return EvenWeights(
      workload.taps(),
      static_cast<std::int32_t>(std::min<std::int64_t>(largest, TrainedLimit(workload, rng))), rng);
}

std::int64_t SumOfMagnitudes(const std::vector<std::int32_t>& w) {
  std::int64_t sum = 0;
  for (const std::int32_t weight : w) sum += std::abs(weight);
  return sum;
}

// acc << shift must fit 32 bits.
void LimitLeftShift(ChannelDraw& channel) {
  const std::int64_t bound =
      255 * SumOfMagnitudes(channel.w) + std::abs(std::int64_t{channel.bias});
  while (channel.factor.shift > 0 && bound > kInt32Max >> channel.factor.shift) {
    --channel.factor.shift;
  }
}

std::int32_t DrawMultiplier(Rng& rng) {
  return static_cast<std::int32_t>(rng.Between(std::int64_t{1} << 30, kInt32Max));
}

// An accumulator where the result is exactly, or as nearly as the multiplier allows, between two
// integers of which one at least survives the clamp.
std::int32_t TieAccumulator(FixedPoint factor, ResultRange results, Rng& rng) {
  // With large shifts 1/2 is all that 32 bits reach.
  const bool far = factor.shift <= -22;
  const std::int64_t below = far ? rng.Between(-1, 0) : rng.Between(results.low - 1, results.high);
  const std::int64_t halves = 2 * below + 1;
  if (factor.multiplier == 0 || factor.shift > 0) return static_cast<std::int32_t>(halves);
  const std::int64_t acc = halves * (std::int64_t{1} << (30 - factor.shift)) / factor.multiplier;
  return static_cast<std::int32_t>(std::clamp(acc, -kBiasLimit, kBiasLimit));
}

FixedPoint DrawEdgeFactor(const Workload& workload, Rng& rng) {
  const bool integer_form = workload.rq != RequantizeForm::kGen;
  // Exact powers of two make exact ties.
  const std::int32_t multiplier = rng.Below(2) == 0 ? std::int32_t{1} << 30 : DrawMultiplier(rng);
  switch (rng.Below(8)) {
    case 0:
    case 1:
      return {multiplier, static_cast<std::int32_t>(rng.Between(-3, -1))};
    case 2:
      return {multiplier, static_cast<std::int32_t>(rng.Between(-16, -10))};
    case 3:
      return {multiplier, static_cast<std::int32_t>(rng.Between(-31, -20))};
    case 4:
      return {};
    case 5:
      return {multiplier, integer_form ? -1 : static_cast<std::int32_t>(rng.Between(0, 6))};
    default:
      return DrawFactor(workload, rng);
  }
}

std::vector<std::int32_t> DrawEdgeWeights(const Workload& workload, Rng& rng) {
  const auto [lowest, largest] = SafeWeights(workload);
  std::vector<std::int32_t> w(static_cast<std::size_t>(workload.taps()), 0);
  switch (rng.Below(8)) {
    case 0:
      std::fill(w.begin(), w.end(), largest);
      return w;
    case 1:
      std::fill(w.begin(), w.end(), lowest);
      return w;
    case 2:
      for (std::int32_t& weight : w) weight = rng.Below(2) == 0 ? largest : lowest;
      return w;
    case 3:
    case 4:  // accumulators are consecutive numbers
      w[rng.Below(w.size())] = rng.Below(2) == 0 ? 1 : -1;
      return w;
    case 5:  // every accumulator is the bias
      return w;
    default:
      return EvenWeights(workload.taps(), largest, rng);
  }
}

// Half of the channels of a workload whose weights may be -128 have one.
void UseFullRange(const Workload& workload, Rng& rng, std::vector<std::int32_t>& w) {
  if (!workload.full_range_weights || rng.Below(2) == 0) return;
  w[rng.Below(w.size())] = SafeWeights(workload).low;
}

std::int32_t DrawEdgeBias(FixedPoint factor, ResultRange results, Rng& rng) {
  switch (rng.Below(8)) {
    case 0:
      return static_cast<std::int32_t>(kBiasLimit);
    case 1:
      return static_cast<std::int32_t>(-kBiasLimit);
    case 2:
    case 3:
      return static_cast<std::int32_t>(rng.Between(-2, 2));
    default: {  // at a tie, half of the time, or beside it
      const std::int32_t tie = TieAccumulator(factor, results, rng);
      return tie + static_cast<std::int32_t>(rng.Between(-1, 2) % 2);
    }
  }
}

}  // namespace

FixedPoint DrawFactor(const Workload& workload, Rng& rng) {
  const bool linear = !HasRelu(workload) && workload.op != OpKind::kDepthwise;
  const std::int32_t natural = FloorLog2(InputSpread16(workload) * kTypicalWeightRms /
                                         (16 * OutputSpread(workload) * 4 / 3));
  std::int32_t e = natural + static_cast<std::int32_t>(rng.Between(-1, 1) + rng.Between(-1, 1));
  if (linear) {
    e = std::clamp(e + 1, 8, 11);
  } else {
    e = std::clamp(e, workload.op == OpKind::kDepthwise ? 1 : 2, 9);
  }
  const FixedPoint common = {DrawMultiplier(rng), -e};
  if (workload.rq != RequantizeForm::kGen) return common;
  // Values that need the general form: factors from 1/2 up.
  switch (rng.Below(4)) {
    case 0:
      return {common.multiplier, 0};
    case 1:
      return {common.multiplier, static_cast<std::int32_t>(rng.Between(1, 3))};
    default:
      return common;
  }
}

ChannelDraw DrawTrainedChannel(const Workload& workload, std::optional<FixedPoint> shared,
                               Rng& rng) {
  ChannelDraw channel;
  channel.factor = shared ? *shared : DrawFactor(workload, rng);
  const std::int64_t spread = AccumulatorSpread(workload, channel.factor.shift);
  channel.w = WeightsOfRms(workload, spread * 256 * 16 / InputSpread16(workload), rng);
  UseFullRange(workload, rng, channel.w);
  // With a ReLU most outputs should be above the zero point.
  channel.bias = static_cast<std::int32_t>(
      HasRelu(workload) ? rng.Between(0, 2 * spread) : rng.Between(-spread / 2, spread / 2));
  LimitLeftShift(channel);
  return channel;
}

ChannelDraw DrawEdgeChannel(const Workload& workload, ResultRange results,
                            std::optional<FixedPoint> shared, Rng& rng) {
  ChannelDraw channel;
  channel.factor = shared ? *shared : DrawEdgeFactor(workload, rng);
  channel.w = DrawEdgeWeights(workload, rng);
  UseFullRange(workload, rng, channel.w);
  channel.bias = DrawEdgeBias(channel.factor, results, rng);
  LimitLeftShift(channel);
  return channel;
}

}  // namespace kiln
