#include "ops/requantize_solver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "ops/quantization.h"
#include "tests/ops/requantize_rows.h"

// Constants that the solver finds are held against the rule on every accumulator of short reaches,
// and on millions of others; the scalar evaluation against the float instructions that kernels use.

namespace kiln {
namespace {

struct Form {
  const char* name;
  int (*solve)(const kiln_channel*, kiln_constants*);
  bool follows_kink;
};
constexpr Form kForms[] = {{"step1", kiln_solve_step1, false},
                           {"step2", kiln_solve_step2, false},
                           {"signed1", kiln_solve_signed1, true},
                           {"signed2", kiln_solve_signed2, true}};

std::int64_t Evaluate(const Form& form, const kiln_channel& channel,
                      const kiln_constants& constants, std::int64_t acc) {
  if (form.solve == kiln_solve_step1) return kiln_evaluate_step1(&constants, acc);
  return form.follows_kink ? kiln_evaluate_signed(&constants, channel.y_zp, acc)
                           : kiln_evaluate_step2(&constants, channel.y_zp, acc);
}

std::int64_t Clamped(const kiln_channel& channel, std::int64_t y) {
  return std::clamp<std::int64_t>(y, channel.act_min, channel.act_max);
}

std::int64_t ByRule(const kiln_channel& channel, std::int64_t acc) {
  const FixedPoint factor{channel.multiplier, channel.shift};
  const auto rounding = channel.single_rounding ? Rounding::kSingle : Rounding::kDouble;
  const std::int64_t scaled =
      MultiplyByQuantizedMultiplier(static_cast<std::int32_t>(acc), factor, rounding);
  return Clamped(channel, scaled + channel.y_zp);
}

// A channel of the class that the form is for.
kiln_channel RandomChannel(const Form& form, Rng& rng, std::int64_t longest_reach) {
  kiln_channel channel = {};
  channel.multiplier =
      static_cast<std::int32_t>(rng.Below(8) == 0 ? (rng.Below(2) == 0 ? 1 << 30 : INT32_MAX)
                                                  : rng.Between(1 << 30, INT32_MAX));
  channel.shift = -static_cast<std::int32_t>(rng.Between(1, 14));
  channel.single_rounding = !form.follows_kink && rng.Below(3) == 0;
  const bool is_unsigned = rng.Below(2) == 0;
  const std::int32_t low = is_unsigned ? 0 : -128;
  channel.y_zp = low + static_cast<std::int32_t>(rng.Below(256));
  channel.act_min = form.follows_kink || channel.single_rounding ? low : channel.y_zp;
  channel.act_max = low + 255;
  if (rng.Below(3) == 0) {
    channel.act_max = static_cast<std::int32_t>(rng.Between(channel.act_min, low + 255));
  }
  const std::int64_t reach = rng.Between(1, longest_reach);
  channel.low = -rng.Between(0, reach), channel.high = rng.Between(0, reach);
  return channel;
}

TEST(RequantizeSolverTest, EveryAccumulatorOfAShortReachIsRight) {
  for (const Form& form : kForms) {
    Rng rng(1);
    int solved = 0;
    for (int i = 0; i < 400; ++i) {
      const kiln_channel channel = RandomChannel(form, rng, 20'000);
      kiln_constants constants;
      if (!form.solve(&channel, &constants)) continue;
      ++solved;
      for (std::int64_t acc = channel.low; acc <= channel.high; ++acc) {
        ASSERT_EQ(Clamped(channel, Evaluate(form, channel, constants, acc)), ByRule(channel, acc))
            << form.name << " acc " << acc << " m " << channel.multiplier << " shift "
            << channel.shift << " zp " << channel.y_zp;
      }
    }
    EXPECT_GT(solved, 300) << form.name;
  }
}

TEST(RequantizeSolverTest, LongReachesAreRightAtStepsAtEndsAndAnywhere) {
  for (const Form& form : kForms) {
    Rng rng(2);
    int solved = 0;
    for (int i = 0; i < 1500; ++i) {
      const kiln_channel channel =
          RandomChannel(form, rng, form.solve == kiln_solve_step1 ? 1 << 22 : INT32_MAX);
      kiln_constants constants;
      if (!form.solve(&channel, &constants)) continue;
      ++solved;
      for (int k = 0; k < 400; ++k) {
        std::int64_t acc = rng.Between(channel.low, channel.high);
        if (k % 2 == 0 && channel.act_max > channel.act_min) {
          const auto y =
              static_cast<std::int32_t>(rng.Between(channel.act_min + 1, channel.act_max));
          acc = kiln_threshold(&channel, y) - rng.Between(0, 1);
        }
        if (k == 1) acc = channel.low;
        if (k == 3) acc = channel.high;
        acc = std::clamp(acc, channel.low, channel.high);
        ASSERT_EQ(Clamped(channel, Evaluate(form, channel, constants, acc)), ByRule(channel, acc))
            << form.name << " acc " << acc << " m " << channel.multiplier << " shift "
            << channel.shift << " zp " << channel.y_zp;
      }
    }
    EXPECT_GT(solved, 1000) << form.name;
  }
}

// The share of random channels that has constants, as docs/kernels.md states it.
TEST(RequantizeSolverTest, ChannelsLikeThoseOfRealNetworksAreSolved) {
  for (const Form& form : kForms) {
    Rng rng(3);
    int solved = 0, tried = 0;
    while (tried < 600) {
      kiln_channel channel = RandomChannel(form, rng, 1);
      if (channel.shift < -8 || channel.single_rounding) continue;
      // Exact powers of two have ties on one side of zero only, which a mirrored form cannot
      // follow.
      if (form.follows_kink && channel.multiplier == 1 << 30) continue;
      channel.low = -(std::int64_t{700} << -channel.shift), channel.high = -channel.low;
      kiln_constants constants;
      ++tried;
      solved += form.solve(&channel, &constants);
    }
    EXPECT_GT(solved, 590) << form.name;
  }
}

// step1 as the instructions compute it: the accumulator's bits are the float.
TEST(RequantizeSolverTest, TheScalarEvaluationIsThatOfTheInstructions) {
  Rng rng(4);
  int checked = 0;
  for (int i = 0; i < 2000; ++i) {
    kiln_constants constants;
    for (const Form& form : kForms) {
      const kiln_channel channel = RandomChannel(form, rng, 1 << 21);
      if (!form.solve(&channel, &constants)) continue;
      for (int k = 0; k < 20; ++k, ++checked) {
        const std::int64_t acc = rng.Between(channel.low, channel.high);
        std::int64_t y = 0;
        const auto f = static_cast<float>(acc);
        const float offset =
            std::signbit(f) && form.follows_kink ? -constants.offset : constants.offset;
        const double inner = std::fma(f, constants.scale_low, offset);
        if (form.solve == kiln_solve_step1) {
          const auto bits =
              static_cast<std::uint32_t>(acc) + static_cast<std::uint32_t>(constants.seed);
          float seeded;
          std::memcpy(&seeded, &bits, sizeof seeded);
          const float result = std::fma(seeded, constants.scale, constants.offset);
          std::uint32_t result_bits;
          std::memcpy(&result_bits, &result, sizeof result_bits);
          y = static_cast<std::int16_t>(result_bits);
        } else if (form.follows_kink) {
          y = static_cast<std::int64_t>(std::trunc(f * double{constants.scale} + inner));
          y += channel.y_zp;
        } else {
          y = static_cast<std::int64_t>(std::floor(f * double{constants.scale} + inner));
          y += channel.y_zp;
        }
        ASSERT_EQ(y, Evaluate(form, channel, constants, acc)) << form.name << " acc " << acc;
      }
    }
  }
  EXPECT_GT(checked, 100'000);
}

TEST(RequantizeSolverTest, DoubleRoundingWithoutAReluHasNoStepForm) {
  kiln_channel channel = {1'518'500'250, -3, 0, 0, -128, 127, -5000, 5000};
  kiln_constants constants;
  EXPECT_FALSE(kiln_solve_step1(&channel, &constants));
  EXPECT_FALSE(kiln_solve_step2(&channel, &constants));
  EXPECT_TRUE(kiln_solve_signed1(&channel, &constants));
  channel.single_rounding = 1;
  EXPECT_TRUE(kiln_solve_step1(&channel, &constants));
}

TEST(RequantizeSolverTest, AReachThatAFloatCannotCountIsNotStep1) {
  kiln_channel channel = {1 << 30, -8, 0, -128, -128, 127, -(1 << 22), (1 << 22) - 2};
  kiln_constants constants;
  EXPECT_TRUE(kiln_solve_step1(&channel, &constants));
  channel.high += 1 << 20;
  EXPECT_FALSE(kiln_solve_step1(&channel, &constants));
  EXPECT_TRUE(kiln_solve_step2(&channel, &constants));
}

// TFLite's recorded vectors: each row is a channel of its own, with its accumulator in reach.
TEST(RequantizeSolverTest, EveryRecordedRowOfTfliteIsRight) {
  const auto rows = ReadRequantizeRows();
  ASSERT_EQ(rows.size(), kRequantizeRows);
  int checked = 0;
  for (const RequantizeRow& row : rows) {
    kiln_channel channel = {row.multiplier, row.shift, 0, row.zero_point, -128, 127, 0, 0};
    if (row.shift > 0 || row.acc == INT32_MIN) continue;
    channel.low = std::min(row.acc, 0), channel.high = std::max(row.acc, 0);
    for (const Form& form : kForms) {
      channel.act_min = form.follows_kink ? -128 : std::clamp(row.zero_point, -128, 127);
      kiln_constants constants;
      if (!form.solve(&channel, &constants)) continue;
      ASSERT_EQ(Clamped(channel, Evaluate(form, channel, constants, row.acc)),
                std::max(row.expected, channel.act_min))
          << form.name << " acc " << row.acc << " m " << row.multiplier << " shift " << row.shift;
      ++checked;
    }
  }
  EXPECT_GT(checked, 10'000);
}

}  // namespace
}  // namespace kiln
