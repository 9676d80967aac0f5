#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "kernel_harness.h"
#include "template_checks.h"

// What is special about the templates for 64-bit Arm; the rest is asked of all of them, in
// row_gemm_test.cc and depthwise_test.cc.

namespace kiln {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPointwise[] =
    "conv2d/i8/n1h14w14c64/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double";
constexpr char kDepthwise[] =
    "depthwise/i8/n1h14w14c144/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=step1/double";
constexpr char kProjection[] =
    "conv2d/i8/n1h14w14c64/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=none/rq=signed1/double";
constexpr char kLegacy[] =
    "conv2d/u8/n1h14w14c64/o64/k1x1/s1x1/p0,0,0,0/d1x1/g1/pt/wz/act=lo/rq=step1/double";

TemplateRegistry Builtin() {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  return registry;
}

Task TaskFor(const char* key, const VectorIsa& isa, std::int32_t threads = 1) {
  const TemplateRegistry registry = Builtin();
  auto task = Task::Create(registry, {Parse(key), TestTarget(isa.required), threads});
  EXPECT_TRUE(task.ok()) << task.status();
  return *std::move(task);
}

Config DefaultOf(const Task& task) {
  return task.kernel_template().Default(task.spec(), task.space());
}

// The default with other labels, all of which there must be.
Config With(const Task& task, const std::vector<std::pair<std::string, std::string>>& labels) {
  Config config = DefaultOf(task);
  const auto knobs = task.space().knobs();
  for (const auto& [name, label] : labels) {
    const auto knob = std::ranges::find(knobs, name, &Knob::name);
    if (knob == knobs.end()) {
      ADD_FAILURE() << task.Key() << " has no knob " << name;
      continue;
    }
    const auto value = std::ranges::find(knob->values, label, &KnobValue::label);
    if (value == knob->values.end()) {
      ADD_FAILURE() << task.Key() << " has no " << name << "=" << label;
      continue;
    }
    config.choice[static_cast<std::size_t>(knob - knobs.begin())] =
        static_cast<std::uint16_t>(value - knob->values.begin());
  }
  EXPECT_TRUE(task.space().Contains(config)) << Describe(task, config);
  return config;
}

std::string AssemblyOf(const Task& task, const Config& config) {
  const auto source = task.Emit(config);
  EXPECT_TRUE(source.ok()) << source.status();
  const auto assembly = CompileToAssembly(*source, task.target().isa);
  EXPECT_TRUE(assembly.ok()) << assembly.status();
  return assembly.ok() ? *assembly : "";
}

TEST(NeonTest, DotProductComesBeforePlainNeon) {
  EXPECT_EQ(TaskFor(kPointwise, NeonMull()).kernel_template().name(), "conv2d.neon");
  EXPECT_EQ(TaskFor(kPointwise, Dotprod()).kernel_template().name(), "conv2d.dotprod");
  EXPECT_EQ(TaskFor(kDepthwise, Dotprod()).kernel_template().name(), "depthwise.dotprod");
}

// Activations of four steps by one load, multiplied lane by lane.
TEST(NeonTest, ChunksOfActivationsAreMultipliedByLane) {
  if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed";
  const Task dot = TaskFor(kPointwise, Dotprod());
  const std::string sdot =
      AssemblyOf(dot, With(dot, {{"tile_w", "4"}, {"tile_c", "4"}, {"unroll_k", "4"}}));
  for (const char* lane : {".4b[0]", ".4b[1]", ".4b[2]", ".4b[3]"}) {
    EXPECT_THAT(sdot, HasSubstr(lane));
  }
  EXPECT_THAT(sdot, HasSubstr("sdot\t"));

  const Task neon = TaskFor(kPointwise, NeonMull());
  const std::string mull = AssemblyOf(neon, With(neon, {{"unroll_k", "4"}, {"method", "mull"}}));
  EXPECT_THAT(mull, HasSubstr("smlal2\t"));
  EXPECT_THAT(mull, HasSubstr("sadalp\t"));
  EXPECT_THAT(mull, Not(HasSubstr("sdot")));
  const std::string mlal = AssemblyOf(neon, With(neon, {{"unroll_k", "8"}, {"method", "mlal"}}));
  EXPECT_THAT(mlal, HasSubstr(".h[7]"));
  EXPECT_THAT(mlal, Not(HasSubstr("sadalp")));
}

TEST(NeonTest, RequantizesWithTheDoublingMultiplyOrOneMultiplyAdd) {
  if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed";
  const Task linear = TaskFor(kProjection, Dotprod());
  EXPECT_THAT(AssemblyOf(linear, DefaultOf(linear)), HasSubstr("sqrdmulh\t"));
  const Task relu = TaskFor(kPointwise, Dotprod());
  const std::string one = AssemblyOf(relu, DefaultOf(relu));
  EXPECT_THAT(one, HasSubstr("fmla\t"));
  EXPECT_THAT(one, Not(HasSubstr("sqrdmulh")));
}

// Weights that bytes are not exact for are left to the other method, or refused.
TEST(NeonTest, LegacyWeightsAreWidened) {
  const Task task = TaskFor(kLegacy, NeonMull());
  EXPECT_EQ(task.space().Label(DefaultOf(task), "method"), "mlal");
}

TEST(NeonTest, LowestWeightIsRefusedByBytesAndExactInWords) {
  if (!MachineRuns(NeonMull().required)) GTEST_SKIP() << "SKIPPED: nothing here runs neon";
  if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed";
  for (const char* key : {kPointwise, kDepthwise}) {
    const Task task = TaskFor(key, NeonMull());
    const bool depthwise = key == kDepthwise;
    OpCase op_case = MakeCase(task.workload(), DataSet::kUniform, 3);
    op_case.values.w[70] = 0x80;
    const auto expected = RunReference(task.workload(), op_case.values, op_case.x);
    const std::vector<KernelSource> sources = {
        *task.Emit(With(task, {{"method", depthwise ? "dot" : "mull"}})),
        *task.Emit(depthwise ? With(task, {{"loop", "tile"},
                                           {"conv_inline", "tile"},
                                           {"weights", "memory"},
                                           {"method", "widen"},
                                           {"data_pad_inline", "row"}})
                             : With(task, {{"method", "mlal"}}))};
    const auto kernels = CompileAndLoad(sources, task.target().isa);
    ASSERT_TRUE(kernels.ok()) << kernels.status();
    EXPECT_EQ(CheckKernel((*kernels)[0], task.workload(), op_case, expected), "pack returned 1");
    EXPECT_EQ(CheckKernel((*kernels)[1], task.workload(), op_case, expected), "");
  }
}

// Eight dots a step, 56 steps without a loop: the products of all of them were kept in a frame of
// 4,528 bytes, more than a kernel may have.
TEST(NeonTest, TapsThatAreWrittenOutKeepFewProducts) {
  if (!MachineRuns(NeonMull().required)) GTEST_SKIP() << "SKIPPED: nothing here runs neon";
  if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed";
  const Task task = TaskFor(
      "conv2d/u8s8/n1h8w8c56/o23/k4x4/s2x4/p0,1,0,0/d1x1/g1/pt/wz0/act=lo/rq=signed2/double",
      NeonMull());
  const Config config = With(task, {{"tile_h", "1"},
                                    {"tile_w", "2"},
                                    {"tile_c", "4"},
                                    {"unroll_k", "8"},
                                    {"block", "0"},
                                    {"order", "panel.block.tile"},
                                    {"data_stage", "raw"},
                                    {"requantize_at", "tile"},
                                    {"store", "natural"},
                                    {"border", "skipped"},
                                    {"method", "mull"}});
  ExpectExact({{Describe(task, config), task.workload()}}, {*task.Emit(config)}, NeonMull());
}

// Shapes of other libraries' kernels are points of the space: TVM's tiles of 4 pixels by 16 and 8
// by 12 channels, XNNPACK's 4x16c4 and 2x8, QNNPACK's 8x8.
TEST(NeonTest, SpacesContainTheTilesOfOtherLibraries) {
  for (const VectorIsa* isa : {&NeonMull(), &Dotprod()}) {
    const Task task = TaskFor(kPointwise, *isa);
    const bool dots = isa == &Dotprod();
    With(task, {{"tile_w", "4"}, {"tile_c", "4"}, {"store", "packed"}});
    With(task, {{"tile_w", "2"}, {"tile_c", "2"}, {"unroll_k", "4"}});
    if (dots) With(task, {{"tile_w", "8"}, {"tile_c", "3"}});
    if (dots) With(task, {{"tile_w", "8"}, {"tile_c", "2"}, {"unroll_k", "4"}});
  }
}

TEST(NeonTest, OddWorkloadsAreBitExact) {
  std::ifstream file(KILN_SOURCE_DIR "/tests/integration/odd_workloads.txt");
  std::vector<std::string> keys;
  for (std::string key; std::getline(file, key);) {
    if (!key.empty() && !key.starts_with("#")) keys.push_back(key);
  }
  ASSERT_GT(keys.size(), 30u);
  for (const VectorIsa* isa : {&NeonMull(), &Dotprod()}) {
    if (!MachineRuns(isa->required)) GTEST_SKIP() << "SKIPPED: nothing here runs " << isa->name;
    if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed";
    std::vector<NamedWorkload> trials;
    std::vector<KernelSource> sources;
    std::set<std::uint64_t> digests;
    Rng rng(9);
    for (const std::string& key : keys) {
      const Task task = TaskFor(key.c_str(), *isa, 2);
      for (const Config& config : {DefaultOf(task), task.space().Sample(rng)}) {
        const auto source = task.Emit(config);
        ASSERT_TRUE(source.ok()) << source.status();
        if (!digests.insert(source->code_digest).second) continue;
        trials.push_back({Describe(task, config), task.workload()});
        sources.push_back(*source);
      }
    }
    ExpectExact(trials, sources, *isa);
  }
}

}  // namespace
}  // namespace kiln
