/* Which instructions the processor that runs this code has, operating system support included. C11
 * and C++; part of exported libraries as well. The bit numbers are those of IsaFeature (isa.h), and
 * of kiln_info.isa in the kernel ABI. Sources: Intel SDM vol. 2 (CPUID) and vol. 1 ch. 13 (XCR0);
 * Linux, arch/arm64/include/uapi/asm/hwcap.h, whose numbers old C libraries lack.
 */
#ifndef KILN_CPU_FEATURES_H_
#define KILN_CPU_FEATURES_H_

#include <stdint.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

enum {
  KILN_FEATURE_AVX2 = 0,
  KILN_FEATURE_AVX512 = 1,
  KILN_FEATURE_AVX512VNNI = 2,
  KILN_FEATURE_AVXVNNI = 3,
  KILN_FEATURE_NEON = 8,
  KILN_FEATURE_DOTPROD = 9,
  KILN_FEATURE_I8MM = 10
};

static inline uint64_t kiln_feature_bit(int has, int feature) {
  return (uint64_t)(has != 0) << feature;
}

#if defined(__x86_64__)

typedef struct {
  unsigned eax, ebx, ecx, edx;
} kiln_cpuid_leaf;

/* Zeros if the processor does not have the leaf. */
static inline kiln_cpuid_leaf kiln_cpuid(unsigned leaf, unsigned subleaf) {
  kiln_cpuid_leaf out = {0, 0, 0, 0};
  __get_cpuid_count(leaf, subleaf, &out.eax, &out.ebx, &out.ecx, &out.edx);
  return out;
}

static inline int kiln_all_bits(unsigned value, unsigned bits) { return (value & bits) == bits; }

/* The register state that the operating system saves (XCR0): without it an instruction that the
 * processor has still faults. */
static inline unsigned kiln_enabled_state(void) {
  unsigned low = 0, high = 0;
  if (!kiln_all_bits(kiln_cpuid(1, 0).ecx, bit_OSXSAVE)) return 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static inline uint64_t kiln_cpu_features(void) {
  const unsigned ymm_state = 0x06, zmm_state = 0xE6; /* SSE, AVX; and opmask, two halves of zmm */
  const unsigned avxvnni_bit = 1u << 4;
  const unsigned state = kiln_enabled_state();
  const kiln_cpuid_leaf basic = kiln_cpuid(1, 0), extended = kiln_cpuid(7, 0);
  const int avx2 = kiln_all_bits(state, ymm_state) &&
                   kiln_all_bits(basic.ecx, bit_AVX | bit_FMA | bit_F16C | bit_MOVBE) &&
                   kiln_all_bits(extended.ebx, bit_AVX2 | bit_BMI | bit_BMI2) &&
                   kiln_all_bits(kiln_cpuid(0x80000001u, 0).ecx, bit_LZCNT);
  const int avx512 = avx2 && kiln_all_bits(state, zmm_state) &&
                     kiln_all_bits(extended.ebx, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ |
                                                     bit_AVX512VL | bit_AVX512CD);
  const int avxvnni = avx2 && kiln_all_bits(kiln_cpuid(7, 1).eax, avxvnni_bit);
  const int avx512vnni = avx512 && kiln_all_bits(extended.ecx, bit_AVX512VNNI);
  return kiln_feature_bit(avx2, KILN_FEATURE_AVX2) | kiln_feature_bit(avx512, KILN_FEATURE_AVX512) |
         kiln_feature_bit(avxvnni, KILN_FEATURE_AVXVNNI) |
         kiln_feature_bit(avx512vnni, KILN_FEATURE_AVX512VNNI);
}

#elif defined(__aarch64__)

static inline uint64_t kiln_cpu_features(void) {
  const unsigned long asimd = 1ul << 1, asimddp = 1ul << 20, i8mm = 1ul << 13;
  const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  return kiln_feature_bit((first & asimd) != 0, KILN_FEATURE_NEON) |
         kiln_feature_bit((first & asimddp) != 0, KILN_FEATURE_DOTPROD) |
         kiln_feature_bit((second & i8mm) != 0, KILN_FEATURE_I8MM);
}

#else

static inline uint64_t kiln_cpu_features(void) { return 0; }

#endif

#endif /* KILN_CPU_FEATURES_H_ */
