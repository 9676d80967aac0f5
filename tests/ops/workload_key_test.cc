#include "ops/workload_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/ops/random_workload.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;

constexpr char kConv[] =
    "conv2d/i8/n1h56w56c64/o64/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double";
constexpr char kDepthwise[] =
    "depthwise/u8/n1h14w14c512/m1/k3x3/s1x1/p1,1,1,1/d1x1/pt/wz/act=lohi/rq=int9/double";
constexpr char kDense[] = "dense/u8s8/n4c1024/o1000/pc/wz0/act=none/rq=float/float";

Workload Parse(const std::string& key) {
  const auto workload = ParseWorkload(key);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return workload.ok() ? *workload : Workload{};
}

std::string Replaced(std::string key, const std::string& from, const std::string& to) {
  const auto at = key.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return key.replace(at, from.size(), to);
}

// `at`: what of the key the error must point at; "" is its end.
void ExpectError(const std::string& key, const std::string& at, const std::string& message) {
  const auto workload = ParseWorkload(key);
  ASSERT_FALSE(workload.ok()) << key;
  EXPECT_EQ(workload.status().code(), StatusCode::kInvalidArgument);
  const auto position = at.empty() ? key.size() : key.find(at);
  EXPECT_THAT(Message(workload.status()),
              HasSubstr("character " + std::to_string(position + 1) + ": "));
  EXPECT_THAT(Message(workload.status()), HasSubstr(message));
}

TEST(WorkloadKeyTest, ReadsEveryField) {
  const Workload conv = Parse(kConv);
  EXPECT_EQ(conv.op, OpKind::kConv2d);
  EXPECT_EQ(conv.macs(), std::int64_t{56} * 56 * 64 * 9 * 64);
  EXPECT_EQ(conv.act, Activation::kLo);
  EXPECT_EQ(conv.rq, RequantizeForm::kInt7);

  const Workload depthwise = Parse(kDepthwise);
  EXPECT_EQ(depthwise.op, OpKind::kDepthwise);
  EXPECT_EQ(depthwise.o, 512);
  EXPECT_FALSE(depthwise.per_channel);
  EXPECT_TRUE(depthwise.weight_zero_point);

  const Workload dense = Parse(kDense);
  EXPECT_EQ(dense.op, OpKind::kDense);
  EXPECT_EQ(dense.type, DataType::kU8S8);
  EXPECT_EQ(dense.n, 4);
  EXPECT_EQ(dense.c, 1024);
  EXPECT_EQ(dense.rounding, Rounding::kFloat);
}

TEST(WorkloadKeyTest, KeysReadBack) {
  for (const char* key : {kConv, kDepthwise, kDense}) EXPECT_EQ(Key(Parse(key)), key);
}

TEST(WorkloadKeyTest, RandomWorkloadsReadBack) {
  Rng rng(1);
  int seen = 0;
  for (int i = 0; i < 20'000; ++i) {
    const auto workload = DrawWorkload(rng);
    if (!workload) continue;
    ++seen;
    ASSERT_EQ(Parse(Key(*workload)), *workload) << Key(*workload);
  }
  EXPECT_GT(seen, 3'000);
}

TEST(WorkloadKeyTest, CanonicalFormIsAFixedPoint) {
  Rng rng(2);
  for (int i = 0; i < 5'000; ++i) {
    const auto workload = DrawWorkload(rng);
    if (!workload) continue;
    const auto again = Canonical(*workload);
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_EQ(*again, *workload);
  }
}

// One character changed, dropped or doubled: refused, or another workload, never the same.
TEST(WorkloadKeyTest, NoTwoKeysAreReadAsTheSameWorkload) {
  for (const std::string key : {kConv, kDepthwise, kDense}) {
    const Workload original = Parse(key);
    for (std::size_t i = 0; i < key.size(); ++i) {
      for (const std::string& with : {std::string(), std::string(2, key[i]), std::string("0"),
                                      std::string("1"), std::string(" "), std::string("x")}) {
        const std::string changed = key.substr(0, i) + with + key.substr(i + 1);
        const auto workload = ParseWorkload(changed);
        if (changed == key || !workload.ok()) continue;
        EXPECT_NE(*workload, original) << changed;
        EXPECT_EQ(Key(*workload), changed);
      }
    }
  }
}

TEST(WorkloadKeyTest, ReadsTheClassOfWeights) {
  EXPECT_FALSE(Parse(kConv).full_range_weights);
  const std::string full = Replaced(kConv, "wz0", "wz0full");
  EXPECT_TRUE(Parse(full).full_range_weights);
  EXPECT_FALSE(Parse(full).weight_zero_point);
  EXPECT_EQ(Key(Parse(full)), full);
  ExpectError(Replaced(kDepthwise, "/wz/", "/wz0full/"), "full",
              "not the canonical key of this computation");
}

TEST(WorkloadKeyTest, ErrorsPointAtTheCharacter) {
  ExpectError("", "", "expected one of conv2d, depthwise, dense, found the end");
  ExpectError("conv3d/i8", "conv3d",
              "expected one of conv2d, depthwise, dense, found \"conv3d/i8\"");
  ExpectError(Replaced(kConv, "i8", "i16"), "i16", "expected one of i8, u8s8, u8");
  ExpectError(Replaced(kConv, "n1h", "n0h"), "0h", "expected a number from 1 to 1000000");
  ExpectError(Replaced(kConv, "n1h", "n01h"), "01h", "without leading zeros");
  ExpectError(Replaced(kConv, "n1h", "n1000001h"), "1000001h", "expected a number");
  ExpectError(Replaced(kConv, "n1h", "n99999999999999999999h"), "99999999999999999999h",
              "expected a number");
  ExpectError(Replaced(kConv, "h56w", "w56h"), "w56h", "expected \"h\", found \"w56h56c64/o6\"");
  ExpectError(Replaced(kConv, "k3x3", "k3*3"), "*3", "expected \"x\"");
  ExpectError(Replaced(kConv, "p1,1,1,1", "p1,1,1"), "/d1x1", "expected \",\"");
  ExpectError(Replaced(kConv, "/pc", "/per"), "per", "expected pt or pc");
  ExpectError(Replaced(kConv, "wz0", "wz1"), "wz1", "expected wz0, wz0full or wz");
  ExpectError(Replaced(kConv, "rq=int7", "rq=int8"), "int8", "expected one of step1");
  ExpectError(std::string(kConv) + "!", "double!", "expected one of double, single, float");
  ExpectError(std::string(kConv) + "/x", "/x", "expected the end of the key");
  ExpectError(std::string(kConv).substr(0, 20), "", "expected \"/\", found the end");
}

TEST(WorkloadKeyTest, ErrorsOfMeaningPointAtTheirPart) {
  ExpectError(Replaced(kConv, "g1", "g3"), "g3", "3 groups do not divide 64 input and 64 output");
  ExpectError(Replaced(kConv, "p1,1,1,1", "p3,1,1,1"), "p3", "padding must be smaller");
  ExpectError(Replaced(kConv, "k3x3", "k99x3"), "k99", "the output is empty");
  ExpectError(Replaced(kConv, "wz0", "wz"), "wz", "only type u8 may have wz");
  ExpectError(Replaced(kConv, "rq=int7", "rq=float"), "rq=", "rq=float and rounding float");
  ExpectError(Replaced(kConv, "act=lo", "act=none"), "rq=", "needs act=lo or act=lohi");
}

TEST(WorkloadKeyTest, SizesThatOverflowAreRefused) {
  ExpectError(Replaced(kConv, "n1h56w56c64", "n1000000h1000000w1000000c64"), "n1000000",
              "bytes of input");
  ExpectError(Replaced(kConv, "c64/o64/k3x3/s1x1/p1,1,1,1/d1x1",
                       "c64/o64/k1000000x3/s1x1/p1,1,1,1/d1000000x1"),
              "k1000000", "the output is empty");
  ExpectError(Replaced(kDense, "n4c1024/o1000", "n1000c1000000/o1000000"), "o1000000",
              "bytes of weights");
  ExpectError(Replaced(kDepthwise, "c512/m1", "c1000000/m1000000"), "m1000000", "output channels");
  ExpectError(Replaced(kDense, "n4c1024/o1000", "n100000c10000/o10000"), "n100000",
              "multiply-accumulates");
}

TEST(WorkloadKeyTest, AKeyThatIsNotCanonicalIsToldTheCanonicalOne) {
  const std::string key = Replaced(Replaced(kConv, "s1x1", "s2x2"), "h56w56", "h56w55");
  const std::string canonical = Replaced(key, "p1,1,1,1", "p1,1,0,1");
  ExpectError(key, "1,1/d1x1", "not the canonical key of this computation, which is " + canonical);
  const auto read = ReadWorkload(key);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(Key(*read), canonical);
}

TEST(CanonicalTest, GivesEqualComputationsEqualKeys) {
  const auto expect_same = [](const std::string& key, const std::string& canonical) {
    const auto workload = ReadWorkload(key);
    ASSERT_TRUE(workload.ok()) << workload.status();
    EXPECT_EQ(Key(*workload), canonical);
    EXPECT_TRUE(ParseWorkload(canonical).ok()) << canonical;
  };
  const std::string tail = "/pc/wz0/act=none/rq=gen/double";
  // A convolution with a group per channel is a depthwise one, unless there is one channel.
  expect_same("conv2d/i8/n1h8w8c16/o32/k3x3/s1x1/p1,1,1,1/d1x1/g16" + tail,
              "depthwise/i8/n1h8w8c16/m2/k3x3/s1x1/p1,1,1,1/d1x1" + tail);
  expect_same("depthwise/i8/n1h8w8c1/m32/k3x3/s1x1/p1,1,1,1/d1x1" + tail,
              "conv2d/i8/n1h8w8c1/o32/k3x3/s1x1/p1,1,1,1/d1x1/g1" + tail);
  // A 1x1 convolution of one pixel is dense.
  expect_same("conv2d/i8/n2h1w1c16/o32/k1x1/s2x2/p0,0,0,0/d2x2/g1" + tail,
              "dense/i8/n2c16/o32" + tail);
  // Strides, dilations and paddings without effect.
  expect_same("conv2d/i8/n1h4w4c3/o8/k4x1/s3x1/p0,0,0,0/d1x2/g1" + tail,
              "conv2d/i8/n1h4w4c3/o8/k4x1/s1x1/p0,0,0,0/d1x1/g1" + tail);
  expect_same("conv2d/i8/n1h224w224c3/o64/k7x7/s2x2/p3,3,3,3/d1x1/g1" + tail,
              "conv2d/i8/n1h224w224c3/o64/k7x7/s2x2/p3,3,2,2/d1x1/g1" + tail);
  // An axis with one output: the least stride that leaves it one, not the next smaller.
  expect_same("conv2d/i8/n1h2w2c16/o8/k1x1/s2x2/p0,0,0,0/d1x1/g1" + tail,
              "conv2d/i8/n1h2w2c16/o8/k1x1/s2x2/p0,0,0,0/d1x1/g1" + tail);
  expect_same("conv2d/i8/n1h4w4c3/o8/k3x3/s9x3/p0,0,0,0/d1x1/g1" + tail,
              "conv2d/i8/n1h4w4c3/o8/k3x3/s2x2/p0,0,0,0/d1x1/g1" + tail);
  expect_same("depthwise/i8/n1h4w4c3/m1/k3x3/s4x4/p0,0,1,2/d1x1" + tail,
              "depthwise/i8/n1h4w4c3/m1/k3x3/s2x2/p0,0,0,0/d1x1" + tail);
  // One output channel has one scale; single rounding has no sign correction to drop.
  expect_same("dense/i8/n1c16/o1/pt/wz0/act=none/rq=gen/double",
              "dense/i8/n1c16/o1/pc/wz0/act=none/rq=gen/double");
  expect_same("dense/i8/n1c16/o8/pc/wz0/act=none/rq=int9/single",
              "dense/i8/n1c16/o8/pc/wz0/act=none/rq=int7/single");
}

// Outputs of the shape as it was given, by TFLite's formula.
std::int64_t GivenOutputs(const Workload& w) {
  if (w.op == OpKind::kDense) return std::int64_t{w.n} * w.o;
  const std::int64_t channels = w.op == OpKind::kDepthwise ? w.c * w.multiplier : w.o;
  return w.n * std::int64_t{w.out_h()} * w.out_w() * channels;
}

TEST(CanonicalTest, LeavesTheNumbersOfInputsOutputsAndWeights) {
  Rng rng(3);
  int one_output = 0;
  for (int i = 0; i < 50'000; ++i) {
    Workload given = DrawGivenWorkload(rng);
    if (rng.Below(2) == 0) given.h = given.kh + static_cast<std::int32_t>(rng.Below(2));
    const auto canonical = Canonical(given);
    if (!canonical.ok()) continue;
    ASSERT_EQ(canonical->outputs(), GivenOutputs(given)) << Key(given) << "\n" << Key(*canonical);
    one_output += canonical->out_h() == 1 && canonical->stride_h > 1 ? 1 : 0;
  }
  EXPECT_GT(one_output, 100);
}

TEST(FormerKeyTest, IsThatOfNarrowWeightsAndOfStrideOne) {
  EXPECT_EQ(FormerKey(Parse(kConv)), std::nullopt);
  EXPECT_EQ(FormerKey(Parse(kDepthwise)), std::nullopt);
  EXPECT_EQ(FormerKey(Parse(Replaced(kConv, "wz0", "wz0full"))), kConv);
  const std::string one =
      "conv2d/i8/n1h2w8c16/o8/k1x1/s2x3/p0,0,0,0/d1x1/g1/pc/wz0full/act=none/rq=gen/double";
  EXPECT_EQ(FormerKey(Parse(one)), Replaced(Replaced(one, "s2x3", "s1x3"), "wz0full", "wz0"));
}

TEST(CanonicalTest, IgnoresFieldsThatTheOpDoesNotUse) {
  Workload dense;
  dense.op = OpKind::kDense;
  dense.c = 16, dense.o = 8;
  Workload noisy = dense;
  noisy.h = 7, noisy.kw = 3, noisy.pad_left = 2, noisy.stride_h = 4, noisy.groups = 5,
  noisy.multiplier = 9;
  const auto canonical = Canonical(noisy);
  ASSERT_TRUE(canonical.ok()) << canonical.status();
  EXPECT_EQ(*canonical, dense);
}

TEST(CanonicalTest, RefusesNumbersOutOfRange) {
  Workload w;
  w.stride_h = 0;
  EXPECT_THAT(Message(Canonical(w).status()),
              HasSubstr("strides must be from 1 to 1000000, not 0"));
  w = {};
  w.pad_left = -1;
  EXPECT_THAT(Message(Canonical(w).status()), HasSubstr("paddings must be from 0"));
  w = {};
  w.op = OpKind::kDepthwise;
  w.multiplier = 0;
  EXPECT_THAT(Message(Canonical(w).status()), HasSubstr("multiplier"));
}

}  // namespace
}  // namespace kiln
