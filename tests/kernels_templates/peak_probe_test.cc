#include "kernels_templates/peak_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel_harness.h"
#include "template_checks.h"

namespace kiln {
namespace {

using ::testing::Ge;

using PeakProbeTest = TemplateTest;
INSTANTIATE_TEST_SUITE_P(All, PeakProbeTest, testing::Values("avx2", "avxvnni", "avx512vnni"),
                         [](const auto& param_info) { return param_info.param; });

int Occurrences(const std::string& text, const std::string& of) {
  int count = 0;
  for (std::size_t at = 0; (at = text.find(of, at)) != std::string::npos; at += of.size()) ++count;
  return count;
}

TEST_P(PeakProbeTest, EveryAccumulatorHasADotOfItsOwn) {
  if (!HasCompiler()) GTEST_SKIP() << "clang-19 is not installed";
  const auto task = PeakProbeTask(TestTarget(isa().required), 2);
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->kernel_template().name(), "peak." + GetParam());
  const Config config = task->space().At(0);
  const auto assembly = CompileToAssembly(*task->Emit(config), isa().required);
  ASSERT_TRUE(assembly.ok()) << assembly.status();
  const auto accumulators = static_cast<int>(task->space().Value(config, "accumulators"));
  EXPECT_THAT(Occurrences(*assembly, isa().group == 4 ? "vpdpbusd" : "vpmaddwd"), Ge(accumulators));
}

TEST_P(PeakProbeTest, CountsTheProductsOfItsDots) {
  const auto task = PeakProbeTask(TestTarget(isa().required), 2);
  ASSERT_TRUE(task.ok()) << task.status();
  for (std::uint64_t i = 0; i < task->space().size(); ++i) {
    const Config config = task->space().At(i);
    const auto program = task->kernel_template().Lower(task->spec(), task->space(), config);
    ASSERT_TRUE(program.ok()) << program.status();
    EXPECT_EQ(PeakProbeMacs(*task, config), program->Count().dots * isa().lanes * isa().group);
  }
}

}  // namespace
}  // namespace kiln
