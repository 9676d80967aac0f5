#include "kernels_templates/achievable_bound.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels_templates/isa/avx.h"
#include "kernels_templates/isa/neon.h"
#include "kernels_templates/isa/requantize.h"
#include "kernels_templates/task.h"
#include "ops/workload_key.h"
#include "tests/kernels_templates/kernel_harness.h"

namespace kiln {
namespace {

const InstructionSet& kAvx512 = RichestSet(Avx512Vnni().required);

// A dot and two vectors per nanosecond, a vector from L1.
MachineLimits Limits() {
  return {.dots_per_ns = {1},
          .vectors_per_ns = 2,
          .levels = {{"L1", 32 << 10, 64}, {"L2", 1 << 20, 32}, {"memory", 0, 8}}};
}

Workload Parse(const std::string& key) {
  const StatusOr<Workload> workload = ParseWorkload(key);
  EXPECT_TRUE(workload.ok()) << workload.status();
  return workload.ok() ? *workload : Workload();
}

Workload Pointwise(std::int32_t c, std::int32_t o) {
  return Parse("conv2d/i8/n1h8w8c" + std::to_string(c) + "/o" + std::to_string(o) +
               "/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=int7/double");
}

AchievableBound Bound(const Workload& workload, const MachineLimits& limits = Limits()) {
  return LayerBound(workload, kAvx512, limits);
}

TEST(AchievableBoundTest, ReductionAndChannelsAreRoundedUp) {
  EXPECT_DOUBLE_EQ(Bound(Pointwise(64, 32)).dots_ns, 64 * 16 * 2);
  EXPECT_DOUBLE_EQ(Bound(Pointwise(61, 17)).dots_ns, 64 * 16 * 2);
  EXPECT_DOUBLE_EQ(Bound(Pointwise(65, 33)).dots_ns, 64 * 17 * 3);
}

TEST(AchievableBoundTest, AStoredPeakBoundsTheDotsAlone) {
  const double gops = 2 * 16 * 4;  // a dot per nanosecond
  const AchievableBound full = Bound(Pointwise(64, 32), LimitsOfPeak(kAvx512, gops));
  EXPECT_DOUBLE_EQ(full.ns(), 64 * 16 * 2);
  EXPECT_EQ(full.limit(), "dots");
  const Workload whole = Pointwise(64, 32);
  EXPECT_DOUBLE_EQ(2 * static_cast<double>(whole.macs()) / full.ns(), gops) << "nothing is lost";
  EXPECT_DOUBLE_EQ(Bound(Pointwise(61, 17), LimitsOfPeak(kAvx512, gops)).ns(), full.ns());
  for (const Workload& workload : {Pointwise(64, 32), Pointwise(5, 3), Pointwise(1000, 1)}) {
    EXPECT_LE(LayerBound(workload, kAvx512, LimitsOfPeak(kAvx512, gops)).ns(), Bound(workload).ns())
        << "the other limits only add to it";
  }
}

TEST(AchievableBoundTest, GroupsHaveVectorsOfTheirOwnButDepthwiseSharesThem) {
  const Workload grouped =
      Parse("conv2d/i8/n1h8w8c16/o8/k1x1/s1x1/p0,0,0,0/d1x1/g2/pc/wz0/act=lo/rq=int7/double");
  EXPECT_DOUBLE_EQ(Bound(grouped).dots_ns, 64 * 2 * 2);
  const Workload depthwise =
      Parse("depthwise/i8/n1h8w8c8/m1/k1x4/s1x4/p0,0,0,0/d1x1/pc/wz0/act=lo/rq=int7/double");
  EXPECT_DOUBLE_EQ(Bound(depthwise).dots_ns, 16 * 8 / 16);
}

TEST(AchievableBoundTest, TapsInThePaddingAreNotNeeded) {
  // 4 corners have 4 taps, 4 edges 6, the centre 9.
  const Workload padded =
      Parse("conv2d/i8/n1h3w3c4/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double");
  EXPECT_DOUBLE_EQ(Bound(padded).dots_ns, 4 * 4 + 4 * 6 + 9);
}

TEST(AchievableBoundTest, SmallReductionsAreBoundByRequantizing) {
  const AchievableBound bound = Bound(Pointwise(4, 16));
  const double instructions = RequantizeInstructions(Avx512Vnni(), Pointwise(4, 16));
  EXPECT_DOUBLE_EQ(bound.dots_ns, 64);
  EXPECT_DOUBLE_EQ(bound.vectors_ns, 64 * (1 + instructions) / 2);
  EXPECT_EQ(bound.limit(), "vectors");
  EXPECT_EQ(bound.ns(), bound.vectors_ns);
  EXPECT_EQ(Bound(Pointwise(1024, 64)).limit(), "dots");
}

TEST(AchievableBoundTest, WhatALevelDoesNotHoldComesFromTheNext) {
  const Workload dense = Parse("dense/i8/n1c2048/o2048/pc/wz0/act=none/rq=int9/double");
  const double bytes = 2048.0 * 2048 + 2048 + 2048;
  const AchievableBound bound = Bound(dense);
  EXPECT_DOUBLE_EQ(bound.memory_ns, (bytes - (1 << 20)) / 8);
  EXPECT_EQ(bound.limit(), "memory");

  MachineLimits all_in_l2 = Limits();
  all_in_l2.levels[1].capacity_bytes = 8 << 20;
  EXPECT_DOUBLE_EQ(Bound(dense, all_in_l2).memory_ns, (bytes - (32 << 10)) / 32);
}

TEST(AchievableBoundTest, PixelsThatNoTapReadsAreNotLoaded) {
  MachineLimits slow = Limits();
  slow.levels = {{"memory", 0, 1}};
  const Workload strided =
      Parse("conv2d/i8/n1h8w8c16/o16/k1x1/s2x2/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=int7/double");
  EXPECT_DOUBLE_EQ(Bound(strided, slow).memory_ns, 4 * 4 * 16 + 16 * 16 + 4 * 4 * 16);
}

TEST(AchievableBoundTest, MoreWorkNeverTakesLess) {
  double before = 0;
  for (std::int32_t c = 1; c < 200; ++c) {
    const double now = Bound(Pointwise(c, 24)).ns();
    EXPECT_GE(now, before) << c;
    before = now;
  }
  before = 0;
  for (std::int32_t o = 1; o < 100; ++o) {
    const double now = Bound(Pointwise(16, o)).ns();
    EXPECT_GE(now, before) << o;
    before = now;
  }
}

// NEON: bytes by fours, or words one by one, which are three times as fast here: enough for five.
TEST(AchievableBoundTest, OfTwoMethodsTheOneThatIsThroughFirstCounts) {
  const InstructionSet& neon = RichestSet(NeonMull().required);
  ASSERT_THAT(neon.methods, testing::ElementsAre(&NeonMull(), &NeonMlal()));
  MachineLimits limits = Limits();
  limits.dots_per_ns = {1, 3};
  limits.vectors_per_ns = 1000;
  const auto dots_ns = [&](std::int32_t c) {
    return LayerBound(Pointwise(c, 32), neon, limits).dots_ns;
  };
  const double vectors = 64 * 32 / 4;
  EXPECT_DOUBLE_EQ(dots_ns(64), vectors * 16);    // 16 dots of fours, or 64 / 3
  EXPECT_DOUBLE_EQ(dots_ns(65), vectors * 17);    // 17, or 65 / 3
  EXPECT_DOUBLE_EQ(dots_ns(5), vectors * 5 / 3);  // 2, or 5 / 3
}

TEST(AchievableBoundTest, AFasterMachineNeverTakesLonger) {
  for (const Workload& workload : {Pointwise(16, 24), Pointwise(512, 512)}) {
    MachineLimits limits = Limits();
    const double before = Bound(workload, limits).ns();
    limits.dots_per_ns[0] *= 2;
    limits.vectors_per_ns *= 2;
    for (auto& level : limits.levels) level.bytes_per_ns *= 2;
    EXPECT_DOUBLE_EQ(Bound(workload, limits).ns(), before / 2);
  }
}

TEST(AchievableBoundTest, ASchedulesBoundIsNeverBelowItsLayers) {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  const Target target = TestTarget(Avx512Vnni().required);
  for (const char* key :
       {"conv2d/i8/n1h9w9c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double",
        "conv2d/i8/n1h7w7c30/o40/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=int9/double",
        "depthwise/i8/n1h14w14c24/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
        "dense/i8/n1c100/o30/pc/wz0/act=none/rq=int9/double"}) {
    const Workload workload = Parse(key);
    const StatusOr<Task> task = Task::Create(registry, {workload, target, 1});
    ASSERT_TRUE(task.ok()) << task.status();
    const double layer = Bound(workload).ns();
    bool some_need_more = false;
    const std::uint64_t step = std::max<std::uint64_t>(1, task->space().size() / 50);
    for (std::uint64_t i = 0; i < task->space().size(); i += step) {
      const StatusOr<LoopProgram> program =
          task->kernel_template().Lower(task->spec(), task->space(), task->space().At(i));
      ASSERT_TRUE(program.ok()) << program.status();
      const OpCounts counts = program->Count();
      const double schedule = ScheduleBound(workload, counts, kAvx512, Limits()).ns();
      EXPECT_GE(schedule, layer) << key;
      some_need_more |= schedule > layer;
    }
    EXPECT_TRUE(some_need_more) << key;
  }
}

// Not by the maximum in ScheduleBound alone: no program has fewer dots than its layer needs.
TEST(AchievableBoundTest, NoProgramHasFewerDotsThanItsLayersBound) {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  const Target target = TestTarget(Avx512Vnni().required);
  for (const char* key :
       {"conv2d/i8/n1h9w9c8/o16/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double",
        "depthwise/i8/n1h14w14c70/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
        "dense/i8/n3c129/o66/pc/wz0/act=lo/rq=int7/double"}) {
    const Workload workload = Parse(key);
    const StatusOr<Task> task = Task::Create(registry, {workload, target, 1});
    ASSERT_TRUE(task.ok()) << task.status();
    const double dots = Bound(workload).dots_ns;  // one per nanosecond
    const std::uint64_t step = std::max<std::uint64_t>(1, task->space().size() / 50);
    for (std::uint64_t i = 0; i < task->space().size(); i += step) {
      const StatusOr<LoopProgram> program =
          task->kernel_template().Lower(task->spec(), task->space(), task->space().At(i));
      ASSERT_TRUE(program.ok()) << program.status();
      EXPECT_GE(program->Count().dots, dots) << key << " " << task->space().Id(task->space().At(i));
    }
  }
}

}  // namespace
}  // namespace kiln
