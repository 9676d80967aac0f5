#include "ops/requantize_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "base/rng.h"
#include "tests/ops/requantize_rows.h"

namespace kiln {
namespace {

constexpr std::int32_t kLeastMultiplier = 1 << 30;

AccumulatorRange Within(std::int64_t bound) { return {-bound, bound}; }

std::int64_t Clamped(std::int64_t y, std::int32_t act_min) {
  return std::clamp<std::int64_t>(y, act_min, 255);
}

std::int64_t ByRule(const ChannelRequantize& channel, std::int32_t acc) {
  const std::int64_t scaled = MultiplyByQuantizedMultiplier(acc, channel.factor, channel.rounding);
  return Clamped(scaled + channel.y_zp, channel.act_min);
}

std::int64_t ByForm(RequantizeForm form, const ChannelRequantize& channel, std::int32_t acc) {
  const IntegerConstants constants = ConstantsOf(form, channel);
  return Clamped(EvaluateForm(form, channel.rounding, constants, acc), channel.act_min);
}

constexpr RequantizeForm kIntegerForms[] = {RequantizeForm::kInt7, RequantizeForm::kInt9};

// Every row of TFLite's vectors as a channel of its own, with its accumulator as the bound.
TEST(RequantizeFormTest, ValidFormsEqualTfliteOnEveryRecordedRow) {
  const auto rows = ReadRequantizeRows();
  ASSERT_EQ(rows.size(), kRequantizeRows);
  int admitted = 0, refused = 0;
  for (const RequantizeRow& row : rows) {
    ChannelRequantize channel{{row.multiplier, row.shift}, row.zero_point, -128, 127};
    channel.reach = Within(std::abs(std::int64_t{row.acc}));
    for (const std::int32_t act_min : {-128, row.zero_point}) {
      for (const RequantizeForm form : kIntegerForms) {
        channel.act_min = act_min;
        if (!IsValid(form, channel)) {
          ++refused;
          continue;
        }
        ++admitted;
        const std::int64_t y =
            EvaluateForm(form, Rounding::kDouble, ConstantsOf(form, channel), row.acc);
        ASSERT_EQ(std::clamp<std::int64_t>(y, act_min, 127), std::max(row.expected, act_min))
            << row.acc << ' ' << row.multiplier << ' ' << row.shift << ' ' << row.zero_point;
      }
    }
  }
  EXPECT_GT(admitted, 20'000);
  EXPECT_GT(refused, 1'000);
}

// Rows with a right shift whose sum leaves 32 bits: evaluated all the same they come out wrong, so
// the condition must refuse them.
TEST(RequantizeFormTest, RecordedRowsThatAFormWouldGetWrongAreRefused) {
  const auto rows = ReadRequantizeRows();
  ASSERT_EQ(rows.size(), kRequantizeRows);
  int wrong = 0;
  for (const RequantizeRow& row : rows) {
    if (row.shift > -1 || row.shift < -31) continue;
    ChannelRequantize channel{{row.multiplier, row.shift}, row.zero_point, -128, 127};
    channel.reach = Within(std::abs(std::int64_t{row.acc}));
    const std::int64_t y = EvaluateForm(RequantizeForm::kInt9, Rounding::kDouble,
                                        ConstantsOf(RequantizeForm::kInt9, channel), row.acc);
    if (std::clamp<std::int64_t>(y, -128, 127) == row.expected) continue;
    ++wrong;
    ASSERT_FALSE(IsValid(RequantizeForm::kInt9, channel))
        << row.acc << ' ' << row.multiplier << ' ' << row.shift << ' ' << row.zero_point;
  }
  EXPECT_GT(wrong, 0);
}

TEST(RequantizeFormTest, ASumThatLeaves32BitsIsRefused) {
  // h = 2^30 and 128 << 23 = 2^30 each fit alone.
  ChannelRequantize channel{{kLeastMultiplier, -23}, 128, -128, 255};
  channel.reach = Within(INT32_MAX);
  EXPECT_FALSE(IsValid(RequantizeForm::kInt9, channel));
  EXPECT_NE(ByForm(RequantizeForm::kInt9, channel, INT32_MAX), ByRule(channel, INT32_MAX));
  channel.y_zp = 127;
  EXPECT_TRUE(IsValid(RequantizeForm::kInt9, channel));
  EXPECT_EQ(ByForm(RequantizeForm::kInt9, channel, INT32_MAX), ByRule(channel, INT32_MAX));
}

ChannelRequantize RandomChannel(Rng& rng) {
  ChannelRequantize channel;
  channel.act_max = 255;
  channel.rounding = rng.Below(2) == 0 ? Rounding::kDouble : Rounding::kSingle;
  channel.factor.multiplier = static_cast<std::int32_t>(
      rng.Below(8) == 0 ? (rng.Below(2) == 0 ? kLeastMultiplier : INT32_MAX)
                        : rng.Between(kLeastMultiplier, INT32_MAX));
  channel.factor.shift = static_cast<std::int32_t>(rng.Between(-31, 0));
  channel.y_zp = static_cast<std::int32_t>(rng.Between(-128, 255));
  channel.act_min =
      rng.Below(2) == 0 ? static_cast<std::int32_t>(rng.Between(channel.y_zp, 255)) : -128;
  channel.reach = Within(rng.Between(0, (std::int64_t{1} << rng.Between(1, 31)) - 1));
  return channel;
}

// The ends of the reach, around zero, around the accumulators where the result steps, and anywhere.
std::int32_t InterestingAccumulator(const ChannelRequantize& channel, Rng& rng) {
  std::int64_t acc = rng.Between(-channel.reach.high, channel.reach.high);
  switch (rng.Below(4)) {
    case 0:
      acc = (rng.Below(2) == 0 ? 1 : -1) * (channel.reach.high - rng.Between(0, 2));
      break;
    case 1:
      acc = rng.Between(-3, 3);
      break;
    case 2: {  // a tie: acc * m / 2^31 near (k + 1/2) * 2^e
      const std::int64_t halves = 2 * rng.Between(-300, 300) + 1;
      acc =
          (halves * (std::int64_t{1} << (30 - channel.factor.shift))) / channel.factor.multiplier +
          rng.Between(-2, 2);
      break;
    }
    default:
      break;
  }
  return static_cast<std::int32_t>(std::clamp(acc, -channel.reach.high, channel.reach.high));
}

TEST(RequantizeFormTest, ValidFormsEqualTheRuleOnMillionsOfCases) {
  Rng rng(21);
  int checked = 0;
  for (int i = 0; i < 400'000; ++i) {
    const ChannelRequantize channel = RandomChannel(rng);
    for (const RequantizeForm form : kIntegerForms) {
      if (!IsValid(form, channel)) continue;
      for (int k = 0; k < 6; ++k, ++checked) {
        const std::int32_t acc = InterestingAccumulator(channel, rng);
        ASSERT_EQ(ByForm(form, channel, acc), ByRule(channel, acc))
            << Name(form) << ' ' << Name(channel.rounding) << " m " << channel.factor.multiplier
            << " shift " << channel.factor.shift << " zp " << channel.y_zp << " acc " << acc;
      }
    }
  }
  EXPECT_GT(checked, 2'000'000);
}

// All accumulators of a channel, around the kink at zero and both ends.
TEST(RequantizeFormTest, EveryAccumulatorOfAShortReachIsRight) {
  for (const Rounding rounding : {Rounding::kDouble, Rounding::kSingle}) {
    for (std::int32_t e = 1; e <= 12; ++e) {
      ChannelRequantize channel{{1'518'500'250, -e}, 3, -128, 255, rounding};
      channel.reach = Within(40'000);
      ASSERT_TRUE(IsValid(RequantizeForm::kInt9, channel));
      for (std::int32_t acc = -40'000; acc <= 40'000; ++acc) {
        ASSERT_EQ(ByForm(RequantizeForm::kInt9, channel, acc), ByRule(channel, acc)) << acc;
      }
    }
  }
}

TEST(RequantizeFormTest, Int7NeedsAReluForDoubleRoundingOnly) {
  ChannelRequantize channel{{kLeastMultiplier, -1}, 0, -128};
  channel.reach = Within(1000);
  EXPECT_FALSE(IsValid(RequantizeForm::kInt7, channel));
  // And rightly so: -2 / 4 is away from zero by the rule.
  EXPECT_NE(ByForm(RequantizeForm::kInt7, channel, -2), ByRule(channel, -2));
  channel.act_min = 0;
  EXPECT_TRUE(IsValid(RequantizeForm::kInt7, channel));
  channel.act_min = -128;
  channel.rounding = Rounding::kSingle;
  EXPECT_TRUE(IsValid(RequantizeForm::kInt7, channel));
}

TEST(RequantizeFormTest, ChannelsWithOneByteAreAdmitted) {
  constexpr RequantizeForm kAll[] = {RequantizeForm::kStep1,   RequantizeForm::kStep2,
                                     RequantizeForm::kSigned1, RequantizeForm::kSigned2,
                                     RequantizeForm::kInt7,    RequantizeForm::kInt9};
  // Always zero: the shift is beyond what any form computes with.
  ChannelRequantize channel{{kLeastMultiplier, -31}, -128, -128};
  channel.reach = Within(100'000);
  for (const RequantizeForm form : kAll) EXPECT_TRUE(IsValid(form, channel)) << Name(form);
  EXPECT_EQ(ByForm(RequantizeForm::kInt9, channel, -100'000), -128);
  channel.factor = {0, 0};
  for (const RequantizeForm form : kAll) EXPECT_TRUE(IsValid(form, channel)) << Name(form);
  // Always above the clamp, with a factor of one half.
  channel = {{kLeastMultiplier, 0}, -128, -128, 100, Rounding::kDouble, {1000, 5000}};
  EXPECT_TRUE(IsValid(RequantizeForm::kStep1, channel));
  EXPECT_TRUE(IsValid(RequantizeForm::kInt9, channel));
  const IntegerConstants constants = ConstantsOf(RequantizeForm::kInt9, channel);
  EXPECT_EQ(EvaluateForm(RequantizeForm::kInt9, Rounding::kDouble, constants, 777), 100);
  // With a factor of four as well, but there are kernels that cannot shift left.
  channel.factor.shift = 3;
  EXPECT_EQ(CheapestForm(std::vector{channel}), RequantizeForm::kGen);
  // Not constant: the last accumulator reaches 1.
  channel = {{INT32_MAX, -20}, -128, -128, 127, Rounding::kDouble, Within((1 << 19) + 1)};
  EXPECT_EQ(ByRule(channel, (1 << 19) + 1), -127);
  EXPECT_EQ(ByForm(RequantizeForm::kInt9, channel, (1 << 19) + 1), -127);
}

TEST(RequantizeFormTest, LeftShiftsAndFullRangeAccumulatorsAreForGen) {
  ChannelRequantize channel{{kLeastMultiplier, 1}, 0, 0};
  channel.reach = Within(1000);
  EXPECT_EQ(CheapestForm(std::vector{channel}), RequantizeForm::kGen);
  channel.factor.shift = 0;
  EXPECT_EQ(CheapestForm(std::vector{channel}), RequantizeForm::kGen);
  channel.factor.shift = -5;
  EXPECT_EQ(CheapestForm(std::vector{channel}), RequantizeForm::kStep1);
  channel.reach = Within(std::int64_t{1} << 31);
  EXPECT_EQ(CheapestForm(std::vector{channel}), RequantizeForm::kGen);
}

TEST(CheapestFormTest, OneChannelDecidesForAll) {
  std::vector<ChannelRequantize> channels(
      3, ChannelRequantize{{1'518'500'250, -5}, 0, 0, 127, Rounding::kDouble, Within(9000)});
  EXPECT_EQ(CheapestForm(channels), RequantizeForm::kStep1);
  channels[0].reach = Within(1 << 23);
  EXPECT_EQ(CheapestForm(channels), RequantizeForm::kStep2);
  channels[1].act_min = -1;
  EXPECT_EQ(CheapestForm(channels), RequantizeForm::kSigned1);
  channels[2].factor.shift = 0;
  EXPECT_EQ(CheapestForm(channels), RequantizeForm::kGen);
}

Workload Dense(DataType type) {
  Workload w;
  w.op = OpKind::kDense;
  w.type = type;
  w.c = 2, w.o = 2;
  return w;
}

OpValues DenseValues() {
  OpValues v;
  v.w = {10, 20, 30, 40};
  v.multiplier = {1'518'500'250, 1'111'111'111};
  v.shift = {-5, -6};
  return v;
}

TEST(ClassifyTest, ActivationFollowsTheRange) {
  OpValues v = DenseValues();
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).act, Activation::kNone);
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).rq, RequantizeForm::kSigned1);
  v.act_min = 0;
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).act, Activation::kLo);
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).rq, RequantizeForm::kStep1);
  v.act_max = 100;
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).act, Activation::kLoHi);
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).rq, RequantizeForm::kStep1);
  v.act_min = -1;
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).rq, RequantizeForm::kSigned1);
}

TEST(ClassifyTest, AReluThatCutsNothingOffIsStillAReluForDoubleRounding) {
  OpValues v = DenseValues();
  v.y_zp = -128;
  Workload w = Dense(DataType::kI8);
  EXPECT_EQ(Classify(w, v).act, Activation::kLo);
  EXPECT_EQ(Classify(w, v).rq, RequantizeForm::kStep1);
  w.rounding = Rounding::kSingle;
  EXPECT_EQ(Classify(w, v).act, Activation::kNone);
  EXPECT_EQ(Classify(w, v).rq, RequantizeForm::kStep1);
}

TEST(ClassifyTest, UnsignedWeightsHaveAZeroPointUnlessItIs128) {
  OpValues v = DenseValues();
  v.act_min = 0, v.act_max = 255;
  v.w_zp = 128;
  EXPECT_FALSE(Classify(Dense(DataType::kU8), v).weight_zero_point);
  v.w_zp = 0;
  EXPECT_TRUE(Classify(Dense(DataType::kU8), v).weight_zero_point);
  EXPECT_FALSE(Classify(Dense(DataType::kU8S8), v).weight_zero_point);
}

TEST(ClassifyTest, AWeightOfMinus128IsAClassOfSignedWeightsOnly) {
  OpValues v = DenseValues();
  EXPECT_FALSE(Classify(Dense(DataType::kI8), v).full_range_weights);
  v.w[2] = 0x81;
  EXPECT_FALSE(Classify(Dense(DataType::kI8), v).full_range_weights);
  v.w[2] = 0x80;
  EXPECT_TRUE(Classify(Dense(DataType::kI8), v).full_range_weights);
  EXPECT_TRUE(Classify(Dense(DataType::kU8S8), v).full_range_weights);
  v.act_min = 0, v.act_max = 255;
  EXPECT_FALSE(Classify(Dense(DataType::kU8), v).full_range_weights);
}

TEST(ChannelFormsTest, CountsTheCheapestFormOfEachChannelAlone) {
  OpValues v = DenseValues();
  v.act_min = 0;
  v.shift = {-5, 0};
  const auto forms = ChannelForms(Dense(DataType::kI8), v);
  EXPECT_EQ(forms, (std::map<RequantizeForm, std::int32_t>{{RequantizeForm::kStep1, 1},
                                                           {RequantizeForm::kGen, 1}}));
  EXPECT_EQ(Classify(Dense(DataType::kI8), v).rq, RequantizeForm::kGen);
}

TEST(ClassifyTest, ScalesMeanTheFloatRule) {
  OpValues v = DenseValues();
  v.multiplier.clear(), v.shift.clear();
  v.scale = {0.5f, 0.25f};
  const Workload w = Classify(Dense(DataType::kI8), v);
  EXPECT_EQ(w.rounding, Rounding::kFloat);
  EXPECT_EQ(w.rq, RequantizeForm::kFloat);
}

}  // namespace
}  // namespace kiln
