#include "ops/isa.h"

#include <array>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace kiln {
namespace {

struct NamedFeature {
  IsaFeature feature;
  std::string_view name;
};

constexpr std::array<NamedFeature, 7> kFeatures = {{
    {IsaFeature::kAvx2, "avx2"},
    {IsaFeature::kAvx512, "avx512"},
    {IsaFeature::kAvx512Vnni, "avx512vnni"},
    {IsaFeature::kAvxVnni, "avxvnni"},
    {IsaFeature::kNeon, "neon"},
    {IsaFeature::kDotProd, "dotprod"},
    {IsaFeature::kI8mm, "i8mm"},
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

std::string_view Name(IsaFeature feature) {
  for (const NamedFeature& known : kFeatures) {
    if (known.feature == feature) return known.name;
  }
  return "";
}

std::vector<std::string> Names(IsaMask mask) {
  std::vector<std::string> names;
  for (const NamedFeature& known : kFeatures) {
    if (Has(mask, known.feature)) names.emplace_back(known.name);
  }
  return names;
}

bool ParseIsaFeature(std::string_view name, IsaFeature& feature) {
  for (const NamedFeature& known : kFeatures) {
    if (known.name != name) continue;
    feature = known.feature;
    return true;
  }
  return false;
}

IsaMask DetectIsa() {
  static const IsaMask mask = Detect();
  return mask;
}

}  // namespace kiln
