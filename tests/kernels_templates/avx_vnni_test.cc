#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "kernel_harness.h"
#include "template_checks.h"

namespace kiln {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TemplateRegistry Builtin() {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  return registry;
}

struct Layer {
  const char* key;
  const char* kernel_template;
};
constexpr Layer kLayers[] = {
    {"conv2d/i8/n1h14w14c32/o96/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double",
     "conv2d.avxvnni"},
    {"dense/u8/n6c100/o300/pc/wz/act=none/rq=int9/double", "dense.avxvnni"},
    {"depthwise/i8/n1h14w14c144/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/wz0/act=lo/rq=int7/double",
     "depthwise.avxvnni"},
};

TEST(AvxVnniTest, ComesAfterAvx2AndBeforeAvx512) {
  const TemplateRegistry registry = Builtin();
  for (const Layer& layer : kLayers) {
    const auto name_for = [&](IsaMask isa) {
      const auto found = registry.For({Parse(layer.key), TestTarget(isa), 1});
      return found.ok() ? std::string((*found)->name()) : Message(found.status());
    };
    const std::string name = layer.kernel_template;
    const std::string family = name.substr(0, name.find('.'));
    EXPECT_EQ(name_for(AvxVnni().required), name);
    // Whole names: the error that none is found has all of them in it.
    EXPECT_EQ(name_for(Bit(IsaFeature::kAvx2)), family + ".avx2");
    EXPECT_EQ(name_for(AvxVnni().required | Avx512Vnni().required), family + ".avx512vnni");
  }
}

// Its dots in the encoding that processors without AVX-512 have, and their registers only.
void ExpectVexDots(const Task& task, const Config& config) {
  const auto source = task.Emit(config);
  ASSERT_TRUE(source.ok()) << source.status();
  const auto assembly = CompileToAssembly(*source, task.target().isa);
  ASSERT_TRUE(assembly.ok()) << assembly.status();
  EXPECT_THAT(*assembly, HasSubstr("{vex}\tvpdpbusd\t")) << task.Key();
  EXPECT_THAT(*assembly, Not(HasSubstr("%zmm"))) << task.Key();
  EXPECT_THAT(*assembly, Not(HasSubstr("%ymm16"))) << task.Key();
  EXPECT_THAT(*assembly, Not(HasSubstr("vpmaddwd"))) << task.Key();
}

TEST(AvxVnniTest, KernelsForAlderLakeHaveDotsInTheVexEncoding) {
  if (!HasCompiler()) GTEST_SKIP() << "clang-19 is not installed";
  const TemplateRegistry registry = Builtin();
  for (const Layer& layer : kLayers) {
    const auto task = Task::Create(registry, {Parse(layer.key), TestTarget(AvxVnni().required), 1});
    ASSERT_TRUE(task.ok()) << task.status();
    ExpectVexDots(*task, task->kernel_template().Default(task->spec(), task->space()));
  }
}

// What kiln verify does where the processor has AVX-VNNI.
TEST(AvxVnniTest, OddWorkloadsAreBitExact) {
  if (!MachineRuns(AvxVnni().required)) GTEST_SKIP() << "this CPU lacks avxvnni and avx512vnni";
  if (!HasCompiler()) GTEST_SKIP() << "clang-19 is not installed";
  const TemplateRegistry registry = Builtin();
  std::ifstream file(KILN_SOURCE_DIR "/tests/integration/odd_workloads.txt");
  std::vector<NamedWorkload> trials;
  std::vector<KernelSource> sources;
  std::set<std::uint64_t> digests;
  Rng rng(9);
  for (std::string key; std::getline(file, key);) {
    if (key.empty() || key.starts_with("#")) continue;
    const auto task = Task::Create(registry, {Parse(key), TestTarget(AvxVnni().required), 2});
    ASSERT_TRUE(task.ok()) << task.status();
    const Config any = task->space().Sample(rng);
    for (const Config& config :
         {task->kernel_template().Default(task->spec(), task->space()), any}) {
      const auto source = task->Emit(config);
      ASSERT_TRUE(source.ok()) << source.status();
      if (!digests.insert(source->code_digest).second) continue;
      trials.push_back({Describe(*task, config), task->workload()});
      sources.push_back(*source);
    }
  }
  ASSERT_GT(trials.size(), 100u);
  ExpectExact(trials, sources, AvxVnni());
}

}  // namespace
}  // namespace kiln
