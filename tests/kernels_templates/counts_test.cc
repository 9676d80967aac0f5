#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>

#include "kernel_harness.h"
#include "kernels_templates/isa/requantize.h"
#include "template_checks.h"

// What a lowered program says it does (LoopProgram::Count) against what it does: the words of the
// vocabulary are macros that count, and the kernel is run.

namespace kiln {
namespace {

// Between the vocabulary and the kernel. A macro does not mean itself in its own text.
constexpr char kCounting[] = R"(
__attribute__((visibility("default"))) double kiln_test_counts[5];
#define K_COUNT(i) (void)(kiln_test_counts[i] += 1)
#define k_dot(...) (K_COUNT(0), k_dot(__VA_ARGS__))
#define k_weights(...) (K_COUNT(1), k_weights(__VA_ARGS__))
#define k_load(...) (K_COUNT(1), k_load(__VA_ARGS__))
#define k_broadcast(...) (K_COUNT(2), k_broadcast(__VA_ARGS__))
#define k_broadcast_raw(...) (K_COUNT(2), k_broadcast_raw(__VA_ARGS__))
#define k_store1(...) (K_COUNT(3), k_store1(__VA_ARGS__))
#define k_store2(...) (K_COUNT(3), k_store2(__VA_ARGS__))
#define k_store4(...) (K_COUNT(3), k_store4(__VA_ARGS__))
#define k_store1_n(...) (K_COUNT(3), k_store1_n(__VA_ARGS__))
#define k_store2_n(...) (K_COUNT(3), k_store2_n(__VA_ARGS__))
#define k_store4_n(...) (K_COUNT(3), k_store4_n(__VA_ARGS__))
#define k_spill(...) (K_COUNT(3), k_spill(__VA_ARGS__))
#define k_requantize(...) (K_COUNT(4), k_requantize(__VA_ARGS__))
)";

struct Executed {
  double dots = 0, loads = 0, broadcasts = 0, stores = 0, requantizes = 0;
};

StatusOr<Executed> Execute(const Task& task, LoopProgram program) {
  program.prelude += kCounting;
  const KernelSource source = EmitC(program);
  ASSIGN_OR_RETURN(void* handle, CompileAndOpen(source.c, task.target().isa, Instructions::kOwn));
  RETURN_IF_ERROR(
      RunOpened(handle, source.symbol, MakeCase(task.workload(), DataSet::kUniform, 3)));
  const auto* counts = static_cast<const double*>(dlsym(handle, "kiln_test_counts"));
  return Executed{counts[0], counts[1], counts[2], counts[3], counts[4]};
}

void ExpectSame(double said, double done, const std::string& what) {
  EXPECT_NEAR(said, done, 1e-6 * done) << what;
}

using CountsTest = TemplateTest;
INSTANTIATE_TEST_SUITE_P(All, CountsTest, testing::Values("portable", "avx2"),
                         [](const auto& param_info) { return param_info.param; });

// Shapes of every class of convolution; whole tiles and rests, panels and tails.
const char* const kLayers[] = {
    "conv2d/i8/n1h8w8c16/o32/k1x1/s1x1/p0,0,0,0/d1x1/g1/pc/wz0/act=lo/rq=step1/double",
    "conv2d/i8/n1h9w11c5/o40/k3x3/s1x1/p1,1,1,1/d1x1/g1/pc/wz0/act=lo/rq=int7/double",
    "conv2d/i8/n2h7w7c6/o20/k3x2/s2x2/p0,1,0,0/d1x1/g2/pc/wz0/act=none/rq=int9/double",
    "conv2d/i8/n1h6w6c9/o17/k1x1/s1x1/p0,0,0,0/d1x1/g1/pt/wz0/act=lohi/rq=gen/double",
    "dense/i8/n3c50/o70/pc/wz0/act=none/rq=float/float",
};

TEST_P(CountsTest, ProgramsDoWhatTheySay) {
  if ((isa().required & ~DetectIsa()) != 0) GTEST_SKIP() << "SKIPPED: no " << GetParam() << " here";
  if (!HasCompiler()) GTEST_SKIP() << "SKIPPED: clang-19 is not installed";
  TemplateRegistry registry;
  RegisterBuiltinTemplates(registry);
  Rng rng(11);
  for (const char* key : kLayers) {
    const auto task = Task::Create(registry, {Parse(key), TestTarget(isa().required), 1});
    ASSERT_TRUE(task.ok()) << task.status();
    for (int i = 0; i < 4; ++i) {
      const Config config = task->space().Sample(rng);
      const auto program = task->kernel_template().Lower(task->spec(), task->space(), config);
      ASSERT_TRUE(program.ok()) << program.status();
      const OpCounts said = program->Count();
      const auto done = Execute(*task, *program);
      ASSERT_TRUE(done.ok()) << done.status();
      const std::string what = Describe(*task, config);
      ExpectSame(said.dots, done->dots, "dots of " + what);
      ExpectSame(said.broadcasts, done->broadcasts, "broadcasts of " + what);
      // A row of sums is requantized once; what tiles of it share is counted for each of them.
      if (task->space().Label(config, "requantize_at") == "row") {
        EXPECT_GE(said.stores, done->stores) << what;
        EXPECT_GE(said.requantizes, done->requantizes) << what;
        EXPECT_GE(said.loads, done->loads) << what;
        continue;
      }
      ExpectSame(said.stores, done->stores, "stores of " + what);
      ExpectSame(said.requantizes, done->requantizes, "requantizes of " + what);
      // Constants stay in registers for the pixels of a tile, whose bias is in `loads` already.
      const double pixels = double(task->space().Value(config, "tile_h")) *
                            double(task->space().Value(config, "tile_w"));
      const double constants =
          RequantizeConstants(isa(), task->workload()) * done->requantizes / pixels;
      ExpectSame(said.loads, done->loads + constants, "loads of " + what);
    }
  }
}

// By its text: for the integer and float forms every constant is one k_load(c + ...).
TEST(RequantizeConstantsTest, AreThoseThatTheFormLoads) {
  for (const InstructionSet& set : InstructionSets()) {
    for (const char* form : {"step1", "step2", "signed1", "signed2", "int7", "int9", "float"}) {
      const std::string rounding = std::string(form) == "float" ? "float" : "double";
      const std::string act = std::string(form).starts_with("s") && form[1] == 'i' ? "none" : "lo";
      const Workload workload =
          Parse("dense/i8/n1c16/o16/pc/wz0/act=" + act + "/rq=" + form + "/" + rounding);
      if (KernelForm(set.isa(), workload) == RequantizeForm::kGen) continue;
      const std::string source = RequantizeSource(set.isa(), workload);
      int loads = 0;
      for (std::size_t at = 0; (at = source.find("k_load(c + ", at)) != std::string::npos; ++at) {
        ++loads;
      }
      EXPECT_EQ(RequantizeConstants(set.isa(), workload), loads) << set.isa().name << " " << form;
    }
  }
}

}  // namespace
}  // namespace kiln
