#include "ops/op_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kiln {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Two inputs, two outputs.
Workload TwoByTwo() {
  Workload w;
  w.op = OpKind::kDense;
  w.c = 2, w.o = 2;
  return w;
}

OpValues Values() {
  OpValues v;
  v.w = {10, 20, 0xFE /* -2 */, 3};
  v.bias = {100, -7};
  v.multiplier = {1 << 30, 1 << 30};
  v.shift = {-5, -3};
  v.x_zp = 28;
  return v;
}

TEST(OpDataTest, SerializedCasesReadBack) {
  OpCase original{Values(), {1, 2}};
  OpValues& v = original.values;  // no two of its fields are the same
  v.scale = {0.5F, 0.25F};
  v.x_zp = 1, v.w_zp = 2, v.y_zp = 3, v.act_min = 4, v.act_max = 5;
  OpCase read;
  ASSERT_TRUE(Deserialize(Serialize(original), read));
  EXPECT_EQ(read.values, original.values);
  EXPECT_EQ(read.x, original.x);
}

TEST(OpDataTest, CutOrOverlongBytesAreRefused) {
  const std::string bytes = Serialize(OpCase{Values(), {1, 2}});
  OpCase read;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(Deserialize(bytes.substr(0, size), read)) << size;
  }
  EXPECT_FALSE(Deserialize(bytes + '\0', read));
}

TEST(ReachableAccumulatorsTest, AreExactOverTheWeights) {
  // x - x_zp is in -156..99.
  const AccumulatorRange first = ReachableAccumulators(TwoByTwo(), Values(), 0);
  EXPECT_EQ(first.low, 100 - 156 * 30);
  EXPECT_EQ(first.high, 100 + 99 * 30);
  const AccumulatorRange second = ReachableAccumulators(TwoByTwo(), Values(), 1);
  EXPECT_EQ(second.low, -7 - 156 * 3 - 99 * 2);
  EXPECT_EQ(second.high, -7 + 99 * 3 + 156 * 2);
}

TEST(ReachableAccumulatorsTest, DepthwiseWeightsAreReadByColumn) {
  Workload w;
  w.op = OpKind::kDepthwise;
  w.c = w.o = 2, w.h = w.kh = 2;
  const OpValues v = Values();  // channel 0: 10, -2; channel 1: 20, 3
  EXPECT_EQ(ReachableAccumulators(w, v, 0).high, 100 + 99 * 10 + 156 * 2);
  EXPECT_EQ(ReachableAccumulators(w, v, 1).high, -7 + 99 * 23);
}

TEST(MisfitTest, FittingValuesHaveNone) { EXPECT_THAT(Misfit(TwoByTwo(), Values()), IsEmpty()); }

TEST(MisfitTest, NamesWhatDoesNotFit) {
  const auto expect = [](auto change, const std::string& message) {
    Workload w = TwoByTwo();
    OpValues v = Values();
    change(w, v);
    EXPECT_THAT(Misfit(w, v), HasSubstr(message));
  };
  expect([](Workload&, OpValues& v) { v.w.pop_back(); }, "w has 3 values, not 4");
  expect([](Workload&, OpValues& v) { v.bias.pop_back(); }, "bias has 1 values, not 2");
  expect([](Workload&, OpValues& v) { v.shift.clear(); }, "shift has 0 values, not 2");
  expect([](Workload&, OpValues& v) { v.scale = {1, 1}; }, "scale has 2 values, not 0");
  expect([](Workload& w, OpValues&) { w.rounding = Rounding::kFloat; }, "multiplier has 2");
  expect([](Workload&, OpValues& v) { v.x_zp = 128; }, "x_zp 128 is not in -128..127");
  expect([](Workload&, OpValues& v) { v.w_zp = 1; }, "w_zp 1 is not in 0..0");
  expect([](Workload&, OpValues& v) { v.act_max = -129; }, "act_max -129");
  expect([](Workload&, OpValues& v) { v.multiplier[1] = 5; }, "channel 1, 5, is neither 0");
  expect([](Workload&, OpValues& v) { v.shift[0] = -32; }, "channel 0, -32, is not in -31..30");
  expect([](Workload& w, OpValues&) { w.per_channel = false; }, "pt, but the factor");
  expect([](Workload&, OpValues& v) { v.bias[0] = INT32_MAX; }, "does not fit 32 bits");
  expect([](Workload&, OpValues& v) { v.shift[0] = 20; }, "<< 20");
}

}  // namespace
}  // namespace kiln
