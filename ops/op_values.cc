// What can be said of an operator's values without an input: do they fit, and how far do the
// accumulators reach.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "ops/op_data.h"

namespace kiln {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

// The channel's weights minus their zero point, summed by sign.
struct WeightSums {
  std::int64_t positive = 0, negative = 0;  // both >= 0
};

WeightSums SumWeights(const Workload& workload, const OpValues& values, std::int32_t channel) {
  const bool depthwise = workload.op == OpKind::kDepthwise;
  const auto taps = static_cast<std::size_t>(workload.taps());
  const auto first = static_cast<std::size_t>(channel) * (depthwise ? 1 : taps);
  const std::size_t step = depthwise ? static_cast<std::size_t>(workload.o) : 1;
  std::int64_t sum = 0, magnitudes = 0;
  for (std::size_t i = 0; i < taps; ++i) {
    const std::uint8_t byte = values.w[first + i * step];
    const std::int32_t w =
        workload.type == DataType::kU8 ? byte - values.w_zp : static_cast<std::int8_t>(byte);
    sum += w;
    magnitudes += std::abs(w);
  }
  return {(magnitudes + sum) / 2, (magnitudes - sum) / 2};
}

AccumulatorRange RangeWithoutBias(const Workload& workload, const OpValues& values,
                                  std::int32_t channel) {
  const WeightSums sums = SumWeights(workload, values, channel);
  const std::int64_t above = workload.qmax() - values.x_zp, below = values.x_zp - workload.qmin();
  return {-below * sums.positive - above * sums.negative,
          above * sums.positive + below * sums.negative};
}

std::int64_t Magnitude(AccumulatorRange range) { return std::max(-range.low, range.high); }

std::string MisfitOfSizes(const Workload& workload, const OpValues& values) {
  const auto channels = static_cast<std::size_t>(workload.o);
  const auto wrong = [](const char* what, std::size_t is, std::size_t wanted) {
    return std::string(what) + " has " + std::to_string(is) + " values, not " +
           std::to_string(wanted);
  };
  const auto weights = static_cast<std::size_t>(workload.w_bytes());
  if (values.w.size() != weights) return wrong("w", values.w.size(), weights);
  if (!values.bias.empty() && values.bias.size() != channels) {
    return wrong("bias", values.bias.size(), channels);
  }
  const std::size_t integers = workload.rounding == Rounding::kFloat ? 0 : channels;
  if (values.multiplier.size() != integers) {
    return wrong("multiplier", values.multiplier.size(), integers);
  }
  if (values.shift.size() != integers) return wrong("shift", values.shift.size(), integers);
  if (values.scale.size() != channels - integers) {
    return wrong("scale", values.scale.size(), channels - integers);
  }
  return "";
}

std::string MisfitOfRanges(const Workload& workload, const OpValues& values) {
  const std::int32_t qmin = workload.qmin(), qmax = workload.qmax();
  const auto outside = [](const char* what, std::int32_t is, std::int32_t low, std::int32_t high) {
    return std::string(what) + " " + std::to_string(is) + " is not in " + std::to_string(low) +
           ".." + std::to_string(high);
  };
  if (values.x_zp < qmin || values.x_zp > qmax) return outside("x_zp", values.x_zp, qmin, qmax);
  if (values.y_zp < qmin || values.y_zp > qmax) return outside("y_zp", values.y_zp, qmin, qmax);
  const std::int32_t w_high = workload.type == DataType::kU8 ? 255 : 0;
  if (values.w_zp < 0 || values.w_zp > w_high) return outside("w_zp", values.w_zp, 0, w_high);
  if (values.act_min < qmin || values.act_min > qmax) {
    return outside("act_min", values.act_min, qmin, qmax);
  }
  if (values.act_max < values.act_min || values.act_max > qmax) {
    return outside("act_max", values.act_max, values.act_min, qmax);
  }
  return "";
}

std::string MisfitOfFactors(const Workload& workload, const OpValues& values) {
  const auto in_channel = [](std::size_t channel) {
    return " of output channel " + std::to_string(channel);
  };
  for (std::size_t i = 0; i < values.scale.size(); ++i) {
    if (!std::isfinite(values.scale[i]) || values.scale[i] < 0) {
      return "the scale" + in_channel(i) + " is negative or not finite";
    }
    if (!workload.per_channel && values.scale[i] != values.scale[0]) {
      return "pt, but the scale" + in_channel(i) + " is not that of channel 0";
    }
  }
  for (std::size_t i = 0; i < values.multiplier.size(); ++i) {
    const std::int32_t multiplier = values.multiplier[i], shift = values.shift[i];
    if (multiplier != 0 && multiplier < 1 << 30) {
      return "the multiplier" + in_channel(i) + ", " + std::to_string(multiplier) +
             ", is neither 0 nor in 2^30..2^31-1";
    }
    if (shift < -31 || shift > 30) {
      return "the shift" + in_channel(i) + ", " + std::to_string(shift) + ", is not in -31..30";
    }
    if (!workload.per_channel && (multiplier != values.multiplier[0] || shift != values.shift[0])) {
      return "pt, but the factor" + in_channel(i) + " is not that of channel 0";
    }
  }
  return "";
}

std::string MisfitOfAccumulators(const Workload& workload, const OpValues& values) {
  for (std::int32_t channel = 0; channel < workload.o; ++channel) {
    const auto index = static_cast<std::size_t>(channel);
    const std::int32_t bias = values.bias.empty() ? 0 : values.bias[index];
    const AccumulatorRange sum = RangeWithoutBias(workload, values, channel);
    const std::int64_t reach =
        std::max(Magnitude(sum), Magnitude({sum.low + bias, sum.high + bias}));
    const std::int32_t left = values.shift.empty() ? 0 : std::max(values.shift[index], 0);
    if (reach > kInt32Max >> left) {
      return "the accumulator of output channel " + std::to_string(channel) + " may reach " +
             std::to_string(reach) + (left > 0 ? " << " + std::to_string(left) : "") +
             ", which does not fit 32 bits";
    }
  }
  return "";
}

}  // namespace

AccumulatorRange ReachableAccumulators(const Workload& workload, const OpValues& values,
                                       std::int32_t channel) {
  const AccumulatorRange sum = RangeWithoutBias(workload, values, channel);
  const std::int32_t bias =
      values.bias.empty() ? 0 : values.bias[static_cast<std::size_t>(channel)];
  return {sum.low + bias, sum.high + bias};
}

std::string Misfit(const Workload& workload, const OpValues& values) {
  for (const auto check : {MisfitOfSizes, MisfitOfRanges, MisfitOfFactors, MisfitOfAccumulators}) {
    if (std::string fault = check(workload, values); !fault.empty()) return fault;
  }
  return "";
}

std::vector<std::uint8_t> CanonicalWeights(const Workload& given, const Workload& canonical,
                                           const std::vector<std::uint8_t>& w) {
  const bool from = given.op == OpKind::kDepthwise, to = canonical.op == OpKind::kDepthwise;
  if (from == to) return w;
  const auto channels = static_cast<std::size_t>(canonical.o);
  const auto taps = static_cast<std::size_t>(canonical.taps());
  std::vector<std::uint8_t> out(w.size());
  for (std::size_t channel = 0; channel < channels; ++channel) {
    for (std::size_t tap = 0; tap < taps; ++tap) {
      const std::size_t by_channel = channel * taps + tap, by_tap = tap * channels + channel;
      if (to) {
        out[by_tap] = w[by_channel];
      } else {
        out[by_channel] = w[by_tap];
      }
    }
  }
  return out;
}

}  // namespace kiln
