#pragma once

// The instructions of AVX-512 and VNNI that kernels use, for a machine that has AVX2 and not them: a
// kernel's C is compiled with this file before it, and each builtin means a function. A function
// does what Intel's SDM says of the instruction, bit for bit, masks and saturation included; names
// and arguments of the builtins are those of clang 19. Where a rounding mode is part of the
// instruction, AVX2's own instruction rounds, under a changed MXCSR. C and no C++.

#include <stdint.h>

#define IN_C static inline __attribute__((always_inline, unused))

typedef int32_t in_c_i32x8 __attribute__((vector_size(32)));
typedef int16_t in_c_i16x16 __attribute__((vector_size(32)));
typedef uint16_t in_c_u16x16 __attribute__((vector_size(32)));
typedef int8_t in_c_i8x32 __attribute__((vector_size(32)));
typedef float in_c_f32x8 __attribute__((vector_size(32)));
typedef int8_t in_c_i8x16 __attribute__((vector_size(16)));
typedef int32_t in_c_i32x16 __attribute__((vector_size(64)));
typedef uint32_t in_c_u32x16 __attribute__((vector_size(64)));
typedef int16_t in_c_i16x32 __attribute__((vector_size(64)));
typedef uint16_t in_c_u16x32 __attribute__((vector_size(64)));
typedef int8_t in_c_i8x64 __attribute__((vector_size(64)));
typedef float in_c_f32x16 __attribute__((vector_size(64)));

// A vector of 512 bits by an instruction for 256 of them: `call` is an expression over the halves
// that HALF(v) names.
#define IN_C_LOW(v) __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7)
#define IN_C_HIGH(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15)
#define IN_C_JOIN(low, high) \
  __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

// Elements whose bit of `mask` is 0 become those of `other`.
#define IN_C_SELECT(result, other, mask)                                                      \
  {                                                                                           \
    uint64_t kept = ~(uint64_t)(mask) & ~0ull >> (64 - sizeof(result) / sizeof((result)[0])); \
    for (uint32_t i = 0; kept != 0; kept >>= 1, ++i) {                                        \
      if (kept & 1) (result)[i] = (other)[i];                                                 \
    }                                                                                         \
  }

// ---- dots. Sums wrap around.

IN_C in_c_i32x8 in_c_vpdpwssd256(in_c_i32x8 acc, in_c_i32x8 a, in_c_i32x8 w) {
  return acc + __builtin_ia32_pmaddwd256((in_c_i16x16)a, (in_c_i16x16)w);
}
// Unsigned bytes of `a` by signed ones of `w`: the even bytes of each lane, as words, then the odd.
IN_C in_c_i32x8 in_c_vpdpbusd256(in_c_i32x8 acc, in_c_i32x8 a, in_c_i32x8 w) {
  const in_c_u16x16 bytes = (in_c_u16x16)a;
  const in_c_i16x16 weights = (in_c_i16x16)w;
  const in_c_i16x16 even = (in_c_i16x16)((in_c_u16x16)w << 8) >> 8, odd = weights >> 8;
  acc = in_c_vpdpwssd256(acc, (in_c_i32x8)(bytes & 0xff), (in_c_i32x8)even);
  return in_c_vpdpwssd256(acc, (in_c_i32x8)(bytes >> 8), (in_c_i32x8)odd);
}
IN_C in_c_i32x16 in_c_vpdpwssd512(in_c_i32x16 acc, in_c_i32x16 a, in_c_i32x16 w) {
  return IN_C_JOIN(in_c_vpdpwssd256(IN_C_LOW(acc), IN_C_LOW(a), IN_C_LOW(w)),
                   in_c_vpdpwssd256(IN_C_HIGH(acc), IN_C_HIGH(a), IN_C_HIGH(w)));
}
IN_C in_c_i32x16 in_c_vpdpbusd512(in_c_i32x16 acc, in_c_i32x16 a, in_c_i32x16 w) {
  return IN_C_JOIN(in_c_vpdpbusd256(IN_C_LOW(acc), IN_C_LOW(a), IN_C_LOW(w)),
                   in_c_vpdpbusd256(IN_C_HIGH(acc), IN_C_HIGH(a), IN_C_HIGH(w)));
}

// ---- packing with saturation, within each 128 bits: so it is that of the halves.

IN_C in_c_i16x32 in_c_packssdw512(in_c_i32x16 a, in_c_i32x16 b) {
  return (in_c_i16x32)IN_C_JOIN((in_c_i32x8)__builtin_ia32_packssdw256(IN_C_LOW(a), IN_C_LOW(b)),
                                (in_c_i32x8)__builtin_ia32_packssdw256(IN_C_HIGH(a), IN_C_HIGH(b)));
}
#define IN_C_PACK_WORDS(name)                                                                      \
  IN_C in_c_i8x64 in_c_##name##512(in_c_i16x32 a, in_c_i16x32 b) {                                 \
    const in_c_i32x16 x = (in_c_i32x16)a, y = (in_c_i32x16)b;                                      \
    return (in_c_i8x64)IN_C_JOIN((in_c_i32x8)__builtin_ia32_##name##256((in_c_i16x16)IN_C_LOW(x),  \
                                                                        (in_c_i16x16)IN_C_LOW(y)), \
                                 (in_c_i32x8)__builtin_ia32_##name##256(                           \
                                     (in_c_i16x16)IN_C_HIGH(x), (in_c_i16x16)IN_C_HIGH(y)));       \
  }
IN_C_PACK_WORDS(packsswb)
IN_C_PACK_WORDS(packuswb)

// ---- narrowing with saturation, in the order of the elements.

#define IN_C_NARROW(name, from, least, most, to)                                              \
  IN_C to in_c_##name##512_mask(from v, to other, uint32_t mask) {                            \
    const from low = (from){0} + (least), high = (from){0} + (most);                          \
    const from in_range = __builtin_elementwise_min(__builtin_elementwise_max(v, low), high); \
    to result = __builtin_convertvector(in_range, to);                                        \
    IN_C_SELECT(result, other, mask)                                                          \
    return result;                                                                            \
  }
IN_C_NARROW(pmovsdb, in_c_i32x16, -128, 127, in_c_i8x16)
IN_C_NARROW(pmovusdb, in_c_u32x16, 0, 255, in_c_i8x16)
IN_C_NARROW(pmovswb, in_c_i16x32, -128, 127, in_c_i8x32)
IN_C_NARROW(pmovuswb, in_c_u16x32, 0, 255, in_c_i8x32)

// ---- rounding per instruction. `rounding` is 8 + the rounding control of MXCSR (its bits 13 and
// 14), or 4 for that which is set; exceptions are masked.

IN_C uint32_t in_c_mxcsr(void) {
  uint32_t control;
  __asm__ volatile("vstmxcsr %0" : "=m"(control));
  return control;
}
IN_C uint32_t in_c_with_rounding(uint32_t control, int rounding) {
  if (rounding & 4) return control;
  return (control & ~0x6000u) | 0x1f80u | (uint32_t)(rounding & 3) << 13;
}
IN_C in_c_f32x8 in_c_fma(in_c_f32x8 a, in_c_f32x8 b, in_c_f32x8 c, int rounding) {
  const uint32_t saved = in_c_mxcsr(), control = in_c_with_rounding(saved, rounding);
  __asm__ volatile("vldmxcsr %[control]\n\tvfmadd213ps %[c], %[b], %[a]\n\tvldmxcsr %[saved]"
                   : [a] "+x"(a)
                   : [b] "x"(b), [c] "x"(c), [control] "m"(control), [saved] "m"(saved));
  return a;
}
IN_C in_c_i32x8 in_c_to_integers(in_c_f32x8 v, int rounding) {
  const uint32_t saved = in_c_mxcsr(), control = in_c_with_rounding(saved, rounding);
  in_c_i32x8 result;
  __asm__ volatile("vldmxcsr %[control]\n\tvcvtps2dq %[v], %[result]\n\tvldmxcsr %[saved]"
                   : [result] "=x"(result)
                   : [v] "x"(v), [control] "m"(control), [saved] "m"(saved));
  return result;
}
IN_C in_c_f32x16 in_c_vfmaddps512_mask(in_c_f32x16 a, in_c_f32x16 b, in_c_f32x16 c, uint16_t mask,
                                       int rounding) {
  in_c_f32x16 result = IN_C_JOIN(in_c_fma(IN_C_LOW(a), IN_C_LOW(b), IN_C_LOW(c), rounding),
                                 in_c_fma(IN_C_HIGH(a), IN_C_HIGH(b), IN_C_HIGH(c), rounding));
  IN_C_SELECT(result, a, mask)
  return result;
}
IN_C in_c_i32x16 in_c_cvtps2dq512_mask(in_c_f32x16 v, in_c_i32x16 other, uint16_t mask,
                                       int rounding) {
  in_c_i32x16 result =
      IN_C_JOIN(in_c_to_integers(IN_C_LOW(v), rounding), in_c_to_integers(IN_C_HIGH(v), rounding));
  IN_C_SELECT(result, other, mask)
  return result;
}
// Towards zero whatever the rounding mode.
IN_C in_c_i32x16 in_c_cvttps2dq512_mask(in_c_f32x16 v, in_c_i32x16 other, uint16_t mask,
                                        int suppress_exceptions) {
  (void)suppress_exceptions;
  in_c_i32x16 result = IN_C_JOIN(__builtin_ia32_cvttps2dq256(IN_C_LOW(v)),
                                 __builtin_ia32_cvttps2dq256(IN_C_HIGH(v)));
  IN_C_SELECT(result, other, mask)
  return result;
}

// ---- bytes of memory under a mask: those whose bit is 0 are neither read nor written. Not
// inlined, so that no loop is unrolled 64 times.

static __attribute__((noinline, unused)) void in_c_copy(uint8_t* to, const uint8_t* from,
                                                        uint64_t mask) {
  for (; mask != 0; mask >>= 1, ++to, ++from) {
    if (mask & 1) *to = *from;
  }
}
IN_C in_c_i8x64 in_c_loaddquqi512_mask(const void* p, in_c_i8x64 other, uint64_t mask) {
  in_c_copy((uint8_t*)&other, p, mask);
  return other;
}
IN_C void in_c_storedquqi128_mask(void* p, in_c_i8x16 v, uint16_t mask) {
  in_c_copy(p, (const uint8_t*)&v, mask);
}
IN_C void in_c_storedquqi256_mask(void* p, in_c_i8x32 v, uint32_t mask) {
  in_c_copy(p, (const uint8_t*)&v, mask);
}
IN_C void in_c_storedquqi512_mask(void* p, in_c_i8x64 v, uint64_t mask) {
  in_c_copy(p, (const uint8_t*)&v, mask);
}

#define __builtin_ia32_vpdpbusd256 in_c_vpdpbusd256
#define __builtin_ia32_vpdpwssd256 in_c_vpdpwssd256
#define __builtin_ia32_vpdpbusd512 in_c_vpdpbusd512
#define __builtin_ia32_vpdpwssd512 in_c_vpdpwssd512
#define __builtin_ia32_packssdw512 in_c_packssdw512
#define __builtin_ia32_packsswb512 in_c_packsswb512
#define __builtin_ia32_packuswb512 in_c_packuswb512
#define __builtin_ia32_pmovsdb512_mask in_c_pmovsdb512_mask
#define __builtin_ia32_pmovusdb512_mask in_c_pmovusdb512_mask
#define __builtin_ia32_pmovswb512_mask in_c_pmovswb512_mask
#define __builtin_ia32_pmovuswb512_mask in_c_pmovuswb512_mask
#define __builtin_ia32_vfmaddps512_mask in_c_vfmaddps512_mask
#define __builtin_ia32_cvtps2dq512_mask in_c_cvtps2dq512_mask
#define __builtin_ia32_cvttps2dq512_mask in_c_cvttps2dq512_mask
#define __builtin_ia32_loaddquqi512_mask in_c_loaddquqi512_mask
#define __builtin_ia32_storedquqi128_mask in_c_storedquqi128_mask
#define __builtin_ia32_storedquqi256_mask in_c_storedquqi256_mask
#define __builtin_ia32_storedquqi512_mask in_c_storedquqi512_mask
