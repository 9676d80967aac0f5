#include "toolchain/compiler.h"

#include <gmock/gmock.h>

namespace kiln {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

CompileJob JobForIsa(const std::string& arch, const std::string& cpu, IsaMask isa) {
  Target target;
  target.arch = arch;
  target.cpu = cpu;
  target.isa = isa;
  return JobFor({"int x;", "kiln_1", 1}, target, EmitKind::kObject);
}

TEST(JobForTest, CarriesSourceAndSymbol) {
  const CompileJob job = JobForIsa("x86_64", "haswell", 0);
  EXPECT_EQ(job.c, "int x;");
  EXPECT_EQ(job.symbol, "kiln_1");
}

TEST(JobForTest, InstructionsFollowTheIsaNotTheProcessor) {
  const CompileJob portable = JobForIsa("x86_64", "sapphirerapids", 0);
  EXPECT_EQ(portable.cpu, "x86-64");
  EXPECT_EQ(portable.tune_cpu, "sapphirerapids");
  EXPECT_THAT(portable.features, IsEmpty());

  const CompileJob avx2 = JobForIsa("x86_64", "cascadelake", Bit(IsaFeature::kAvx2));
  EXPECT_EQ(avx2.cpu, "x86-64-v3");
  EXPECT_THAT(avx2.features, IsEmpty());
}

TEST(JobForTest, LevelOfThePsAbiIsNoProcessorToScheduleFor) {
  const IsaMask avx2 = Bit(IsaFeature::kAvx2);
  EXPECT_EQ(JobForIsa("x86_64", "x86-64-v3", avx2).tune_cpu, "generic");
  EXPECT_EQ(JobForIsa("x86_64", "x86-64", 0).tune_cpu, "x86-64");
}

TEST(JobForTest, Avx512UsesWholeVectors) {
  const IsaMask isa =
      Bit(IsaFeature::kAvx2) | Bit(IsaFeature::kAvx512) | Bit(IsaFeature::kAvx512Vnni);
  const CompileJob job = JobForIsa("x86_64", "cascadelake", isa);
  EXPECT_EQ(job.cpu, "x86-64-v4");
  EXPECT_THAT(job.features, ElementsAre("+avx512vnni"));
  EXPECT_EQ(job.vector_bits, 512);
}

TEST(JobForTest, AvxVnniIsAFeatureOfItsOwn) {
  const IsaMask isa = Bit(IsaFeature::kAvx2) | Bit(IsaFeature::kAvxVnni);
  EXPECT_THAT(JobForIsa("x86_64", "alderlake", isa).features, ElementsAre("+avxvnni"));
}

TEST(JobForTest, ArmFeaturesAreAddedToTheBase) {
  EXPECT_THAT(JobForIsa("aarch64", "cortex-a72", Bit(IsaFeature::kNeon)).features,
              ElementsAre("+neon"));
  const IsaMask isa = Bit(IsaFeature::kNeon) | Bit(IsaFeature::kDotProd) | Bit(IsaFeature::kI8mm);
  const CompileJob job = JobForIsa("aarch64", "cortex-x1", isa);
  EXPECT_EQ(job.cpu, "generic");
  EXPECT_EQ(job.tune_cpu, "cortex-x1");
  EXPECT_THAT(job.features, ElementsAre("+neon", "+dotprod", "+i8mm"));
}

}  // namespace
}  // namespace kiln
