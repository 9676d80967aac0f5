#include "ops/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "ops/quantization.h"
#include "tests/ops/random_case.h"
#include "tests/ops/random_workload.h"

namespace kiln {
namespace {

using ::testing::ElementsAre;

Workload Read(const std::string& key) {
  const auto workload = ReadWorkload(key);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return workload.ok() ? *workload : Workload{};
}

std::int64_t Value(std::uint8_t byte, bool is_unsigned) {
  return is_unsigned ? std::int64_t{byte} : static_cast<std::int8_t>(byte);
}

// The definition, spelled out as loops over every index: an opinion of its own.
std::vector<std::int32_t> NaiveAccumulators(const Workload& w, const OpValues& v,
                                            const std::vector<std::uint8_t>& x) {
  std::vector<std::int32_t> out;
  const bool depthwise = w.op == OpKind::kDepthwise;
  const int group_in = w.c / w.groups, group_out = w.o / w.groups;
  for (int n = 0; n < w.n; ++n)
    for (int oy = 0; oy < w.out_h(); ++oy)
      for (int ox = 0; ox < w.out_w(); ++ox)
        for (int o = 0; o < w.o; ++o) {
          std::int64_t acc = v.bias.empty() ? 0 : v.bias[o];
          for (int ky = 0; ky < w.kh; ++ky)
            for (int kx = 0; kx < w.kw; ++kx)
              for (int i = 0; i < (depthwise ? 1 : group_in); ++i) {
                const int y = oy * w.stride_h + ky * w.dilation_h - w.pad_top;
                const int xx = ox * w.stride_w + kx * w.dilation_w - w.pad_left;
                if (y < 0 || xx < 0 || y >= w.h || xx >= w.w) continue;
                const int channel = depthwise ? o / w.multiplier : o / group_out * group_in + i;
                const int x_at = ((n * w.h + y) * w.w + xx) * w.c + channel;
                const int w_at = depthwise ? (ky * w.kw + kx) * w.o + o
                                           : ((o * w.kh + ky) * w.kw + kx) * group_in + i;
                acc += (Value(x[x_at], w.type != DataType::kI8) - v.x_zp) *
                       (Value(v.w[w_at], w.type == DataType::kU8) - v.w_zp);
              }
          out.push_back(static_cast<std::int32_t>(acc));
        }
  return out;
}

// Every op, type and rounding over odd shapes: strides to 3, dilation 2, padding beyond half of the
// kernel, groups, multipliers to 3.
TEST(ReferenceTest, EqualsTheDefinitionOnRandomShapes) {
  Rng rng(11);
  int seen[3] = {};
  for (int i = 0; i < 3'000; ++i) {
    const auto workload = DrawWorkload(rng);
    if (!workload) continue;
    ++seen[static_cast<int>(workload->op)];
    const OpCase data = DrawCase(*workload, rng);
    const auto expected = NaiveAccumulators(*workload, data.values, data.x);
    ASSERT_EQ(ReferenceAccumulators(*workload, data.values, data.x), expected) << Key(*workload);
    const auto y = RunReference(*workload, data.values, data.x);
    ASSERT_EQ(y.size(), expected.size());
    for (std::size_t at = 0; at < y.size(); ++at) {
      const auto channel = static_cast<std::int32_t>(at % workload->o);
      ASSERT_EQ(y[at], RequantizeReference(*workload, data.values, channel, expected[at]));
    }
  }
  for (const int count : seen) EXPECT_GT(count, 100);
}

// A key that stands for another convolution than the one that was given would give other sums, or
// another number of them.
TEST(ReferenceTest, TheCanonicalFormComputesWhatWasGiven) {
  Rng rng(12);
  int changed = 0;
  for (int i = 0; i < 6'000; ++i) {
    Workload given = DrawGivenWorkload(rng);
    if (given.op == OpKind::kDense) continue;
    if (given.op == OpKind::kDepthwise) given.o = given.c * given.multiplier, given.groups = 1;
    if (rng.Below(3) == 0) given.c = given.groups;
    const auto canonical = Canonical(given);
    if (!canonical.ok()) continue;
    if (given.op == OpKind::kDepthwise) given.o = given.c * given.multiplier;
    OpCase data = DrawCase(given, rng);
    const auto expected = NaiveAccumulators(given, data.values, data.x);
    data.values.w = CanonicalWeights(given, *canonical, data.values.w);
    ASSERT_EQ(ReferenceAccumulators(*canonical, data.values, data.x), expected)
        << Key(given) << "\n"
        << Key(*canonical);
    changed += *canonical != given ? 1 : 0;
  }
  EXPECT_GT(changed, 500);
}

TEST(ReferenceTest, PaddingIsRealZeroNotByteZero) {
  const Workload w =
      Read("conv2d/u8s8/n1h2w2c2/o1/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=none/rq=gen/double");
  OpValues v;
  v.w.assign(18, 1);
  v.x_zp = 10;
  const std::vector<std::uint8_t> x(8, 12);
  EXPECT_THAT(ReferenceAccumulators(w, v, x), ElementsAre(16, 16, 16, 16));
}

TEST(ReferenceTest, DepthwiseOutputChannelIsInputChannelTimesMultiplierPlusM) {
  const Workload w =
      Read("depthwise/i8/n1h1w1c2/m3/k1x1/s1x1/p0,0,0,0/d1x1/pc/wz0/act=none/rq=gen/double");
  OpValues v;
  v.w = {1, 2, 3, 4, 5, 6};
  EXPECT_THAT(ReferenceAccumulators(w, v, std::vector<std::uint8_t>{10, 100}),
              ElementsAre(10, 20, 30, 400, 500, 600));
}

TEST(ReferenceTest, RequantizeAddsTheZeroPointThenClamps) {
  Workload w;
  OpValues v;
  v.multiplier = {1 << 30};
  v.shift = {0};
  v.y_zp = -100, v.act_min = -90, v.act_max = 50;
  const auto y = [&](std::int32_t acc) {
    return static_cast<std::int8_t>(RequantizeReference(w, v, 0, acc));
  };
  EXPECT_EQ(y(40), -80);
  EXPECT_EQ(y(19), -90);  // 10 - 100
  EXPECT_EQ(y(-40), -90);
  EXPECT_EQ(y(300), 50);
  EXPECT_EQ(y(298), 49);
  EXPECT_EQ(y(INT32_MAX), 50);
  EXPECT_EQ(y(INT32_MIN), -90);
}

TEST(ReferenceTest, UnsignedOutputsAreBytes) {
  Workload w;
  w.type = DataType::kU8S8;
  w.rounding = Rounding::kFloat;
  OpValues v;
  v.scale = {0.5f};
  v.y_zp = 128, v.act_min = 0, v.act_max = 255;
  EXPECT_EQ(RequantizeReference(w, v, 0, 250), 253);
  EXPECT_EQ(RequantizeReference(w, v, 0, -300), 0);
}

// What shape is canonical is free to choose only because both orders of weights mean the same.
TEST(CanonicalWeightsTest, TheCanonicalOpGivesTheSameOutputs) {
  Rng rng(12);
  const std::string tail = "/pc/wz0/act=none/rq=gen/double";
  Workload grouped = Read("conv2d/i8/n1h5w5c2/o6/k3x3/s1x1/p1,1,1,1/d1x1/g1" + tail);
  grouped.groups = 2;
  Workload single = Read("depthwise/i8/n1h5w5c2/m3/k3x3/s1x1/p1,1,1,1/d1x1" + tail);
  single.c = 1, single.o = 3;
  for (const Workload& given : {grouped, single}) {
    const auto canonical = Canonical(given);
    ASSERT_TRUE(canonical.ok()) << canonical.status();
    ASSERT_NE(canonical->op, given.op);
    const OpCase data = DrawCase(given, rng);
    OpValues values = data.values;
    values.w = CanonicalWeights(given, *canonical, values.w);
    EXPECT_EQ(RunReference(*canonical, values, data.x), RunReference(given, data.values, data.x));
  }
}

}  // namespace
}  // namespace kiln
