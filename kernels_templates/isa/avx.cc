#include "kernels_templates/isa/avx.h"

#include <string>

#include "kernels_templates/isa/data_stage.h"

// AVX2, AVX-VNNI and AVX-512. What instructions compute: Intel's Software Developer's Manual; names
// of the builtins: clang 19.

namespace kiln {
namespace {

// What instruction sets of x86 have in common. "v": any vector register.
constexpr std::string_view kX86 = R"(
#define K_UNKNOWN(v) __asm__ volatile("" : "+v"(v))
)";

// Dots of four unsigned bytes by four signed ones.
constexpr std::string_view kBytes = R"(
typedef kv kop;
INLINE kop k_weights(const void *p) { return k_load(p); }
INLINE kop k_broadcast(const uint8_t *p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return k_splat(four);
}
/* The flip stays a vector operation: a scalar one would cost a move between register files. */
INLINE kop k_flip(kop a) {
#if K_FLIP
  kv top = k_splat((int32_t)0x80808080);
  __asm__("" : "+v"(top));
  return a ^ top;
#else
  return a;
#endif
}
INLINE kop k_broadcast_raw(const uint8_t *p) { return k_flip(k_broadcast(p)); }
)";

// vpdpbusd, and vpdpwssd on pairs of words.
constexpr std::string_view kAvx512Dot = R"(
INLINE kv k_dot(kv acc, kop a, kop w) { return (kv)__builtin_ia32_vpdpbusd512(acc, a, w); }
INLINE kv k_words_dot(kv acc, kv a, kv w) { return (kv)__builtin_ia32_vpdpwssd512(acc, a, w); }
#define K_PACK_WORDS(a, b) ((kh)__builtin_ia32_packssdw512(a, b))
)";

constexpr std::string_view kAvx512PartialLoad = R"(
INLINE kv k_load_n(const void *p, int32_t n) {
  return (kv)__builtin_ia32_loaddquqi512_mask((const kb64 *)p, (kb64){0}, n < 64 ? (1ull << n) - 1 : ~0ull);
}
)";

constexpr std::string_view kAvxVnniDot = R"(
INLINE kv k_dot(kv acc, kop a, kop w) { return (kv)__builtin_ia32_vpdpbusd256(acc, a, w); }
INLINE kv k_words_dot(kv acc, kv a, kv w) { return (kv)__builtin_ia32_vpdpwssd256(acc, a, w); }
)";

constexpr std::string_view kAvx512Stores = R"(
#if K_UNSIGNED
INLINE kb16 k_bytes1(kv a, k_range range) {
  const kv value = __builtin_elementwise_max(k_value(a, range), (kv){0});
  return (kb16)__builtin_ia32_pmovusdb512_mask(value, (kb16){0}, -1);
}
INLINE kb32 k_bytes2(kv a, kv b, k_range range) {
  const kh words = __builtin_elementwise_max((kh)k_words(a, b, range), (kh){0});
  return (kb32)__builtin_ia32_pmovuswb512_mask(words, (kb32){0}, -1);
}
INLINE kb64 k_bytes4(kv a, kv b, kv c, kv d, k_range range) {
  return (kb64)__builtin_ia32_packuswb512(k_words(a, b, range), k_words(c, d, range));
}
#else
INLINE kb16 k_bytes1(kv a, k_range range) {
  return (kb16)__builtin_ia32_pmovsdb512_mask(k_value(a, range), (kb16){0}, -1);
}
INLINE kb32 k_bytes2(kv a, kv b, k_range range) {
  return (kb32)__builtin_ia32_pmovswb512_mask(k_words(a, b, range), (kb32){0}, -1);
}
INLINE kb64 k_bytes4(kv a, kv b, kv c, kv d, k_range range) {
  return (kb64)__builtin_ia32_packsswb512(k_words(a, b, range), k_words(c, d, range));
}
#endif
INLINE void k_store1(uint8_t *y, k_range range, kv a) {
  *(kb16_memory *)y = k_clamp16(k_bytes1(a, range), range);
}
INLINE void k_store2(uint8_t *y, k_range range, kv a, kv b) {
  *(kb32_memory *)y = k_clamp32(k_bytes2(a, b, range), range);
}
INLINE void k_store4(uint8_t *y, k_range range, kv a, kv b, kv c, kv d) {
  *(kb64_memory *)y = k_clamp64(k_bytes4(a, b, c, d, range), range);
}
INLINE void k_store1_n(uint8_t *y, k_range range, int32_t n, kv a) {
  __builtin_ia32_storedquqi128_mask((kb16 *)y, k_clamp16(k_bytes1(a, range), range), (uint16_t)((1u << n) - 1));
}
INLINE void k_store2_n(uint8_t *y, k_range range, int32_t n, kv a, kv b) {
  __builtin_ia32_storedquqi256_mask((kb32 *)y, k_clamp32(k_bytes2(a, b, range), range),
                                    (uint32_t)((1ull << n) - 1));
}
INLINE void k_store4_n(uint8_t *y, k_range range, int32_t n, kv a, kv b, kv c, kv d) {
  __builtin_ia32_storedquqi512_mask((kb64 *)y, k_clamp64(k_bytes4(a, b, c, d, range), range), (1ull << n) - 1);
}
)";

// pmaddwd on 16-bit values: exact for any bytes, where pmaddubsw would saturate.
constexpr std::string_view kAvx2Words = R"(
typedef kh kop;
typedef int16_t kh8 __attribute__((vector_size(16)));

INLINE kv k_dot(kv acc, kop a, kop w) { return acc + (kv)__builtin_ia32_pmaddwd256(a, w); }
INLINE kv k_words_dot(kv acc, kv a, kv w) { return k_dot(acc, (kop)a, (kop)w); }
INLINE kop k_weights(const void *p) { return *(const kh_memory *)p; }
INLINE kop k_broadcast(const uint8_t *p) {
  int32_t two;
  __builtin_memcpy(&two, p, 4);
  return (kop)k_splat(two);
}
INLINE kop k_broadcast_raw(const uint8_t *p) {
  int16_t two;
  __builtin_memcpy(&two, p, 2);
  return __builtin_convertvector((kx16)((kh8){0} + two), kop);
}
)";

constexpr std::string_view kPackWords256 = R"(
#define K_PACK_WORDS(a, b) ((kh)__builtin_ia32_packssdw256(a, b))
)";

constexpr std::string_view kAvx2Stores = R"(
#if K_UNSIGNED
#define K_PACK_BYTES __builtin_ia32_packuswb256
#else
#define K_PACK_BYTES __builtin_ia32_packsswb256
#endif
INLINE kb8 k_bytes1(kv a, k_range range) {
  const kh words = k_words(a, a, range);
  const kv bytes = (kv)K_PACK_BYTES(words, words);
  return (kb8)__builtin_shufflevector(bytes, bytes, 0, 4);
}
INLINE kb16 k_bytes2(kv a, kv b, k_range range) {
  const kh words = k_words(a, b, range);
  const kvl bytes = (kvl)K_PACK_BYTES(words, words);
  return (kb16)__builtin_shufflevector(bytes, bytes, 0, 2);
}
INLINE kb32 k_bytes4(kv a, kv b, kv c, kv d, k_range range) {
  return (kb32)K_PACK_BYTES(k_words(a, b, range), k_words(c, d, range));
}
INLINE void k_store1(uint8_t *y, k_range range, kv a) {
  *(kb8_memory *)y = k_clamp8(k_bytes1(a, range), range);
}
INLINE void k_store2(uint8_t *y, k_range range, kv a, kv b) {
  *(kb16_memory *)y = k_clamp16(k_bytes2(a, b, range), range);
}
INLINE void k_store4(uint8_t *y, k_range range, kv a, kv b, kv c, kv d) {
  *(kb32_memory *)y = k_clamp32(k_bytes4(a, b, c, d, range), range);
}
INLINE void k_store1_n(uint8_t *y, k_range range, int32_t n, kv a) {
  const kb8 bytes = k_clamp8(k_bytes1(a, range), range);
  for (int32_t i = 0; i < n; ++i) y[i] = (uint8_t)bytes[i];
}
INLINE void k_store2_n(uint8_t *y, k_range range, int32_t n, kv a, kv b) {
  const kb16 bytes = k_clamp16(k_bytes2(a, b, range), range);
  for (int32_t i = 0; i < n; ++i) y[i] = (uint8_t)bytes[i];
}
INLINE void k_store4_n(uint8_t *y, k_range range, int32_t n, kv a, kv b, kv c, kv d) {
  const kb32 bytes = k_clamp32(k_bytes4(a, b, c, d, range), range);
  for (int32_t i = 0; i < n; ++i) y[i] = (uint8_t)bytes[i];
}
)";

}  // namespace

const VectorIsa& Avx512Vnni() {
  static const std::string source = Concatenate({kX86, kBytes, kStageBytes, kAvx512Dot});
  static const VectorIsa isa = {
      .name = "avx512vnni",
      .required = Bit(IsaFeature::kAvx512) | Bit(IsaFeature::kAvx512Vnni),
      .lanes = 16,
      .group = 4,
      .registers = 32,
      .activation_bytes = 1,
      .weight_bytes = 1,
      .max_store_group = 4,
      .dot_input = DotInput::kUnsignedBytes,
      .rounds_per_instruction = true,
      .fuses_multiply_add = true,
      .subtracts_weight_zero_point = false,
      .source = source,
      .stores = kAvx512Stores,
      .partial_load = kAvx512PartialLoad,
      .dot_instruction = "vpdpbusd",
  };
  return isa;
}

const VectorIsa& AvxVnni() {
  static const std::string source =
      Concatenate({kX86, kBytes, kStageBytes, kAvxVnniDot, kPackWords256});
  static const VectorIsa isa = {
      .name = "avxvnni",
      .required = Bit(IsaFeature::kAvx2) | Bit(IsaFeature::kAvxVnni),
      .lanes = 8,
      .group = 4,
      .registers = 16,
      .activation_bytes = 1,
      .weight_bytes = 1,
      .max_store_group = 4,
      .dot_input = DotInput::kUnsignedBytes,
      .fuses_multiply_add = true,
      .subtracts_weight_zero_point = false,
      .source = source,
      .stores = kAvx2Stores,
      .dot_instruction = "vpdpbusd",
  };
  return isa;
}

const VectorIsa& Avx2() {
  static const std::string source = Concatenate({kX86, kAvx2Words, kPackWords256, kStageWords});
  static const VectorIsa isa = {
      .name = "avx2",
      .required = Bit(IsaFeature::kAvx2),
      .lanes = 8,
      .group = 2,
      .registers = 16,
      .activation_bytes = 2,
      .weight_bytes = 2,
      .max_store_group = 4,
      .fuses_multiply_add = true,
      .subtracts_weight_zero_point = true,
      .source = source,
      .stores = kAvx2Stores,
      .dot_instruction = "vpmaddwd",
  };
  return isa;
}

}  // namespace kiln
