#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "base/digest.h"
#include "base/rng.h"
#include "ops/op_data.h"
#include "ops/reference.h"
#include "ops/requantize_form.h"
#include "ops/workload_key.h"
#include "tests/ops/random_workload.h"

namespace kiln {
namespace {

using ::testing::IsEmpty;

constexpr char kConv[] =
    "conv2d/i8/n1h14w14c64/o64/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=step1/double";
constexpr char kPointwise[] =
    "conv2d/i8/n1h28w28c32/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=signed1/double";
constexpr char kDepthwise[] =
    "depthwise/u8/n1h28w28c64/m1/k3x3/s1x1/p1,1,1,1/d1x1/pt/wz/act=lohi/rq=step1/double";
constexpr char kDepthwiseNone[] =
    "depthwise/i8/n1h28w28c64/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=none/rq=signed1/double";
constexpr char kDense[] = "dense/i8/n8c512/o100/pc/wz0/act=none/rq=signed1/double";
constexpr char kGen[] = "dense/i8/n8c512/o100/pc/wz0/act=none/rq=gen/single";
constexpr char kFloat[] = "dense/u8s8/n8c512/o100/pc/wz0/act=lohi/rq=float/float";

Workload Read(const std::string& key) {
  const auto workload = ParseWorkload(key);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return workload.ok() ? *workload : Workload{};
}

std::uint64_t DigestOf(const char* key, DataSet set, std::uint64_t seed) {
  return Digest(Serialize(MakeCase(Read(key), set, seed)));
}

// These numbers change only together with kDataRecipeVersion: digests in stores and on devices of
// another architecture rely on the same bytes.
TEST(DataRecipeTest, BytesArePinned) {
  ASSERT_EQ(kDataRecipeVersion, 3);
  EXPECT_EQ(Hex(DigestOf(kConv, DataSet::kUniform, 1)), "58d5576d512e2f40");
  EXPECT_EQ(Hex(DigestOf(kConv, DataSet::kEdges, 1)), "1ac5e9ba1b2db7c9");
  EXPECT_EQ(Hex(DigestOf(kDepthwise, DataSet::kUniform, 2)), "dc38a2a3da46a2b0");
  EXPECT_EQ(Hex(DigestOf(kDepthwise, DataSet::kEdges, 2)), "22f3e716b6ca3c98");
  EXPECT_EQ(Hex(DigestOf(kGen, DataSet::kUniform, 3)), "4f9ef3a5ab63bdef");
  EXPECT_EQ(Hex(DigestOf(kGen, DataSet::kEdges, 3)), "fb864aaf507fd7a1");
  EXPECT_EQ(Hex(DigestOf(kFloat, DataSet::kUniform, 4)), "71ae35cafaf8af10");
  EXPECT_EQ(Hex(DigestOf(kFloat, DataSet::kEdges, 4)), "fd291e0178764942");
}

// As in legacy models: what a kernel does for weights further than a byte from the zero point must
// be measured, but not in every block of channels.
TEST(DataRecipeTest, FewChannelsHaveWeightsFarFromTheirZeroPoint) {
  const Workload w =
      Read("depthwise/u8/n1h7w7c4096/m1/k3x3/s1x1/p1,1,1,1/d1x1/pt/wz/act=lohi/rq=step1/double");
  int far = 0;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const OpValues v = MakeCase(w, DataSet::kUniform, seed).values;
    for (std::size_t channel = 0; channel < 4096; ++channel) {
      bool is_far = false;
      for (std::size_t tap = 0; tap < 9; ++tap) {
        is_far |= std::abs(2 * (v.w[tap * 4096 + channel] - v.w_zp) + 1) > 255;
      }
      far += is_far ? 1 : 0;
    }
  }
  EXPECT_GT(far, 0);
  EXPECT_LT(far, 10 * 4096 / 64);
}

TEST(DataRecipeTest, SeedsAndSetsDiffer) {
  std::set<std::uint64_t> digests;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    digests.insert(DigestOf(kConv, DataSet::kUniform, seed));
    digests.insert(DigestOf(kConv, DataSet::kEdges, seed));
  }
  EXPECT_EQ(digests.size(), 40u);
}

void ExpectInClass(const Workload& w, const OpValues& v) {
  ASSERT_THAT(Misfit(w, v), IsEmpty()) << Key(w);
  for (std::int32_t channel = 0; channel < w.o; ++channel) {
    ASSERT_TRUE(IsValid(w.rq, ChannelOf(w, v, channel))) << Key(w) << " channel " << channel;
  }
  const bool to_the_top = v.act_max == w.qmax();
  if (w.act == Activation::kNone) {
    EXPECT_TRUE(to_the_top && v.act_min == w.qmin()) << Key(w);
  }
  if (w.act == Activation::kLo) {
    EXPECT_TRUE(to_the_top && v.act_min >= v.y_zp) << Key(w);
  }
  EXPECT_EQ(w.weight_zero_point, w.type == DataType::kU8 && v.w_zp != 128) << Key(w);
  if (w.type != DataType::kU8 && !w.full_range_weights) {
    EXPECT_EQ(std::ranges::count(v.w, 0x80), 0) << Key(w);
  }
}

TEST(DataRecipeTest, ValuesAreInsideTheClassOfEveryWorkload) {
  Rng rng(31);
  int seen = 0;
  for (int i = 0; i < 6'000; ++i) {
    const auto workload = DrawWorkload(rng);
    if (!workload) continue;
    ++seen;
    for (const DataSet set : {DataSet::kUniform, DataSet::kEdges}) {
      const OpCase data = MakeCase(*workload, set, rng.Next());
      ASSERT_EQ(std::ssize(data.x), workload->x_bytes());
      ASSERT_NO_FATAL_FAILURE(ExpectInClass(*workload, data.values));
    }
  }
  EXPECT_GT(seen, 1'000);
}

// Else kernels that cannot take such a weight would pass their trials.
TEST(DataRecipeTest, FullRangeWorkloadsHaveWeightsOfMinus128) {
  for (const char* key : {kConv, kPointwise, kDepthwise, kDense, kGen, kFloat}) {
    std::string full = key;
    const auto at = full.find("/wz0/");
    if (at == std::string::npos) continue;
    const Workload w = Read(full.replace(at, 5, "/wz0full/"));
    for (const DataSet set : {DataSet::kUniform, DataSet::kEdges}) {
      EXPECT_GT(std::ranges::count(MakeCase(w, set, 1).values.w, 0x80), 0) << full;
    }
  }
}

TEST(DataRecipeTest, ValuesOfVeryLongSumsFit32Bits) {
  for (const char* key : {"dense/i8/n1c100000/o5/pc/wz0/act=none/rq=signed1/double",
                          "dense/u8/n1c1000000/o5/pt/wz/act=lo/rq=step1/double",
                          "dense/u8/n1c1000000/o5/pc/wz0/act=lo/rq=gen/double"}) {
    for (std::uint64_t seed = 0; seed < 2; ++seed) {
      for (const DataSet set : {DataSet::kUniform, DataSet::kEdges}) {
        const Workload w = Read(key);
        ExpectInClass(w, MakeCase(w, set, seed).values);
      }
    }
  }
}

TEST(DataRecipeTest, UniformValuesAreClassifiedAsTheWorkloadSays) {
  for (const char* key : {kConv, kPointwise, kDepthwise, kDense, kGen, kFloat}) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
      const Workload w = Read(key);
      EXPECT_EQ(Key(Classify(w, MakeCase(w, DataSet::kUniform, seed).values)), key);
    }
  }
}

// Outputs use the range of their type, and both clamps are seen without dominating.
TEST(DataRecipeTest, UniformOutputsSpreadOverTheirRange) {
  for (const char* key : {kConv, kPointwise, kDepthwise, kDepthwiseNone, kDense, kFloat}) {
    const Workload w = Read(key);
    std::int64_t low = 0, high = 0, all = 0;
    std::set<std::uint8_t> values;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const OpCase data = MakeCase(w, DataSet::kUniform, seed);
      for (const std::uint8_t y : RunReference(w, data.values, data.x)) {
        low += y == static_cast<std::uint8_t>(data.values.act_min);
        high += y == static_cast<std::uint8_t>(data.values.act_max);
        values.insert(y);
        ++all;
      }
    }
    EXPECT_GT(low, 0) << key;
    EXPECT_GT(high, 0) << key;
    EXPECT_LT(low, all * 2 / 5) << key;
    EXPECT_LT(high, all / 4) << key;
    EXPECT_GT(values.size(), 150u) << key;
  }
}

TEST(DataRecipeTest, DepthwiseShiftsAreThoseOfRealNetworks) {
  const OpCase data = MakeCase(Read(kDepthwiseNone), DataSet::kUniform, 5);
  for (const std::int32_t shift : data.values.shift) {
    EXPECT_LE(shift, -1);
    EXPECT_GE(shift, -9);
  }
}

// What the edges are for: a kernel that rounds by another rule, or leaves out the sign correction,
// must not get away with it on any seed.
TEST(DataRecipeTest, EdgesTellRoundingRulesApart) {
  for (const char* key : {kPointwise, kDepthwiseNone}) {
    const Workload w = Read(key);
    Workload other = w;
    other.rounding = Rounding::kSingle;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const OpCase data = MakeCase(w, DataSet::kEdges, seed);
      EXPECT_NE(RunReference(w, data.values, data.x), RunReference(other, data.values, data.x))
          << key << " seed " << seed;
    }
  }
}

TEST(DataRecipeTest, EdgesReachTheEndsOf32Bits) {
  const Workload w = Read(kDense);
  std::int64_t most = 0;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const OpCase data = MakeCase(w, DataSet::kEdges, seed);
    for (const std::int32_t acc : ReferenceAccumulators(w, data.values, data.x)) {
      most = std::max(most, std::abs(std::int64_t{acc}));
    }
  }
  EXPECT_GT(most, std::int64_t{1} << 30);
}

TEST(DataRecipeTest, EdgesVisitZeroPointsAtBothEnds) {
  const Workload w = Read(kPointwise);
  std::set<std::int32_t> x_zps, y_zps;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const OpValues values = MakeCase(w, DataSet::kEdges, seed).values;
    x_zps.insert(values.x_zp), y_zps.insert(values.y_zp);
  }
  EXPECT_TRUE(x_zps.contains(-128) && x_zps.contains(127));
  EXPECT_TRUE(y_zps.contains(-128) && y_zps.contains(127));
}

}  // namespace
}  // namespace kiln
