#include "ops/isa.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace kiln {
namespace {

using ::testing::ElementsAre;

TEST(IsaTest, EveryNameReadsBack) {
  ASSERT_EQ(IsaFeatures().size(), 7u);
  for (const IsaFeatureRow& row : IsaFeatures()) {
    IsaFeature read{};
    EXPECT_TRUE(ParseIsaFeature(row.name, read));
    EXPECT_EQ(read, row.feature) << row.name;
    EXPECT_EQ(Name(row.feature), row.name);
  }
}

TEST(IsaTest, ClangIsToldHowToMakeEveryFeature) {
  for (const IsaFeatureRow& row : IsaFeatures()) {
    const ClangInstructions none = InstructionsOf(row.arch, 0);
    const ClangInstructions one = InstructionsOf(row.arch, Bit(row.feature));
    EXPECT_TRUE(one.cpu != none.cpu || one.features != none.features) << row.name;
    const std::string_view other = row.arch == "x86_64" ? "aarch64" : "x86_64";
    EXPECT_THAT(InstructionsOf(other, Bit(row.feature)).features, ElementsAre()) << row.name;
  }
}

// What the C files of exported libraries are compiled with, by instruction set.
TEST(IsaTest, CompilersAreToldWithTheirOptions) {
  const IsaMask avx2 = Bit(IsaFeature::kAvx2), avx512 = avx2 | Bit(IsaFeature::kAvx512);
  EXPECT_EQ(CompilerFlagsOf("x86_64", 0), "-march=x86-64");
  EXPECT_EQ(CompilerFlagsOf("x86_64", avx2), "-march=x86-64-v3");
  EXPECT_EQ(CompilerFlagsOf("x86_64", avx2 | Bit(IsaFeature::kAvxVnni)),
            "-march=x86-64-v3 -mavxvnni");
  EXPECT_EQ(CompilerFlagsOf("x86_64", avx512), "-march=x86-64-v4 -mprefer-vector-width=512");
  EXPECT_EQ(CompilerFlagsOf("x86_64", avx512 | Bit(IsaFeature::kAvx512Vnni)),
            "-march=x86-64-v4 -mavx512vnni -mprefer-vector-width=512");
  EXPECT_EQ(
      CompilerFlagsOf("x86_64", avx512 | Bit(IsaFeature::kAvx512Vnni) | Bit(IsaFeature::kAvxVnni)),
      "-march=x86-64-v4 -mavxvnni -mavx512vnni -mprefer-vector-width=512");
  // gcc takes +dotprod from armv8.2-a on only, and knows no +neon.
  const IsaMask neon = Bit(IsaFeature::kNeon), dots = neon | Bit(IsaFeature::kDotProd);
  EXPECT_EQ(CompilerFlagsOf("aarch64", neon), "-march=armv8-a");
  EXPECT_EQ(CompilerFlagsOf("aarch64", dots), "-march=armv8.2-a+dotprod");
  EXPECT_EQ(CompilerFlagsOf("aarch64", dots | Bit(IsaFeature::kI8mm)),
            "-march=armv8.2-a+dotprod+i8mm");
}

TEST(IsaTest, CompilersAreToldOfEveryFeature) {
  for (const IsaFeatureRow& row : IsaFeatures()) {
    if (row.feature == IsaFeature::kNeon) continue;  // all 64-bit Arm have it
    const IsaMask without = row.arch == "aarch64" ? Bit(IsaFeature::kNeon) : IsaMask{0};
    EXPECT_NE(CompilerFlagsOf(row.arch, without | Bit(row.feature)),
              CompilerFlagsOf(row.arch, without))
        << row.name;
  }
}

TEST(IsaTest, AnUnknownNameIsRefused) {
  IsaFeature feature{};
  EXPECT_FALSE(ParseIsaFeature("avx512vnn", feature));
  EXPECT_FALSE(ParseIsaFeature("", feature));
}

// The last one names a machine.
TEST(IsaTest, TheBestNameComesLast) {
  const IsaMask mask = Bit(IsaFeature::kAvx512Vnni) | Bit(IsaFeature::kAvxVnni) |
                       Bit(IsaFeature::kAvx512) | Bit(IsaFeature::kAvx2);
  EXPECT_THAT(Names(mask), ElementsAre("avx2", "avx512", "avxvnni", "avx512vnni"));
}

TEST(IsaTest, BitNumbersAreThoseOfTheKernelAbi) {
  EXPECT_EQ(Bit(IsaFeature::kAvx2), 1u);
  EXPECT_EQ(Bit(IsaFeature::kAvx512Vnni), 4u);
  EXPECT_EQ(Bit(IsaFeature::kNeon), 256u);
}

// The operating system's own list is the second opinion.
TEST(IsaTest, DetectionAgreesWithTheOperatingSystem) {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && line.rfind("flags", 0) != 0 &&
         line.rfind("Features", 0) != 0) {
  }
  if (line.empty()) GTEST_SKIP() << "/proc/cpuinfo lists no features here";
  std::istringstream words(line);
  std::vector<std::string> flags;
  for (std::string word; words >> word;) flags.push_back(word);
  const auto listed = [&](const char* flag) {
    return std::find(flags.begin(), flags.end(), flag) != flags.end();
  };
  const IsaMask mask = DetectIsa();
  EXPECT_EQ(Has(mask, IsaFeature::kAvx2), listed("avx2") && listed("fma") && listed("f16c"));
  EXPECT_EQ(Has(mask, IsaFeature::kAvx512), listed("avx512f") && listed("avx512bw") &&
                                                listed("avx512dq") && listed("avx512vl") &&
                                                listed("avx512cd"));
  EXPECT_EQ(Has(mask, IsaFeature::kAvx512Vnni), listed("avx512_vnni"));
  EXPECT_EQ(Has(mask, IsaFeature::kAvxVnni), listed("avx_vnni"));
  EXPECT_EQ(Has(mask, IsaFeature::kNeon), listed("asimd"));
  EXPECT_EQ(Has(mask, IsaFeature::kDotProd), listed("asimddp"));
}

}  // namespace
}  // namespace kiln
