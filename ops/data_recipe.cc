// The data recipe: see MakeCase. What it draws, in order: zero points and clamp, the channels
// (channel_recipe.h), the input. A change to any draw is a new kDataRecipeVersion, as stored
// digests name the bytes that it makes.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <optional>

#include "base/rng.h"
#include "ops/channel_recipe.h"
#include "ops/op_data.h"
#include "ops/requantize_form.h"

namespace kiln {
namespace {

std::int32_t Between(Rng& rng, std::int32_t low, std::int32_t high) {
  return static_cast<std::int32_t>(rng.Between(low, high));
}

// Whether the form is for some values only.
bool HasCondition(RequantizeForm form) {
  return form != RequantizeForm::kGen && form != RequantizeForm::kFloat;
}

std::int32_t Middle(const Workload& w) { return w.qmin() + 128; }

// Mostly what follows a ReLU, else what follows a linear layer.
std::int32_t TrainedInputZeroPoint(const Workload& w, Rng& rng) {
  switch (rng.Below(4)) {
    case 0:
      return Middle(w) + Between(rng, -3, 3);
    case 1:
      return Between(rng, w.qmin(), w.qmax());
    default:
      return w.qmin();
  }
}

std::int32_t EdgeZeroPoint(const Workload& w, Rng& rng) {
  switch (rng.Below(3)) {
    case 0:
      return w.qmin();
    case 1:
      return w.qmax();
    default:
      return Between(rng, w.qmin(), w.qmax());
  }
}

std::int32_t WeightZeroPoint(const Workload& w, DataSet set, Rng& rng) {
  if (w.type != DataType::kU8) return 0;
  if (!w.weight_zero_point) return 128;
  if (set == DataSet::kEdges && rng.Below(2) == 0) return rng.Below(2) == 0 ? 0 : 255;
  const std::int32_t below_or_above = Between(rng, 1, 64);
  return 128 + (rng.Below(2) == 0 ? below_or_above : -below_or_above);
}

// y_zp, act_min, act_max as the activation class says. Enough room stays above act_min for outputs
// to differ.
void DrawOutputRange(const Workload& w, DataSet set, Rng& rng, OpValues& v) {
  v.act_min = w.qmin(), v.act_max = w.qmax();
  const bool edges = set == DataSet::kEdges;
  if (w.act == Activation::kNone) {
    v.y_zp = edges ? EdgeZeroPoint(w, rng) : Middle(w) + Between(rng, -30, 30);
    return;
  }
  // A clamp that is no ReLU is what sets int9 and the signed forms apart from those for a ReLU.
  const bool cuts_below = w.act == Activation::kLoHi && HasCondition(w.rq) && !IsForRelu(w.rq);
  const bool at_minimum = rng.Below(4) != 0 && !cuts_below;
  v.y_zp = at_minimum ? w.qmin() : w.qmin() + Between(rng, 1, edges ? 127 : 40);
  v.act_min = v.y_zp;
  if (w.act == Activation::kLo) {
    if (rng.Below(4) == 0) v.act_min += Between(rng, 1, 20);
    return;
  }
  v.act_max = w.qmax() - Between(rng, 1, 80);
  if (cuts_below) v.act_min = Between(rng, w.qmin(), v.y_zp - 1);
}

// Inputs with a root mean square of about 60 around the zero point, most of them small, some
// anywhere. Below a zero point at the type's minimum all are that: half of the values, as after a
// ReLU.
void DrawTrainedInput(const Workload& w, std::int32_t x_zp, Rng& rng,
                      std::vector<std::uint8_t>& x) {
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < x.size(); ++i, bits >>= 16) {
    if (i % 4 == 0) bits = rng.Next();
    const auto kind = static_cast<std::int32_t>(bits & 0xFF);
    const auto byte = static_cast<std::int32_t>(bits >> 8 & 0xFF);
    const std::int32_t distance = (byte * byte) >> 9;
    const std::int32_t near = x_zp + (kind % 2 == 0 ? distance : -distance);
    const std::int32_t value = kind < 16 ? w.qmin() + byte : std::clamp(near, w.qmin(), w.qmax());
    x[i] = static_cast<std::uint8_t>(value);
  }
}

// Runs of one extreme, of the zero point, or of noise; long enough to fill whole windows.
void DrawEdgeInput(const Workload& w, std::int32_t x_zp, Rng& rng, std::vector<std::uint8_t>& x) {
  const std::int64_t longest = std::int64_t{4} * w.w * w.c;
  const int log = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(longest)));
  for (std::size_t i = 0; i < x.size();) {
    const std::uint64_t length = 1 + rng.Below(std::uint64_t{1} << rng.Below(log + 1));
    const std::size_t end = i + std::min<std::size_t>(length, x.size() - i);
    const std::uint64_t kind = rng.Below(4);
    const std::int32_t extremes[] = {w.qmin(), w.qmax(), x_zp};
    for (; i < end; ++i) {
      x[i] =
          static_cast<std::uint8_t>(kind < 3 ? extremes[kind] : Between(rng, w.qmin(), w.qmax()));
    }
  }
}

void PlaceWeights(const Workload& w, std::int32_t channel, const std::vector<std::int32_t>& from,
                  OpValues& v) {
  const bool depthwise = w.op == OpKind::kDepthwise;
  const auto step = static_cast<std::size_t>(depthwise ? w.o : 1);
  auto at = static_cast<std::size_t>(channel) * (depthwise ? 1 : from.size());
  for (const std::int32_t weight : from) {
    const std::int32_t stored =
        w.type == DataType::kU8 ? std::clamp(weight + v.w_zp, 0, 255) : weight;
    v.w[at] = static_cast<std::uint8_t>(stored);
    at += step;
  }
}

// One factor for all channels, from a draw that the form admits for channels of an ordinary reach.
FixedPoint DrawSharedFactor(const Workload& w, const OpValues& v, Rng& rng) {
  constexpr int kDraws = 64;
  FixedPoint factor = DrawFactor(w, rng);
  for (int i = 1; i < kDraws && HasCondition(w.rq); ++i) {
    const std::int64_t reach =
        std::min(std::int64_t{700} << std::max(-factor.shift, 0), (std::int64_t{1} << 22) - 2);
    const ChannelRequantize ordinary{factor,    v.y_zp,     v.act_min,
                                     v.act_max, w.rounding, {-reach, reach}};
    if (IsValid(w.rq, ordinary)) break;
    factor = DrawFactor(w, rng);
  }
  return factor;
}

void DrawChannels(const Workload& w, DataSet set, Rng& rng, OpValues& v) {
  const auto channels = static_cast<std::size_t>(w.o);
  v.w.resize(static_cast<std::size_t>(w.w_bytes()));
  v.bias.resize(channels), v.multiplier.resize(channels), v.shift.resize(channels);
  const ResultRange results = {v.act_min - v.y_zp, v.act_max - v.y_zp};
  std::optional<FixedPoint> shared;
  if (!w.per_channel) shared = DrawSharedFactor(w, v, rng);
  for (std::int32_t channel = 0; channel < w.o; ++channel) {
    const ChannelDraw draw = set == DataSet::kEdges ? DrawEdgeChannel(w, results, shared, rng)
                                                    : DrawTrainedChannel(w, shared, rng);
    const auto o = static_cast<std::size_t>(channel);
    PlaceWeights(w, channel, draw.w, v);
    v.bias[o] = draw.bias;
    v.multiplier[o] = draw.factor.multiplier, v.shift[o] = draw.factor.shift;
  }
  // One channel's left shift may have been cut so that its accumulators fit.
  if (shared) std::fill(v.shift.begin(), v.shift.end(), std::ranges::min(v.shift));
}

// Halves the distance of a channel's weights to their zero point, and its bias.
void HalveChannel(const Workload& w, std::int32_t channel, OpValues& v) {
  const bool depthwise = w.op == OpKind::kDepthwise;
  const auto taps = static_cast<std::size_t>(w.taps());
  const auto step = static_cast<std::size_t>(depthwise ? w.o : 1);
  auto at = static_cast<std::size_t>(channel) * (depthwise ? 1 : taps);
  for (std::size_t tap = 0; tap < taps; ++tap, at += step) {
    const std::int32_t stored = w.type == DataType::kU8
                                    ? std::int32_t{v.w[at]}
                                    : std::int32_t{static_cast<std::int8_t>(v.w[at])};
    v.w[at] = static_cast<std::uint8_t>(v.w_zp + (stored - v.w_zp) / 2);
  }
  v.bias[static_cast<std::size_t>(channel)] /= 2;
}

// Channels whose draw lies outside of the workload's form get another factor; if none is found they
// are made smaller until they are inside: at the latest when nothing is left of them.
void KeepInClass(const Workload& w, Rng& rng, OpValues& v) {
  constexpr int kDraws = 8;
  if (!HasCondition(w.rq)) return;
  for (std::int32_t channel = 0; channel < w.o; ++channel) {
    const auto o = static_cast<std::size_t>(channel);
    for (int i = 0; !IsValid(w.rq, ChannelOf(w, v, channel)); ++i) {
      if (i < kDraws && w.per_channel) {
        const FixedPoint factor = DrawFactor(w, rng);
        v.multiplier[o] = factor.multiplier, v.shift[o] = factor.shift;
      } else {
        HalveChannel(w, channel, v);
      }
    }
  }
}

// multiplier * 2^(shift - 31) with the multiplier cut to a float's 24 bits.
float ScaleOf(FixedPoint factor) {
  if (factor.multiplier == 0) return 0;
  const auto fraction = static_cast<std::uint32_t>(factor.multiplier >> 7) & 0x7F'FFFFu;
  const auto exponent = static_cast<std::uint32_t>(127 + factor.shift - 1);
  return std::bit_cast<float>(exponent << 23 | fraction);
}

void UseScales(OpValues& v) {
  for (std::size_t o = 0; o < v.multiplier.size(); ++o) {
    v.scale.push_back(ScaleOf({v.multiplier[o], v.shift[o]}));
  }
  v.multiplier.clear(), v.shift.clear();
}

}  // namespace

OpCase MakeCase(const Workload& workload, DataSet set, std::uint64_t seed) {
  const bool edges = set == DataSet::kEdges;
  Rng rng(edges ? ~seed : seed);  // another stream than the uniform set's
  OpCase out;
  OpValues& v = out.values;
  v.x_zp = edges ? EdgeZeroPoint(workload, rng) : TrainedInputZeroPoint(workload, rng);
  v.w_zp = WeightZeroPoint(workload, set, rng);
  DrawOutputRange(workload, set, rng, v);
  DrawChannels(workload, set, rng, v);
  KeepInClass(workload, rng, v);
  if (workload.rounding == Rounding::kFloat) UseScales(v);
  out.x.resize(static_cast<std::size_t>(workload.x_bytes()));
  if (edges) {
    DrawEdgeInput(workload, v.x_zp, rng, out.x);
  } else {
    DrawTrainedInput(workload, v.x_zp, rng, out.x);
  }
  return out;
}

}  // namespace kiln
