// Values decide classes before anything is tuned: whatever values an operator has, `pack` of every
// legal config for the classes that they are in takes them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "template_checks.h"
#include "tests/ops/random_case.h"
#include "tests/ops/random_workload.h"

namespace kiln {
namespace {

using ValueClassesTest = TemplateTest;
INSTANTIATE_TEST_SUITE_P(All, ValueClassesTest, kEveryIsa,
                         [](const auto& param_info) { return param_info.param; });

struct Operator {
  Workload workload;
  OpCase data;
};

// Any values that fit a shape of some type, and the classes that they are in.
Operator DrawOperator(Rng& rng) {
  for (;;) {
    const auto shape = DrawWorkload(rng);
    if (!shape) continue;
    OpCase data = DrawCase(*shape, rng);
    if (Misfit(*shape, data.values).empty()) return {Classify(*shape, data.values), data};
  }
}

TEST_P(ValueClassesTest, NoConfigOfTheirClassRefusesAnOperatorsValues) {
  SKIP_WITHOUT_MACHINE();
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  constexpr int kOperators = 40;
  Rng rng(70 + isa().lanes);
  std::vector<Operator> operators;
  std::vector<KernelSource> sources;
  std::vector<std::string> names;
  std::set<std::uint64_t> digests;
  while (operators.size() < kOperators) {
    const Operator drawn = DrawOperator(rng);
    const auto task = Task::Create(registry, {drawn.workload, TestTarget(isa().required), 1});
    if (!task.ok()) continue;  // no template computes it
    const Config config = rng.Below(3) == 0
                              ? task->kernel_template().Default(task->spec(), task->space())
                              : task->space().Sample(rng);
    const auto source = task->Emit(config);
    ASSERT_TRUE(source.ok()) << Message(source.status());
    if (!digests.insert(source->code_digest).second) continue;
    operators.push_back(drawn);
    sources.push_back(*source);
    names.push_back(Describe(*task, config));
  }
  const auto kernels = CompileAndLoad(sources, isa().required);
  ASSERT_TRUE(kernels.ok()) << Message(kernels.status());
  for (int i = 0; i < kOperators; ++i) {
    const auto& [workload, data] = operators[i];
    EXPECT_EQ(
        CheckKernel((*kernels)[i], workload, data, RunReference(workload, data.values, data.x)), "")
        << names[i];
  }
}

// What the dots of ARMv8.0 cannot multiply is left to another way.
TEST(FullRangeWeightsTest, HaveNoConfigWhoseDotsAreNotExactForThem) {
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  const auto methods = [&](const std::string& key) {
    const auto task = Task::Create(registry, {Parse(key), TestTarget(NeonMull().required), 1});
    EXPECT_TRUE(task.ok()) << Message(task.status());
    std::set<std::string> labels;
    Rng rng(1);
    for (int i = 0; task.ok() && i < 500; ++i) {
      labels.insert(std::string(task->space().Label(task->space().Sample(rng), "method")));
    }
    return labels;
  };
  const std::string conv = "conv2d/i8/n1h14w14c32/o96/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/";
  const std::string depthwise = "depthwise/i8/n1h14w14c32/m1/k3x3/s1x1/p1,1,1,1/d1x1/pc/";
  const std::string tail = "/act=lo/rq=step1/double";
  EXPECT_THAT(methods(conv + "wz0" + tail), testing::UnorderedElementsAre("mull", "mlal"));
  EXPECT_THAT(methods(conv + "wz0full" + tail), testing::ElementsAre("mlal"));
  EXPECT_THAT(methods(depthwise + "wz0" + tail), testing::UnorderedElementsAre("dot", "widen"));
  EXPECT_THAT(methods(depthwise + "wz0full" + tail), testing::ElementsAre("widen"));
}

}  // namespace
}  // namespace kiln
