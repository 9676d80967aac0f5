#include "ops/isa.h"

#include <algorithm>
#include <array>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

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

#if defined(__x86_64__)

struct CpuidLeaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// Zeros if the processor does not have the leaf.
CpuidLeaf Cpuid(unsigned leaf, unsigned subleaf) {
  CpuidLeaf out;
  __get_cpuid_count(leaf, subleaf, &out.eax, &out.ebx, &out.ecx, &out.edx);
  return out;
}

constexpr bool AllBits(unsigned value, unsigned bits) { return (value & bits) == bits; }

// The register state that the operating system saves (XCR0): without it an instruction that the
// processor has still faults.
unsigned EnabledState() {
  if (!AllBits(Cpuid(1, 0).ecx, bit_OSXSAVE)) return 0;
  unsigned low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

IsaMask Detect() {
  constexpr unsigned kYmmState = 0x06, kZmmState = 0xE6;  // SSE, AVX; and opmask, two halves of zmm
  constexpr unsigned kAvxVnniBit = 1u << 4;
  const unsigned state = EnabledState();
  const CpuidLeaf basic = Cpuid(1, 0), extended = Cpuid(7, 0);
  IsaMask mask = 0;
  const bool avx2 = AllBits(state, kYmmState) &&
                    AllBits(basic.ecx, bit_AVX | bit_FMA | bit_F16C | bit_MOVBE) &&
                    AllBits(extended.ebx, bit_AVX2 | bit_BMI | bit_BMI2) &&
                    AllBits(Cpuid(0x8000'0001, 0).ecx, bit_LZCNT);
  if (!avx2) return mask;
  mask |= Bit(IsaFeature::kAvx2);
  if (AllBits(Cpuid(7, 1).eax, kAvxVnniBit)) mask |= Bit(IsaFeature::kAvxVnni);
  const bool avx512 =
      AllBits(state, kZmmState) && AllBits(extended.ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ |
                                                             bit_AVX512VL | bit_AVX512CD);
  if (!avx512) return mask;
  mask |= Bit(IsaFeature::kAvx512);
  if (AllBits(extended.ecx, bit_AVX512VNNI)) mask |= Bit(IsaFeature::kAvx512Vnni);
  return mask;
}

#elif defined(__aarch64__)

// Bit numbers of the kernel's arch/arm64/include/uapi/asm/hwcap.h, which old C libraries lack.
IsaMask Detect() {
  constexpr unsigned long kAsimd = 1ul << 1, kAsimdDp = 1ul << 20, kI8mm2 = 1ul << 13;
  IsaMask mask = 0;
  if (getauxval(AT_HWCAP) & kAsimd) mask |= Bit(IsaFeature::kNeon);
  if (getauxval(AT_HWCAP) & kAsimdDp) mask |= Bit(IsaFeature::kDotProd);
  if (getauxval(AT_HWCAP2) & kI8mm2) mask |= Bit(IsaFeature::kI8mm);
  return mask;
}

#else

IsaMask Detect() { return 0; }

#endif

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

IsaMask DetectIsa() {
  static const IsaMask mask = Detect();
  return mask;
}

}  // namespace kiln
