#include "kernels_templates/isa/neon.h"

#include <string>

#include "kernels_templates/isa/data_stage.h"

// Advanced SIMD of ARMv8. Names of instructions and what they compute: Arm Architecture Reference
// Manual for A-profile; names of the builtins: clang 19. The numbers at their end are its codes for
// the type of the result: 0 bytes, 1 words, 2 int32, 16 unsigned bytes, plus 32 for 128 bits.

namespace kiln {
namespace {

constexpr std::string_view kArm = R"(
#define K_UNKNOWN(v) __asm__ volatile("" : "+w"(v))
typedef int8_t kb4 __attribute__((vector_size(4)));
typedef kb4 kb4_memory __attribute__((aligned(1), may_alias));
typedef kx8 kx8_memory __attribute__((aligned(1), may_alias));
typedef int16_t kh4 __attribute__((vector_size(8)));
typedef kh4 kh4_memory __attribute__((aligned(1), may_alias));
typedef int32_t kv2 __attribute__((vector_size(8)));
#define K_LOW_HALF(v) __builtin_shufflevector(v, v, 0, 1, 2, 3)
#define K_HIGH_HALF(v) __builtin_shufflevector(v, v, 4, 5, 6, 7)
#define K_LOW_BYTES8(v) __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
#define K_HIGH_BYTES8(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
#define K_JOIN_WORDS(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7)
#define K_PACK_WORDS(a, b) \
  ((kh)K_JOIN_WORDS((kh4)__builtin_neon_vqmovn_v((kb16)(a), 1), (kh4)__builtin_neon_vqmovn_v((kb16)(b), 1)))
#define K_PACK_LOW_HALVES(a, b) \
  __builtin_shufflevector((kh)(a), (kh)(b), 0, 2, 4, 6, 8, 10, 12, 14)
/* smlal and smlal2: words of a times words of w */
INLINE kv k_words_low(kv acc, kh a, kh w) {
  return acc + (kv)__builtin_neon_vmull_v((kb8)K_LOW_HALF(a), (kb8)K_LOW_HALF(w), 34);
}
INLINE kv k_words_high(kv acc, kh a, kh w) {
  return acc + (kv)__builtin_neon_vmull_v((kb8)K_HIGH_HALF(a), (kb8)K_HIGH_HALF(w), 34);
}
)";

// Signed bytes by fours.
constexpr std::string_view kSignedBytes = R"(
INLINE kv k_flip(kv a) {
#if K_FLIP
  return a ^ k_splat((int32_t)0x80808080);
#else
  return a;
#endif
}
INLINE kv k_four(const uint8_t *p) {
  int32_t four;
  __builtin_memcpy(&four, p, 4);
  return k_splat(four);
}
typedef kv kchunk;
INLINE kchunk k_chunk(const uint8_t *p) { return k_load(p); }
INLINE kchunk k_chunk_raw(const uint8_t *p) { return k_flip(k_load(p)); }
)";

constexpr std::string_view kSdot = R"(
typedef kv kop;
INLINE kop k_weights(const void *p) { return k_load(p); }
INLINE kop k_broadcast(const uint8_t *p) { return k_four(p); }
INLINE kop k_broadcast_raw(const uint8_t *p) { return k_flip(k_four(p)); }
#define K_LANE(x, i) __builtin_shufflevector(x, x, i, i, i, i)
INLINE kv k_dot(kv acc, kop a, kop w) {
  return (kv)__builtin_neon_vdotq_s32((kb16)acc, (kb16)w, (kb16)a, 34);
}
)";

// Without a dot product: smull and smlal2 multiply bytes to words, sadalp sums pairs of these. So
// the first two of a group's four values lie in the low half of the operands, the others in the
// high one. Two products fit a word if no weight is -128.
constexpr std::string_view kSmull = R"(
typedef kb16 kop;
#define K_PLACE(lane, i, group) \
  ((group) == 4 ? (i) / 2 * 8 + (lane) * 2 + (i) % 2 : (lane) * (group) + (i))
#define K_LOWEST_WEIGHT (-127)
INLINE kop k_weights(const void *p) { return *(const kb16_memory *)p; }
INLINE kh k_as_words(kv v) { return (kh)v; }
#define K_LANE(x, i) \
  ((kop)__builtin_shufflevector(k_as_words(x), k_as_words(x), 2 * (i), 2 * (i), 2 * (i), 2 * (i), \
                                2 * (i) + 1, 2 * (i) + 1, 2 * (i) + 1, 2 * (i) + 1))
INLINE kop k_broadcast(const uint8_t *p) { return K_LANE(k_four(p), 0); }
INLINE kop k_broadcast_raw(const uint8_t *p) { return K_LANE(k_flip(k_four(p)), 0); }
INLINE kv k_dot(kv acc, kop a, kop w) {
  kh products = (kh)__builtin_neon_vmull_v((kb8)K_LOW_BYTES8(a), (kb8)K_LOW_BYTES8(w), 33);
  products += (kh)__builtin_neon_vmull_v((kb8)K_HIGH_BYTES8(a), (kb8)K_HIGH_BYTES8(w), 33);
  return (kv)__builtin_neon_vpadalq_v((kb16)acc, (kb16)products, 34);
}
)";

// smlal by lane, on values widened to 16 bits.
constexpr std::string_view kSmlal = R"(
typedef kh4 kop;
INLINE kop k_weights(const void *p) { return *(const kh4_memory *)p; }
INLINE kop k_broadcast(const uint8_t *p) {
  int16_t one;
  __builtin_memcpy(&one, p, 2);
  return (kh4){0} + one;
}
INLINE kop k_broadcast_raw(const uint8_t *p) { return (kh4){0} + (int16_t) * (const K_BYTE *)p; }
typedef kh kchunk;
INLINE kchunk k_chunk(const uint8_t *p) { return *(const kh_memory *)p; }
INLINE kchunk k_chunk_raw(const uint8_t *p) { return __builtin_convertvector(*(const kx8_memory *)p, kh); }
#define K_LANE(x, i) __builtin_shufflevector(x, x, i, i, i, i)
INLINE kv k_dot(kv acc, kop a, kop w) { return acc + (kv)__builtin_neon_vmull_v((kb8)w, (kb8)a, 34); }
)";

constexpr std::string_view kStores = R"(
#if K_UNSIGNED
#define K_NARROW(words) ((kb8)__builtin_neon_vqmovun_v((kb16)(words), 16))
#else
#define K_NARROW(words) ((kb8)__builtin_neon_vqmovn_v((kb16)(words), 0))
#endif
INLINE kb16 k_bytes4(kv a, kv b, kv c, kv d, k_range range) {
  const kb8 low = K_NARROW(k_words(a, b, range)), high = K_NARROW(k_words(c, d, range));
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
INLINE kb8 k_bytes2(kv a, kv b, k_range range) { return K_NARROW(k_words(a, b, range)); }
INLINE void k_store1(uint8_t *y, k_range range, kv a) {
  const kb8 bytes = k_clamp8(k_bytes2(a, a, range), range);
  *(kb4_memory *)y = __builtin_shufflevector(bytes, bytes, 0, 1, 2, 3);
}
INLINE void k_store2(uint8_t *y, k_range range, kv a, kv b) {
  *(kb8_memory *)y = k_clamp8(k_bytes2(a, b, range), range);
}
INLINE void k_store4(uint8_t *y, k_range range, kv a, kv b, kv c, kv d) {
  *(kb16_memory *)y = k_clamp16(k_bytes4(a, b, c, d, range), range);
}
INLINE void k_store1_n(uint8_t *y, k_range range, int32_t n, kv a) {
  const kb8 bytes = k_clamp8(k_bytes2(a, a, range), range);
  for (int32_t i = 0; i < n; ++i) y[i] = (uint8_t)bytes[i];
}
INLINE void k_store2_n(uint8_t *y, k_range range, int32_t n, kv a, kv b) {
  const kb8 bytes = k_clamp8(k_bytes2(a, b, range), range);
  for (int32_t i = 0; i < n; ++i) y[i] = (uint8_t)bytes[i];
}
INLINE void k_store4_n(uint8_t *y, k_range range, int32_t n, kv a, kv b, kv c, kv d) {
  const kb16 bytes = k_clamp16(k_bytes4(a, b, c, d, range), range);
  for (int32_t i = 0; i < n; ++i) y[i] = (uint8_t)bytes[i];
}
)";

// What the three have in common.
VectorIsa Arm(std::string_view name, std::string_view source) {
  VectorIsa isa;
  isa.name = name;
  isa.required = Bit(IsaFeature::kNeon);
  isa.lanes = 4;
  isa.registers = 32;
  isa.max_store_group = 4;
  isa.fuses_multiply_add = true;
  isa.multiplies_to_high_half = true;
  isa.multiplies_halves = true;
  isa.source = source;
  isa.stores = kStores;
  return isa;
}

}  // namespace

const VectorIsa& Dotprod() {
  static const std::string source = Concatenate({kArm, kSignedBytes, kStageBytes, kSdot});
  static const VectorIsa isa = [] {
    VectorIsa dot = Arm("dotprod", source);
    dot.required |= Bit(IsaFeature::kDotProd);
    dot.group = 4;
    dot.dot_input = DotInput::kSignedBytes;
    dot.chunk_steps = 4;
    dot.dot_instruction = "sdot";
    return dot;
  }();
  return isa;
}

const VectorIsa& NeonMull() {
  static const std::string source = Concatenate({kArm, kSignedBytes, kStageBytes, kSmull});
  static const VectorIsa isa = [] {
    VectorIsa mull = Arm("neon", source);
    mull.method = "mull";
    mull.group = 4;
    mull.dot_input = DotInput::kSignedBytes;
    mull.chunk_steps = 4;
    mull.lowest_weight = -127;
    mull.splits_groups = true;
    mull.dot_instruction = "sadalp";
    return mull;
  }();
  return isa;
}

const VectorIsa& NeonMlal() {
  static const std::string source = Concatenate({kArm, kSmlal, kStageWords});
  static const VectorIsa isa = [] {
    VectorIsa mlal = Arm("neon", source);
    mlal.method = "mlal";
    mlal.activation_bytes = 2;
    mlal.weight_bytes = 2;
    mlal.chunk_steps = 8;
    mlal.subtracts_weight_zero_point = true;
    mlal.dot_instruction = "smlal";
    return mlal;
  }();
  return isa;
}

}  // namespace kiln
