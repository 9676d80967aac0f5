// The operators by their definition. To be fast enough for whole networks the zero points are taken
// off first, into 16-bit copies of x and w, so that padding is a zero and every sum is a plain dot
// product of 16-bit numbers, which compilers vectorise:
//
//   conv2d, dense   the taps of a few output pixels are gathered into rows, then every output
//                   channel is a dot product of its weights with each row
//   depthwise       every tap adds x * w to the accumulators of all channels of a pixel

#include "ops/reference.h"

#include <algorithm>
#include <cassert>
#include <cstddef>

#include "ops/quantization.h"
#include "ops/window.h"

namespace kiln {
namespace {

using Numbers = std::vector<std::int16_t>;

std::size_t Size(std::int64_t value) { return static_cast<std::size_t>(value); }

Numbers Centered(std::span<const std::uint8_t> bytes, bool is_unsigned, std::int32_t zero_point) {
  Numbers out(bytes.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::int32_t value = is_unsigned ? bytes[i] : static_cast<std::int8_t>(bytes[i]);
    out[i] = static_cast<std::int16_t>(value - zero_point);
  }
  return out;
}

std::int32_t Dot(const std::int16_t* a, const std::int16_t* b, std::int64_t size) {
  std::int32_t sum = 0;
  for (std::int64_t i = 0; i < size; ++i) sum += std::int32_t{a[i]} * std::int32_t{b[i]};
  return sum;
}

// conv2d and dense, one group.
void AccumulateGroup(const Workload& w, const Numbers& x, const Numbers& weights,
                     std::int32_t group, std::vector<std::int32_t>& acc) {
  constexpr std::int64_t kRows = 8;  // output pixels that share one pass over the weights
  const std::int64_t channels = w.reduce_c(), taps = w.taps(), outputs = w.o / w.groups;
  const std::int64_t pixels = std::int64_t{w.n} * w.out_h() * w.out_w();
  Numbers rows(Size(kRows * taps));
  for (std::int64_t begin = 0; begin < pixels; begin += kRows) {
    const std::int64_t count = std::min(kRows, pixels - begin);
    std::fill(rows.begin(), rows.end(), std::int16_t{0});
    for (std::int64_t row = 0; row < count; ++row) {
      ForEachTapInside(w, PixelAt(w, begin + row), [&](std::int64_t tap, std::int64_t first) {
        std::copy_n(&x[Size(first + group * channels)], channels,
                    &rows[Size(row * taps + tap * channels)]);
      });
    }
    for (std::int64_t o = group * outputs; o < (group + 1) * outputs; ++o) {
      for (std::int64_t row = 0; row < count; ++row) {
        acc[Size((begin + row) * w.o + o)] +=
            Dot(&rows[Size(row * taps)], &weights[Size(o * taps)], taps);
      }
    }
  }
}

void AccumulateDepthwise(const Workload& w, const Numbers& x, const Numbers& weights,
                         std::vector<std::int32_t>& acc) {
  const std::int64_t pixels = std::int64_t{w.n} * w.out_h() * w.out_w();
  for (std::int64_t index = 0; index < pixels; ++index) {
    std::int32_t* const sums = &acc[Size(index * w.o)];
    ForEachTapInside(w, PixelAt(w, index), [&](std::int64_t tap, std::int64_t first) {
      const std::int16_t* const values = &x[Size(first)];
      const std::int16_t* const factors = &weights[Size(tap * w.o)];
      if (w.multiplier == 1) {
        for (std::int64_t c = 0; c < w.c; ++c) sums[c] += values[c] * factors[c];
        return;
      }
      for (std::int64_t o = 0; o < w.o; ++o) sums[o] += values[o / w.multiplier] * factors[o];
    });
  }
}

}  // namespace

std::vector<std::int32_t> ReferenceAccumulators(const Workload& workload, const OpValues& values,
                                                std::span<const std::uint8_t> x) {
  assert(std::ssize(x) == workload.x_bytes() && std::ssize(values.w) == workload.w_bytes());
  const Numbers centered_x = Centered(x, workload.unsigned_activations(), values.x_zp);
  const Numbers centered_w = Centered(values.w, workload.type == DataType::kU8, values.w_zp);
  std::vector<std::int32_t> acc(Size(workload.outputs()));
  if (workload.op == OpKind::kDepthwise) {
    AccumulateDepthwise(workload, centered_x, centered_w, acc);
  } else {
    for (std::int32_t group = 0; group < workload.groups; ++group) {
      AccumulateGroup(workload, centered_x, centered_w, group, acc);
    }
  }
  if (values.bias.empty()) return acc;
  for (std::size_t i = 0; i < acc.size(); ++i) acc[i] += values.bias[i % values.bias.size()];
  return acc;
}

std::uint8_t RequantizeReference(const Workload& workload, const OpValues& values,
                                 std::int32_t channel, std::int32_t acc) {
  const std::size_t o = Size(channel);
  const OutputRange range{values.y_zp, values.act_min, values.act_max};
  return workload.rounding == Rounding::kFloat
             ? Requantize(acc, values.scale[o], range)
             : Requantize(acc, {values.multiplier[o], values.shift[o]}, workload.rounding, range);
}

std::vector<std::uint8_t> RunReference(const Workload& workload, const OpValues& values,
                                       std::span<const std::uint8_t> x) {
  const std::vector<std::int32_t> acc = ReferenceAccumulators(workload, values, x);
  std::vector<std::uint8_t> y(acc.size());
  std::size_t i = 0;
  while (i < y.size()) {
    for (std::int32_t o = 0; o < workload.o; ++o, ++i) {
      y[i] = RequantizeReference(workload, values, o, acc[i]);
    }
  }
  return y;
}

}  // namespace kiln
