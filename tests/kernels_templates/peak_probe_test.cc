#include "kernels_templates/peak_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_harness.h"
#include "template_checks.h"

namespace kiln {
namespace {

using ::testing::Ge;

using PeakProbeTest = TemplateTest;
INSTANTIATE_TEST_SUITE_P(All, PeakProbeTest, kEveryIsa,
                         [](const auto& param_info) { return param_info.param; });

int Occurrences(const std::string& text, const std::string& of) {
  int count = 0;
  for (std::size_t at = 0; (at = text.find(of, at)) != std::string::npos; at += of.size()) ++count;
  return count;
}

// The set's own dots: of each of its methods.
TEST_P(PeakProbeTest, EveryMethodIsProbed) {
  const auto tasks = PeakProbeTasks(TestTarget(isa().required), 2);
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  std::vector<std::string> names, expected;
  for (const Task& task : *tasks) names.emplace_back(task.kernel_template().name());
  for (const VectorIsa* method : set().methods) {
    expected.push_back("peak." + GetParam());
    if (set().methods.size() > 1) expected.back().append(".").append(method->method);
  }
  EXPECT_EQ(names, expected);
}

TEST_P(PeakProbeTest, EveryAccumulatorHasADotOfItsOwn) {
  if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed";
  const auto tasks = PeakProbeTasks(TestTarget(isa().required), 2);
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  for (std::size_t i = 0; i < tasks->size(); ++i) {
    const Task& task = (*tasks)[i];
    const Config config = task.space().At(0);
    const auto assembly = CompileToAssembly(*task.Emit(config), isa().required);
    ASSERT_TRUE(assembly.ok()) << assembly.status();
    const std::string_view dot = set().methods[i]->dot_instruction;
    EXPECT_EQ(dot.empty(), GetParam() == "portable");
    if (dot.empty()) continue;  // whatever the compiler makes of a product and a sum
    const auto accumulators = static_cast<int>(task.space().Value(config, "accumulators"));
    EXPECT_THAT(Occurrences(*assembly, "\t" + std::string(dot) + "\t"), Ge(accumulators))
        << task.kernel_template().name();
  }
}

TEST_P(PeakProbeTest, CountsItsDots) {
  const auto tasks = PeakProbeTasks(TestTarget(isa().required), 2);
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  for (const Task& task : *tasks) {
    for (std::uint64_t i = 0; i < task.space().size(); ++i) {
      const Config config = task.space().At(i);
      const auto program = task.kernel_template().Lower(task.spec(), task.space(), config);
      ASSERT_TRUE(program.ok()) << program.status();
      EXPECT_EQ(PeakProbeDots(task, config), program->Count().dots);
    }
  }
}

// All probes, so that nothing of a vocabulary is missing.
TEST_P(PeakProbeTest, ProbesCompileAndRun) {
  SKIP_WITHOUT_MACHINE();
  const Target target = TestTarget(isa().required);
  auto tasks = PeakProbeTasks(target, 2);
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  tasks->push_back(*VectorProbeTask(target, 2));
  tasks->push_back(*ReadProbeTask(target, 2, 4096));
  std::vector<KernelSource> sources;
  for (const Task& task : *tasks) sources.push_back(*task.Emit(task.space().At(0)));
  const auto kernels = CompileAndLoad(sources, isa().required);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  for (std::size_t i = 0; i < kernels->size(); ++i) {
    const Workload& workload = (*tasks)[i].workload();
    const OpCase op_case = MakeCase(workload, DataSet::kUniform, 1);
    // Its y means nothing: only a fault counts.
    const std::vector<std::uint8_t> any(static_cast<std::size_t>(workload.y_bytes()));
    EXPECT_THAT(CheckKernel((*kernels)[i], workload, op_case, any),
                testing::AnyOf("", testing::StartsWith("y["), testing::HasSubstr("WRONG_RESULT")))
        << (*tasks)[i].kernel_template().name();
  }
}

// A workspace holds another thing in each run: runs of a kernel that lets it through differ, and the
// machine cannot be measured.
TEST_P(PeakProbeTest, WhatIsReadDoesNotComeOut) {
  SKIP_WITHOUT_MACHINE();
  const Target target = TestTarget(isa().required);
  constexpr std::int64_t kSizes[] = {4096, 3 * 1024, 36'864, 720'896};
  std::vector<Task> tasks;
  std::vector<KernelSource> sources;
  for (const std::int64_t bytes : kSizes) {
    tasks.push_back(*ReadProbeTask(target, 2, bytes));
    sources.push_back(*tasks.back().Emit(tasks.back().space().At(0)));
  }
  const auto kernels = CompileAndLoad(sources, isa().required);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  for (std::size_t i = 0; i < kernels->size(); ++i) {
    const Workload& workload = tasks[i].workload();
    const std::vector<std::uint8_t> zeros(static_cast<std::size_t>(workload.y_bytes()));
    const OpCase op_case = MakeCase(workload, DataSet::kUniform, 1);
    // It is no operator, as kiln-host finds out later on.
    EXPECT_THAT(CheckKernel((*kernels)[i], workload, op_case, zeros),
                testing::AnyOf("", testing::HasSubstr("inputs that it had not seen before")))
        << kSizes[i] << " bytes";
  }
}

}  // namespace
}  // namespace kiln
