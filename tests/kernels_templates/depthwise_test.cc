#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "kernel_harness.h"
#include "kernels_templates/depthwise/depthwise_lower.h"
#include "kernels_templates/depthwise/depthwise_template.h"
#include "kernels_templates/task.h"
#include "ops/reference.h"
#include "ops/workload_key.h"
#include "template_checks.h"

namespace kiln {
namespace {

Task MakeTask(const Workload& workload, const VectorIsa& isa, std::int32_t threads = 1) {
  auto task =
      Task::Create(NewDepthwiseTemplate(isa), {workload, TestTarget(isa.required), threads});
  EXPECT_TRUE(task.ok()) << Message(task.status());
  return *std::move(task);
}

// Any depthwise convolution that is canonical: odd shapes, all types and classes.
Workload DrawDepthwise(Rng& rng) {
  const auto between = [&rng](std::int64_t low, std::int64_t high) {
    return static_cast<std::int32_t>(rng.Between(low, high));
  };
  constexpr std::int32_t kChannels[] = {1,  3,  4,  7,  8,  16,  17,  24,
                                        32, 40, 64, 72, 96, 100, 128, 136};
  for (;;) {
    Workload w;
    w.op = OpKind::kDepthwise;
    w.type = static_cast<DataType>(rng.Below(3));
    w.n = between(1, 2), w.h = between(1, 13), w.w = between(1, 17);
    w.c = kChannels[rng.Below(std::size(kChannels))];
    w.multiplier = rng.Below(5) == 0 ? between(2, 3) : 1;
    w.o = w.c * w.multiplier;
    w.kh = between(1, 7), w.kw = between(1, 7);
    if (rng.Below(3) == 0) w.kh = w.kw = 3;
    w.stride_h = between(1, 3), w.stride_w = rng.Below(2) == 0 ? w.stride_h : between(1, 3);
    w.dilation_h = rng.Below(4) == 0 ? 2 : 1, w.dilation_w = rng.Below(4) == 0 ? 2 : 1;
    w.pad_top = between(0, 4), w.pad_left = between(0, 4);
    w.pad_bottom = between(0, 4), w.pad_right = between(0, 4);
    w.per_channel = rng.Below(2) == 0;
    w.weight_zero_point = w.type == DataType::kU8 && rng.Below(3) > 0;
    w.act = static_cast<Activation>(rng.Below(3));
    w.rq = static_cast<RequantizeForm>(rng.Below(8));
    w.rounding =
        w.rq == RequantizeForm::kFloat ? Rounding::kFloat : static_cast<Rounding>(rng.Below(2));
    const auto canonical = Canonical(w);
    if (canonical.ok() && canonical->op == OpKind::kDepthwise) return *canonical;
  }
}

using DepthwiseTest = TemplateTest;
INSTANTIATE_TEST_SUITE_P(All, DepthwiseTest, kEveryIsa,
                         [](const auto& param_info) { return param_info.param; });

TEST_P(DepthwiseTest, RandomConfigsOfRandomWorkloadsAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  ExpectRandomConfigsExact(isa(), Rng(20 + isa().lanes), 72, [this](Rng& rng) {
    return MakeTask(DrawDepthwise(rng), isa(), static_cast<std::int32_t>(rng.Between(1, 3)));
  });
}

bool Slides(const Task& task, const Config& config) {
  return task.space().Label(config, "loop") != "tile";
}

const char* const kTail =
    "depthwise/i8/n1h12w12c144/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double";

// Few of a space's configs slide, so they are drawn on their own.
std::vector<Config> SlidingConfigs(const Task& task) {
  std::vector<Config> configs;
  for (std::uint64_t i = 0; i < task.space().size(); ++i) {
    if (const Config config = task.space().At(i); Slides(task, config)) configs.push_back(config);
  }
  return configs;
}

// A depthwise convolution that can slide: mostly without dilation, as that takes accumulators, and
// with channel counts of all kinds of blocks.
Workload DrawSliding(Rng& rng, const VectorIsa&) {
  constexpr std::int32_t kChannels[] = {8, 16, 16, 24, 32, 32, 40, 48, 64, 72, 100, 128, 136};
  constexpr std::int32_t kKernels[] = {3, 3, 5, 5, 1, 2, 4, 6, 7};
  for (;;) {
    Workload w = DrawDepthwise(rng);
    w.c = kChannels[rng.Below(std::size(kChannels))];
    w.o = w.c * w.multiplier;
    w.kh = kKernels[rng.Below(std::size(kKernels))];
    w.kw = rng.Below(3) > 0 ? w.kh : kKernels[rng.Below(std::size(kKernels))];
    if (rng.Below(4) > 0) w.dilation_w = 1;
    if (rng.Below(2) > 0) w.stride_w = 1;
    if (rng.Below(2) > 0) w.w *= 2;
    if (w.rq == RequantizeForm::kGen) continue;
    const auto canonical = Canonical(w);
    if (canonical.ok() && canonical->op == OpKind::kDepthwise) return *canonical;
  }
}

// A task of a drawn workload, and one of those of its configs that `configs_of` picks.
std::pair<Task, Config> DrawConfig(Rng& rng, const VectorIsa& isa,
                                   Workload (*draw)(Rng&, const VectorIsa&),
                                   std::vector<Config> (*configs_of)(const Task&)) {
  for (;;) {
    Task task = MakeTask(draw(rng, isa), isa, static_cast<std::int32_t>(rng.Between(1, 3)));
    const std::vector<Config> configs = configs_of(task);
    if (configs.empty()) continue;
    return {std::move(task), configs[rng.Below(configs.size())]};
  }
}

std::pair<Task, Config> DrawSlidingConfig(Rng& rng, const VectorIsa& isa) {
  return DrawConfig(rng, isa, DrawSliding, SlidingConfigs);
}

// The labels of what was drawn.
class DrawnLabels {
 public:
  // Whether one of them is new.
  bool Add(const Task& task, const Config& config) {
    bool any = drawn_.insert("out_h=" + std::to_string(task.workload().out_h())).second;
    for (const auto& [knob, label] : task.space().Labels(config)) {
      any |= drawn_.insert(knob + "=" + label).second;
    }
    return any;
  }
  const std::set<std::string>& all() const { return drawn_; }

 private:
  std::set<std::string> drawn_;
};

// Draws(`count`) configs that `draw` draws, and of all `count` those with a label that none had
// before, are bit-exact; returns the labels that they had.
template <typename Draw>
std::set<std::string> ExpectDrawnExact(const VectorIsa& isa, Rng rng, std::size_t count,
                                       Draw draw) {
  std::vector<NamedWorkload> trials;
  std::vector<KernelSource> sources;
  DrawnLabels drawn;
  for (std::size_t i = 0; i < count; ++i) {
    const auto [task, config] = draw(rng, isa);
    if (!drawn.Add(task, config) && trials.size() >= Draws(isa, count)) continue;
    trials.push_back({Describe(task, config), task.workload()});
    sources.push_back(*task.Emit(config));
  }
  ExpectExact(trials, sources, isa);
  return drawn.all();
}

TEST_P(DepthwiseTest, RandomSlidingRowsAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  if (isa().group < 4) GTEST_SKIP() << "rows slide with dots of four taps only";
  std::vector<std::string> knobs = {"loop=slide",
                                    "loop=halves",
                                    "weights=memory",
                                    "weights=registers",
                                    "group=mixed",
                                    "order=outer",
                                    "pixels=2",
                                    "split=rows",
                                    "split=blocks",
                                    "data_pad_inline=inline",
                                    "data_pad_inline=root"};
  // A block of few channels has one 128-bit part, and seldom room for four pixels.
  if (isa().lanes > 4) knobs.insert(knobs.end(), {"data_vec_inline=shift", "pixels=4"});
  EXPECT_THAT(ExpectDrawnExact(isa(), Rng(77), 96, DrawSlidingConfig),
              testing::IsSupersetOf(knobs));
}

// The configs of a task that `wanted` picks, at most `most` of them.
template <typename Wanted>
void ExpectConfigsExact(const Task& task, const VectorIsa& isa, std::size_t most, Wanted wanted) {
  std::vector<Config> configs;
  for (std::uint64_t i = 0; i < task.space().size(); ++i) {
    if (const Config config = task.space().At(i); wanted(config)) configs.push_back(config);
  }
  Rng rng(82);
  while (configs.size() > most)
    configs.erase(configs.begin() + static_cast<std::ptrdiff_t>(rng.Below(configs.size())));
  std::vector<NamedWorkload> trials;
  std::vector<KernelSource> sources;
  for (const Config& config : configs) {
    trials.push_back({Describe(task, config), task.workload()});
    sources.push_back(*task.Emit(config));
  }
  EXPECT_FALSE(trials.empty()) << task.Key();
  ExpectExact(trials, sources, isa);
}

// Two pixels of 16 channels, or the three of a narrow image, in a block with room for four.
TEST_P(DepthwiseTest, BlocksThatTheirPixelsDoNotFillAreShiftedByPixels) {
  SKIP_WITHOUT_MACHINE();
  if (isa().lanes < 16) GTEST_SKIP() << "two pixels fill a block, or one does";
  for (const char* key :
       {"depthwise/i8/n1h6w12c16/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=step1/double",
        "depthwise/i8/n1h5w3c16/m1/k3x2/s1x1/p1,1,1,0/d1x1/pc/wz0/act=lo/rq=step1/double"}) {
    const Task task = MakeTask(Parse(key), isa());
    ExpectConfigsExact(task, isa(), 10, [&](const Config& config) {
      const std::int64_t pixels = task.space().Value(config, "pixels");
      return task.space().Label(config, "data_vec_inline") == "shift" &&
             (pixels == 2 || pixels == 3);
    });
  }
}

// A row of operands has fewer columns than the image: one for each place of a block of pixels.
TEST_P(DepthwiseTest, RowsOfOperandsEndWithTheLastBlockOfPixels) {
  SKIP_WITHOUT_MACHINE();
  // Channels of which two and more pixels fill a block of either method.
  Workload w =
      Parse("depthwise/i8/n1h14w14c8/m1/k3x3/s1x1/p0,0,0,0/d1x1/pc/wz0/act=lohi/rq=float/float");
  w.c = w.o = isa().lanes / 2;
  const Task task = MakeTask(w, isa());
  ExpectConfigsExact(task, isa(), 12, [&](const Config& config) {
    return task.space().Value(config, "pixels") > 1 &&
           task.space().Label(config, "data_vec_inline") == "row" &&
           task.space().Label(config, "data_pad_inline") == "inline";
  });
}

// Kernels of streaming keyword spotting and of speech models, and the longest ones.
TEST_P(DepthwiseTest, LongKernelsAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  std::vector<NamedWorkload> trials;
  std::vector<KernelSource> sources;
  Rng rng(83);
  for (const char* key :
       {"depthwise/i8/n1h21w1c64/m1/k21x1/s1x1/p0,0,0,0/d1x1/pc/wz0/act=lo/rq=step1/double",
        "depthwise/i8/n1h23w1c40/m1/k23x1/s1x1/p0,0,0,0/d1x1/pc/wz0/act=none/rq=gen/single",
        "depthwise/i8/n1h50w1c144/m1/k31x1/s1x1/p15,0,15,0/d1x1/pc/wz0/act=lohi/rq=float/float",
        "depthwise/u8/n1h2w70c24/m1/k1x31/s1x2/p0,15,0,14/d1x1/pt/wz/act=none/rq=int9/double",
        "depthwise/u8s8/n1h70w3c7/m2/k64x1/s3x1/p30,0,9,0/d1x1/pc/wz0/act=lo/rq=int7/double",
        "depthwise/i8/n1h60w5c16/m1/k56x4/s1x1/p8,1,7,2/d1x1/pc/wz0/act=lo/rq=int7/single"}) {
    const Task task = MakeTask(Parse(key), isa());
    const std::set<Config> configs = {task.kernel_template().Default(task.spec(), task.space()),
                                      task.space().Sample(rng)};
    for (const Config& config : configs) {
      trials.push_back({Describe(task, config), task.workload()});
      sources.push_back(*task.Emit(config));
    }
  }
  ExpectExact(trials, sources, isa());
}

// What has columns that can be interleaved in pairs: padding and an image's end at either column.
Workload DrawPaired(Rng& rng, const VectorIsa& isa) {
  for (;;) {
    Workload w = DrawSliding(rng, isa);
    w.kh = w.kw = 3;
    w.stride_w = 2;
    w.dilation_w = 1;
    w.pad_left = static_cast<std::int32_t>(rng.Below(2));
    const auto canonical = Canonical(w);
    if (canonical.ok() && canonical->op == OpKind::kDepthwise) return *canonical;
  }
}

std::vector<Config> PairedConfigs(const Task& task) {
  std::vector<Config> configs;
  for (const Config& config : SlidingConfigs(task)) {
    if (task.space().Label(config, "group") == "paired") configs.push_back(config);
  }
  return configs;
}

std::pair<Task, Config> DrawPairedConfig(Rng& rng, const VectorIsa& isa) {
  return DrawConfig(rng, isa, DrawPaired, PairedConfigs);
}

TEST_P(DepthwiseTest, RandomPairsOfColumnsAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  if (isa().group < 4) GTEST_SKIP() << "rows slide with dots of four taps only";
  const std::set<std::string> drawn = ExpectDrawnExact(isa(), Rng(79), 64, DrawPairedConfig);
  EXPECT_THAT(drawn, testing::IsSupersetOf({"weights=memory", "order=inner", "order=outer",
                                            "data_pad_inline=inline", "data_pad_inline=row",
                                            "data_pad_inline=root"}));
  EXPECT_EQ(drawn.contains("weights=registers"), isa().registers >= 32);
}

// As many channels for the instruction set's blocks as `channels` are for blocks of 64.
std::int32_t InBlocksOf(const VectorIsa& isa, std::int32_t channels) {
  return (channels * isa.lanes + 15) / 16;
}

// A convolution with a tail of channels that a stack of rows can fill: of few rows, so that the
// last stack overlaps, and that pad above and below.
Workload DrawTail(Rng& rng, const VectorIsa& isa) {
  constexpr std::int32_t kChannels[] = {65, 72, 80, 88, 96, 136, 144, 160};
  constexpr std::int32_t kKernels[] = {3, 3, 3, 5, 5, 1, 2, 4};
  for (;;) {
    Workload w = DrawDepthwise(rng);
    w.c = InBlocksOf(isa, kChannels[rng.Below(std::size(kChannels))]);
    w.o = w.c * w.multiplier;
    w.kh = kKernels[rng.Below(std::size(kKernels))];
    w.kw = rng.Below(3) > 0 ? w.kh : kKernels[rng.Below(std::size(kKernels))];
    if (rng.Below(4) > 0) w.dilation_w = 1;
    w.stride_h = static_cast<std::int32_t>(rng.Between(1, 2));
    w.stride_w = rng.Below(4) > 0 ? w.stride_h : 3 - w.stride_h;
    if (w.rq == RequantizeForm::kGen) continue;
    const auto canonical = Canonical(w);
    if (!canonical.ok() || canonical->op != OpKind::kDepthwise) continue;
    if (canonical->out_h() <= 9) return *canonical;
  }
}

// Configs of a task whose narrow last block is a stack of rows.
std::vector<Config> StackedConfigs(const Task& task) {
  std::vector<Config> configs;
  if (task.space().knobs().back().name != "tail") return configs;
  for (const Config& config : SlidingConfigs(task)) {
    if (task.space().Label(config, "tail") == "rows") configs.push_back(config);
  }
  return configs;
}

std::pair<Task, Config> DrawStackedConfig(Rng& rng, const VectorIsa& isa) {
  return DrawConfig(rng, isa, DrawTail, StackedConfigs);
}

TEST_P(DepthwiseTest, RandomStacksOfRowsAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  if (isa().group < 4) GTEST_SKIP() << "rows slide with dots of four taps only";
  const std::set<std::string> drawn = ExpectDrawnExact(isa(), Rng(78), 72, DrawStackedConfig);
  EXPECT_THAT(drawn, testing::IsSupersetOf({"out_h=2", "out_h=3", "out_h=4", "out_h=5", "out_h=6",
                                            "out_h=7", "out_h=8", "out_h=9"}));
  EXPECT_THAT(drawn, testing::IsSupersetOf({"loop=slide", "loop=halves", "weights=memory",
                                            "weights=registers", "group=mixed", "order=inner",
                                            "order=outer", "split=blocks", "data_pad_inline=inline",
                                            "data_pad_inline=root"}));
}

// A legacy workload whose values have weights further than a byte from their zero point, in some of
// the blocks; of the class that the values are of.
std::pair<Workload, OpCase> DrawFarWeights(Rng& rng, const VectorIsa& isa) {
  for (;;) {
    Workload w = DrawSliding(rng, isa);
    w.type = DataType::kU8;
    w.weight_zero_point = true;
    w.per_channel = false;
    w.rq = RequantizeForm::kInt9;
    w.rounding = Rounding::kDouble;
    const auto canonical = Canonical(w);
    if (!canonical.ok() || canonical->op != OpKind::kDepthwise) continue;
    OpCase op_case = MakeCase(*canonical, DataSet::kUniform, rng.Below(1000));
    const auto channels = static_cast<std::size_t>(canonical->o);
    for (int i = 0; i < 4; ++i) {
      op_case.values
          .w[rng.Below(op_case.values.w.size() / channels) * channels + rng.Below(channels)] =
          op_case.values.w_zp > 127 ? 0 : 255;
    }
    const Workload classified = Classify(*canonical, op_case.values);
    if (classified.rq != RequantizeForm::kGen) return {classified, std::move(op_case)};
  }
}

TEST_P(DepthwiseTest, WeightsFarFromTheirZeroPointAreBitExact) {
  SKIP_WITHOUT_MACHINE();
  if (isa().group < 4) GTEST_SKIP() << "16 bits hold every difference";
  if (isa().lowest_weight > -128) GTEST_SKIP() << "legacy weights are widened to 16 bits";
  Rng rng(81);
  std::vector<std::string> names;
  std::vector<OpCase> cases;
  std::vector<Workload> workloads;
  std::vector<KernelSource> sources;
  DrawnLabels drawn;
  for (int draws = 0; draws < 48;) {
    auto [workload, op_case] = DrawFarWeights(rng, isa());
    const Task task = MakeTask(workload, isa(), static_cast<std::int32_t>(rng.Between(1, 2)));
    const std::vector<Config> configs = SlidingConfigs(task);
    if (configs.empty()) continue;
    const Config config = configs[rng.Below(configs.size())];
    ++draws;
    if (!drawn.Add(task, config) && sources.size() >= Draws(isa(), 48)) continue;
    names.push_back(Describe(task, config));
    sources.push_back(*task.Emit(config));
    cases.push_back(std::move(op_case));
    workloads.push_back(workload);
  }
  EXPECT_THAT(drawn.all(), testing::IsSupersetOf({"loop=slide", "loop=halves", "order=inner",
                                                  "order=outer", "split=blocks", "tail=rows"}));
  const auto kernels = CompileAndLoad(sources, isa().required);
  ASSERT_TRUE(kernels.ok()) << Message(kernels.status());
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto expected = RunReference(workloads[i], cases[i].values, cases[i].x);
    EXPECT_EQ(CheckKernel((*kernels)[i], workloads[i], cases[i], expected), "") << names[i];
  }
}

TEST_P(DepthwiseTest, TailsAreStackedOnlyWhereTheyFit) {
  const auto has_stacks = [&](std::int32_t channels, std::int32_t height, std::int32_t threads) {
    Workload w = Parse(kTail);
    w.c = w.o = InBlocksOf(isa(), channels), w.h = height;
    return !StackedConfigs(MakeTask(w, isa(), threads)).empty();
  };
  const bool slides = isa().group == 4;
  EXPECT_EQ(has_stacks(144, 12, 1), slides);  // a stack of four
  EXPECT_EQ(has_stacks(96, 12, 1), slides);   // of two
  EXPECT_EQ(has_stacks(65, 4, 1), slides);
  EXPECT_FALSE(has_stacks(144, 3, 1));        // fewer rows than a stack
  EXPECT_EQ(has_stacks(144, 12, 4), slides);  // threads share out rows
  EXPECT_FALSE(has_stacks(240, 12, 1));       // a tail of 48 fills no vector
  EXPECT_FALSE(has_stacks(128, 12, 1));
  EXPECT_FALSE(has_stacks(32, 12, 1));
}

// Shapes that between them have every knob.
const char* const kShapes[] = {
    "depthwise/i8/n1h14w14c128/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
    "depthwise/i8/n1h12w20c4/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
    "depthwise/u8/n1h13w13c96/m1/k5x5/s2x2/p2,2,2,2/d1x1/pt/wz/act=lohi/rq=gen/double",
    "depthwise/u8s8/n2h9w9c24/m2/k3x2/s1x1/p0,0,0,0/d2x1/pc/wz0/act=none/rq=int9/double",
    "depthwise/i8/n1h9w16c32/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
    "depthwise/i8/n1h13w14c96/m1/k5x5/s1x1/p2,2,2,2/d1x1/pc/wz0/act=lo/rq=int7/double",
    kTail,
    "depthwise/i8/n1h14w14c40/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
};

TEST_P(DepthwiseTest, EveryKnobAloneChangesTheCode) {
  std::set<std::string> changed;
  for (const char* shape : kShapes) {
    const Task task = MakeTask(Parse(shape), isa(), 2);
    changed.merge(ExpectKnobsChangeCode(task, 12));
    for (const Config& config : SlidingConfigs(task)) {
      changed.merge(ExpectNeighboursOfOtherCode(task, config));
    }
  }
  std::vector<std::string> knobs = {"tile_h",          "tile_w",      "pixels", "data_pad_inline",
                                    "data_vec_inline", "conv_inline", "order"};
  if (isa().group > 1) knobs.insert(knobs.end(), {"method", "group"});  // else there is one value
  if (isa().group == 4) knobs.insert(knobs.end(), {"loop", "weights", "split", "tail"});
  EXPECT_THAT(changed, testing::IsSupersetOf(knobs));
}

TEST_P(DepthwiseTest, ConfigsOfATaskHaveDifferentCode) {
  for (const char* shape : {kShapes[0], kShapes[1], kShapes[4], kShapes[5], kTail}) {
    const Task task = MakeTask(Parse(shape), isa());
    Rng rng(3);
    std::set<Config> configs;
    std::set<std::uint64_t> digests;
    for (const Config& config : SlidingConfigs(task)) {
      configs.insert(config);
      digests.insert(task.Emit(config)->code_digest);
    }
    for (int i = 0; i < 200; ++i) {
      const Config config = task.space().Sample(rng);
      configs.insert(config);
      digests.insert(task.Emit(config)->code_digest);
    }
    EXPECT_EQ(configs.size(), digests.size());
  }
}

// What a config says of itself in closed form is what its program shows.
void ExpectItsSummary(const VectorIsa& isa, const Task& task, const Config& config) {
  const auto program = task.kernel_template().Lower(task.spec(), task.space(), config);
  ASSERT_TRUE(program.ok());
  const ScheduleSummary summary = SummarizeDepthwise(task.spec(), isa, task.space(), config);
  ExpectSummaryShows(summary, *program, Describe(task, config));
}

TEST_P(DepthwiseTest, SummariesAreWhatTheProgramShows) {
  Rng rng(5);
  for (int i = 0; i < 150; ++i) {
    const Task task = MakeTask(DrawDepthwise(rng), isa());
    for (int j = 0; j < 4; ++j) ExpectItsSummary(isa(), task, task.space().Sample(rng));
  }
}

TEST_P(DepthwiseTest, SummariesOfSlidingRowsAreWhatTheProgramShows) {
  if (isa().group < 4) GTEST_SKIP() << "rows slide with dots of four taps only";
  Rng rng(15);
  for (int i = 0; i < 100; ++i) {
    for (const auto draw : {DrawSlidingConfig, DrawPairedConfig, DrawStackedConfig}) {
      const auto [task, config] = draw(rng, isa());
      ExpectItsSummary(isa(), task, config);
    }
  }
}

TEST_P(DepthwiseTest, DefaultIsLegalAndDotsWhereItCan) {
  Rng rng(6);
  for (int i = 0; i < 100; ++i) {
    const Task task = MakeTask(DrawDepthwise(rng), isa(), 2);
    const Config config = task.kernel_template().Default(task.spec(), task.space());
    EXPECT_TRUE(task.space().Contains(config)) << task.Key();
    const bool dots =
        FindInterleave(isa(), task.workload(), DepthwiseMethod::kDot).value_or(Interleave{}).group >
        1;
    EXPECT_EQ(task.space().Label(config, "method"), dots ? "dot" : "widen");
  }
}

TEST_P(DepthwiseTest, WorkspacesKeepTheTargetsCap) {
  const Workload workload = Parse(kShapes[0]);
  TaskSpec spec{workload, TestTarget(isa().required), 2};
  spec.target.workspace_cap = 20000;
  const auto task = Task::Create(NewDepthwiseTemplate(isa()), spec);
  ASSERT_TRUE(task.ok());
  ASSERT_LT(task->space().size(), MakeTask(workload, isa(), 2).space().size());
  for (std::uint64_t i = 0; i < task->space().size(); ++i) {
    const auto program = task->kernel_template().Lower(spec, task->space(), task->space().At(i));
    EXPECT_LE(program->shared_bytes + 2 * program->thread_bytes, spec.target.workspace_cap);
  }
}

TEST_P(DepthwiseTest, RefusesWhatItDoesNotCompute) {
  const auto depthwise = NewDepthwiseTemplate(isa());
  TaskSpec spec{Parse(kShapes[0]), TestTarget(isa().required), 1};
  EXPECT_TRUE(depthwise->Supports(spec));
  spec.workload =
      Parse("conv2d/i8/n1h8w8c8/o8/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double");
  EXPECT_FALSE(depthwise->Supports(spec));
  spec.workload =
      Parse("depthwise/i8/n1h80w80c8/m1/k64x3/s1x1/p0,0,0,0/d1x1/pc/wz0/act=lo/rq=int7/double");
  EXPECT_TRUE(depthwise->Supports(spec));
  spec.workload.kw = 4;  // more taps than are written out
  EXPECT_FALSE(depthwise->Supports(spec));
  spec.workload.kh = 65, spec.workload.kw = 1;
  EXPECT_FALSE(depthwise->Supports(spec));
  spec.workload = Parse(kShapes[0]);
  spec.target.isa = 0;
  EXPECT_EQ(depthwise->Supports(spec), isa().required == 0);
}

TEST_P(DepthwiseTest, PackRefusesValuesOfAnotherClass) {
  SKIP_WITHOUT_MACHINE();
  const Task task = MakeTask(Parse(kShapes[0]), isa());
  const Config config = task.kernel_template().Default(task.spec(), task.space());
  const std::vector<KernelSource> sources = {*task.Emit(config)};
  const auto kernels = CompileAndLoad(sources, task.target().isa);
  ASSERT_TRUE(kernels.ok()) << Message(kernels.status());
  OpCase op_case = MakeCase(task.workload(), DataSet::kUniform, 1);
  const auto expected = RunReference(task.workload(), op_case.values, op_case.x);
  op_case.values.shift[5] = 2;  // a left shift: only gen has it
  EXPECT_EQ(CheckKernel(kernels->front(), task.workload(), op_case, expected), "pack returned 1");
}

}  // namespace
}  // namespace kiln
