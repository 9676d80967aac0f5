#include "ops/isa.h"

#include <algorithm>
#include <array>

#include "ops/cpu_features.h"

namespace kiln {
namespace {

// x86-64-v3 is AVX2 with FMA, F16C and BMI; x86-64-v4 is AVX-512 F, BW, CD, DQ, VL: the levels of
// the psABI are what IsaFeature means by kAvx2 and kAvx512. Processors that prefer 256 bits would
// have 512-bit vector types split in two.
constexpr std::array<IsaFeatureRow, 7> kFeatures = {{
    {IsaFeature::kAvx2, "avx2", "x86_64", "x86-64-v3", ""},
    {IsaFeature::kAvx512, "avx512", "x86_64", "x86-64-v4", "", 512},
    {IsaFeature::kAvxVnni, "avxvnni", "x86_64", "", "+avxvnni"},
    {IsaFeature::kAvx512Vnni, "avx512vnni", "x86_64", "", "+avx512vnni"},
    {IsaFeature::kNeon, "neon", "aarch64", "", "+neon"},
    {IsaFeature::kDotProd, "dotprod", "aarch64", "", "+dotprod"},
    {IsaFeature::kI8mm, "i8mm", "aarch64", "", "+i8mm"},
}};

// The detection is C, for exported libraries: its numbers are these.
constexpr int NumberOf(IsaFeature feature) { return static_cast<int>(feature); }
static_assert(NumberOf(IsaFeature::kAvx2) == KILN_FEATURE_AVX2 &&
              NumberOf(IsaFeature::kAvx512) == KILN_FEATURE_AVX512 &&
              NumberOf(IsaFeature::kAvx512Vnni) == KILN_FEATURE_AVX512VNNI &&
              NumberOf(IsaFeature::kAvxVnni) == KILN_FEATURE_AVXVNNI &&
              NumberOf(IsaFeature::kNeon) == KILN_FEATURE_NEON &&
              NumberOf(IsaFeature::kDotProd) == KILN_FEATURE_DOTPROD &&
              NumberOf(IsaFeature::kI8mm) == KILN_FEATURE_I8MM);

}  // namespace

std::span<const IsaFeatureRow> IsaFeatures() { return kFeatures; }

std::string_view Name(IsaFeature feature) {
  for (const IsaFeatureRow& known : kFeatures) {
    if (known.feature == feature) return known.name;
  }
  return "";
}

std::vector<std::string> Names(IsaMask mask) {
  std::vector<std::string> names;
  for (const IsaFeatureRow& known : kFeatures) {
    if (Has(mask, known.feature)) names.emplace_back(known.name);
  }
  return names;
}

bool ParseIsaFeature(std::string_view name, IsaFeature& feature) {
  for (const IsaFeatureRow& known : kFeatures) {
    if (known.name != name) continue;
    feature = known.feature;
    return true;
  }
  return false;
}

ClangInstructions InstructionsOf(std::string_view arch, IsaMask isa) {
  ClangInstructions instructions{arch == "aarch64" ? "generic" : "x86-64"};
  for (const IsaFeatureRow& row : kFeatures) {
    if (row.arch != arch || !Has(isa, row.feature)) continue;
    if (!row.clang_cpu.empty()) instructions.cpu = row.clang_cpu;
    if (!row.clang_feature.empty()) instructions.features.emplace_back(row.clang_feature);
    instructions.vector_bits = std::max(instructions.vector_bits, row.vector_bits);
  }
  return instructions;
}

std::string CompilerFlagsOf(std::string_view arch, IsaMask isa) {
  const ClangInstructions clang = InstructionsOf(arch, isa);
  const bool is_arm = arch == "aarch64";
  // gcc takes Arm's features only together with a version of the architecture that has them.
  const bool is_old_arm = (isa & ~Bit(IsaFeature::kNeon)) == 0;
  std::string flags = "-march=" + (!is_arm ? clang.cpu : is_old_arm ? "armv8-a" : "armv8.2-a");
  for (const std::string& feature : clang.features) {
    if (!is_arm) {
      flags += " -m" + feature.substr(1);
    } else if (feature != "+neon") {
      flags += feature;
    }
  }
  if (clang.vector_bits > 0) {
    flags += " -mprefer-vector-width=" + std::to_string(clang.vector_bits);
  }
  return flags;
}

IsaMask DetectIsa() {
  static const IsaMask mask = kiln_cpu_features();
  return mask;
}

}  // namespace kiln
