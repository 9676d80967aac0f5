/* Lets other compilers than clang 19 compile the C of a kernel, which is written for that one.
 *
 * A kernel's text is its identity and must not change, so this is included before it, as in
 *   gcc -include kiln_compat.h kernel.c
 * and gives the builtins of clang 19 that the compiler lacks their meaning: by the intrinsics of
 * <immintrin.h> and <arm_neon.h>, which every compiler has, or by vector operations. The kernel
 * computes the same bytes. For clang 19 this file is empty.
 *
 * Needs gcc 12 or clang 14, or newer. Flags:
 *   -std=c11 -O2 -ffreestanding -fPIC -fvisibility=hidden -fno-fast-math -ffp-contract=off -w
 *   gcc also: -fwrapv -flax-vector-conversions -fno-strict-aliasing -fno-tree-loop-distribute-patterns -Wno-psabi
 *     (sums of vectors wrap around, and vectors of other elements are the same bits, both of which
 *     clang grants without a flag; memory is read as vectors of several types; the loops of a
 *     kernel's own memcpy and memset must not become calls of these; wide vectors are arguments of
 *     inlined functions only, so their ABI does not matter)
 *   x86-64:                -march=x86-64
 *     with AVX2:           -march=x86-64-v3
 *     with AVX-VNNI:       -march=x86-64-v3 -mavxvnni
 *     with AVX-512 VNNI:   -march=x86-64-v4 -mavx512vnni -mprefer-vector-width=512
 *   aarch64:               -march=armv8-a
 *     with dot products:   -march=armv8.2-a+dotprod
 *
 * A builtin that needs instructions which the flags do not allow stays undefined, and the kernel
 * does not compile. KILN_COMPAT_MAP_ALL is for tests: it maps what clang 19 has, too.
 */
#ifndef KILN_COMPAT_H_
#define KILN_COMPAT_H_

#if !defined(__clang__) || __clang_major__ != 19 || defined(KILN_COMPAT_MAP_ALL)

#if !defined(__clang__) && (!defined(__GNUC__) || __GNUC__ < 12)
#error "kernels need clang 14 or gcc 12, or newer: older ones have no __builtin_shufflevector"
#endif

#include <stdint.h>

#if defined(__x86_64__)
/* gcc's header includes one that includes <stdlib.h>; a kernel does without a C library. */
#if !defined(__clang__) && !defined(_MM_MALLOC_H_INCLUDED)
#define _MM_MALLOC_H_INCLUDED
#endif
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* What is defined below is a function wherever it can be: a kernel defines macros with names like C
 * and O, which would change the text of a macro from here, as that is read again in the kernel. */
#define KILN_COMPAT_INLINE static inline __attribute__((always_inline, unused))
#define KILN_COMPAT_VECTOR(element, name, bytes) \
  typedef element kiln_compat_##name __attribute__((vector_size(bytes)))
KILN_COMPAT_VECTOR(int8_t, i8x8, 8);
KILN_COMPAT_VECTOR(int8_t, i8x16, 16);
KILN_COMPAT_VECTOR(int8_t, i8x32, 32);
KILN_COMPAT_VECTOR(int8_t, i8x64, 64);
KILN_COMPAT_VECTOR(uint8_t, u8x8, 8);
KILN_COMPAT_VECTOR(uint8_t, u8x16, 16);
KILN_COMPAT_VECTOR(uint8_t, u8x32, 32);
KILN_COMPAT_VECTOR(uint8_t, u8x64, 64);
KILN_COMPAT_VECTOR(int16_t, i16x8, 16);
KILN_COMPAT_VECTOR(int16_t, i16x16, 32);
KILN_COMPAT_VECTOR(int16_t, i16x32, 64);
KILN_COMPAT_VECTOR(int32_t, i32x4, 16);
KILN_COMPAT_VECTOR(int32_t, i32x8, 32);
KILN_COMPAT_VECTOR(int32_t, i32x16, 64);
KILN_COMPAT_VECTOR(float, f32x4, 16);
KILN_COMPAT_VECTOR(float, f32x8, 32);
KILN_COMPAT_VECTOR(float, f32x16, 64);

/* ---- __builtin_elementwise_max and min. Of floats the second one must be a number, which it is in
 * kernels: it is the result where the first is none, as clang has it. */

#if !__has_builtin(__builtin_elementwise_max) || !__has_builtin(__builtin_elementwise_min)

/* By an intrinsic on vectors of type `wide`. */
#define KILN_COMPAT_BY_INTRINSIC(name, type, wide, intrinsic)                               \
  KILN_COMPAT_INLINE kiln_compat_##type kiln_compat_##name##_##type(kiln_compat_##type a,   \
                                                                    kiln_compat_##type b) { \
    return (kiln_compat_##type)intrinsic((wide)a, (wide)b);                                 \
  }
/* By a comparison, which gives elements of `bits` that are 0 or -1. */
#define KILN_COMPAT_BY_MASK(name, type, bits, relation)                                     \
  KILN_COMPAT_INLINE kiln_compat_##type kiln_compat_##name##_##type(kiln_compat_##type a,   \
                                                                    kiln_compat_##type b) { \
    const kiln_compat_##bits first = a relation b;                                          \
    return (kiln_compat_##type)(((kiln_compat_##bits)a & first) |                           \
                                ((kiln_compat_##bits)b & ~first));                          \
  }
/* Of vectors of 8 as of two vectors of 4: gcc would compare lane by lane what is wider than a
 * register. */
#define KILN_COMPAT_BY_HALVES(name, type, half)                                                \
  KILN_COMPAT_INLINE kiln_compat_##type kiln_compat_##name##_##type(kiln_compat_##type a,      \
                                                                    kiln_compat_##type b) {    \
    const kiln_compat_##half low = kiln_compat_##name##_##half(                                \
        __builtin_shufflevector(a, a, 0, 1, 2, 3), __builtin_shufflevector(b, b, 0, 1, 2, 3)); \
    const kiln_compat_##half high = kiln_compat_##name##_##half(                               \
        __builtin_shufflevector(a, a, 4, 5, 6, 7), __builtin_shufflevector(b, b, 4, 5, 6, 7)); \
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);                         \
  }

#define KILN_COMPAT_MASKS(type, bits)     \
  KILN_COMPAT_BY_MASK(max, type, bits, >) \
  KILN_COMPAT_BY_MASK(min, type, bits, <)
#define KILN_COMPAT_INTRINSICS(type, wide, prefix, suffix)       \
  KILN_COMPAT_BY_INTRINSIC(max, type, wide, prefix##max##suffix) \
  KILN_COMPAT_BY_INTRINSIC(min, type, wide, prefix##min##suffix)

#if defined(__aarch64__)
KILN_COMPAT_INTRINSICS(i8x8, int8x8_t, v, _s8)
KILN_COMPAT_INTRINSICS(u8x8, uint8x8_t, v, _u8)
KILN_COMPAT_INTRINSICS(i8x16, int8x16_t, v, q_s8)
KILN_COMPAT_INTRINSICS(u8x16, uint8x16_t, v, q_u8)
KILN_COMPAT_INTRINSICS(f32x4, float32x4_t, v, nmq_f32)
#else
KILN_COMPAT_MASKS(i8x8, i8x8)
KILN_COMPAT_MASKS(u8x8, i8x8)
#if defined(__SSE4_1__)
KILN_COMPAT_INTRINSICS(i8x16, __m128i, _mm_, _epi8)
KILN_COMPAT_INTRINSICS(u8x16, __m128i, _mm_, _epu8)
#else
KILN_COMPAT_MASKS(i8x16, i8x16)
KILN_COMPAT_MASKS(u8x16, i8x16)
#endif
KILN_COMPAT_MASKS(f32x4, i32x4)
#endif
KILN_COMPAT_MASKS(i16x8, i16x8)
KILN_COMPAT_MASKS(i32x4, i32x4)

#if defined(__AVX2__)
KILN_COMPAT_INTRINSICS(i8x32, __m256i, _mm256_, _epi8)
KILN_COMPAT_INTRINSICS(u8x32, __m256i, _mm256_, _epu8)
KILN_COMPAT_INTRINSICS(i32x8, __m256i, _mm256_, _epi32)
KILN_COMPAT_INTRINSICS(f32x8, __m256, _mm256_, _ps)
#else
KILN_COMPAT_MASKS(i8x32, i8x32)
KILN_COMPAT_MASKS(u8x32, i8x32)
KILN_COMPAT_BY_HALVES(max, i32x8, i32x4)
KILN_COMPAT_BY_HALVES(min, i32x8, i32x4)
KILN_COMPAT_BY_HALVES(max, f32x8, f32x4)
KILN_COMPAT_BY_HALVES(min, f32x8, f32x4)
#endif
KILN_COMPAT_MASKS(i16x16, i16x16)

#if defined(__AVX512BW__)
KILN_COMPAT_INTRINSICS(i8x64, __m512i, _mm512_, _epi8)
KILN_COMPAT_INTRINSICS(u8x64, __m512i, _mm512_, _epu8)
KILN_COMPAT_INTRINSICS(i16x32, __m512i, _mm512_, _epi16)
KILN_COMPAT_INTRINSICS(i32x16, __m512i, _mm512_, _epi32)
KILN_COMPAT_INTRINSICS(f32x16, __m512, _mm512_, _ps)
#else
KILN_COMPAT_MASKS(i8x64, i8x64)
KILN_COMPAT_MASKS(u8x64, i8x64)
KILN_COMPAT_MASKS(i16x32, i16x32)
KILN_COMPAT_MASKS(i32x16, i32x16)
KILN_COMPAT_MASKS(f32x16, i32x16)
#endif

#define KILN_COMPAT_CASE(name, type) kiln_compat_##type : kiln_compat_##name##_##type
#define KILN_COMPAT_OF(name, v)                                              \
  _Generic((v), KILN_COMPAT_CASE(name, i8x8), KILN_COMPAT_CASE(name, i8x16), \
           KILN_COMPAT_CASE(name, i8x32), KILN_COMPAT_CASE(name, i8x64),     \
           KILN_COMPAT_CASE(name, u8x8), KILN_COMPAT_CASE(name, u8x16),      \
           KILN_COMPAT_CASE(name, u8x32), KILN_COMPAT_CASE(name, u8x64),     \
           KILN_COMPAT_CASE(name, i16x8), KILN_COMPAT_CASE(name, i16x16),    \
           KILN_COMPAT_CASE(name, i16x32), KILN_COMPAT_CASE(name, i32x4),    \
           KILN_COMPAT_CASE(name, i32x8), KILN_COMPAT_CASE(name, i32x16),    \
           KILN_COMPAT_CASE(name, f32x4), KILN_COMPAT_CASE(name, f32x8),     \
           KILN_COMPAT_CASE(name, f32x16))
#define __builtin_elementwise_max(a, b) KILN_COMPAT_OF(max, a)(a, b)
#define __builtin_elementwise_min(a, b) KILN_COMPAT_OF(min, a)(a, b)
#endif

/* ---- __builtin_elementwise_add_sat: of words, where instructions are not AVX2's */

#if !__has_builtin(__builtin_elementwise_add_sat)
#if defined(__AVX512BW__)
#define __builtin_elementwise_add_sat(a, b) \
  ((kiln_compat_i16x32)_mm512_adds_epi16((__m512i)(a), (__m512i)(b)))
#elif defined(__aarch64__)
#define __builtin_elementwise_add_sat(a, b) \
  ((kiln_compat_i16x8)vqaddq_s16((int16x8_t)(a), (int16x8_t)(b)))
#endif
#endif

/* ---- __builtin_elementwise_fma: rounded once. Where there is no instruction for it, no kernel
 * uses it. */

#if !__has_builtin(__builtin_elementwise_fma)
#if defined(__FMA__)
KILN_COMPAT_INLINE kiln_compat_f32x8 kiln_compat_fma_f32x8(kiln_compat_f32x8 a, kiln_compat_f32x8 b,
                                                           kiln_compat_f32x8 c) {
  return (kiln_compat_f32x8)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#if defined(__AVX512F__)
KILN_COMPAT_INLINE kiln_compat_f32x16 kiln_compat_fma_f32x16(kiln_compat_f32x16 a,
                                                             kiln_compat_f32x16 b,
                                                             kiln_compat_f32x16 c) {
  return (kiln_compat_f32x16)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#define __builtin_elementwise_fma(a, b, c)             \
  _Generic((a), kiln_compat_f32x8                      \
           : kiln_compat_fma_f32x8, kiln_compat_f32x16 \
           : kiln_compat_fma_f32x16)(a, b, c)
#else
#define __builtin_elementwise_fma kiln_compat_fma_f32x8
#endif
#elif defined(__aarch64__)
/* The intrinsic adds to its first argument. */
#define __builtin_elementwise_fma(a, b, c) \
  ((kiln_compat_f32x4)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#endif
#endif

/* ---- x86: what clang calls __builtin_ia32_ and the instruction. Intrinsics with a mask have what
 * stays where a bit is 0 first, then the mask; loads and stores do not touch that memory. */

#if defined(__AVX2__)
#define __builtin_ia32_pmaddwd256(a, b) _mm256_madd_epi16((__m256i)(a), (__m256i)(b))
#define __builtin_ia32_packssdw256(a, b) _mm256_packs_epi32((__m256i)(a), (__m256i)(b))
#define __builtin_ia32_packsswb256(a, b) _mm256_packs_epi16((__m256i)(a), (__m256i)(b))
#define __builtin_ia32_packuswb256(a, b) _mm256_packus_epi16((__m256i)(a), (__m256i)(b))
#endif

/* The dots of vpdpbusd: the accumulator, then unsigned bytes, then signed ones. */
#if defined(__AVXVNNI__)
#define __builtin_ia32_vpdpbusd256(acc, a, b) \
  _mm256_dpbusd_avx_epi32((__m256i)(acc), (__m256i)(a), (__m256i)(b))
#define __builtin_ia32_vpdpwssd256(acc, a, b) \
  _mm256_dpwssd_avx_epi32((__m256i)(acc), (__m256i)(a), (__m256i)(b))
#elif defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define __builtin_ia32_vpdpbusd256(acc, a, b) \
  _mm256_dpbusd_epi32((__m256i)(acc), (__m256i)(a), (__m256i)(b))
#define __builtin_ia32_vpdpwssd256(acc, a, b) \
  _mm256_dpwssd_epi32((__m256i)(acc), (__m256i)(a), (__m256i)(b))
#endif

#if defined(__AVX512VNNI__)
#define __builtin_ia32_vpdpbusd512(acc, a, b) \
  _mm512_dpbusd_epi32((__m512i)(acc), (__m512i)(a), (__m512i)(b))
#define __builtin_ia32_vpdpwssd512(acc, a, b) \
  _mm512_dpwssd_epi32((__m512i)(acc), (__m512i)(a), (__m512i)(b))
#endif

#if defined(__AVX512BW__) && defined(__AVX512VL__)
#define __builtin_ia32_packssdw512(a, b) _mm512_packs_epi32((__m512i)(a), (__m512i)(b))
#define __builtin_ia32_packsswb512(a, b) _mm512_packs_epi16((__m512i)(a), (__m512i)(b))
#define __builtin_ia32_packuswb512(a, b) _mm512_packus_epi16((__m512i)(a), (__m512i)(b))
#define __builtin_ia32_pmovsdb512_mask(v, other, mask) \
  _mm512_mask_cvtsepi32_epi8((__m128i)(other), (mask), (__m512i)(v))
#define __builtin_ia32_pmovusdb512_mask(v, other, mask) \
  _mm512_mask_cvtusepi32_epi8((__m128i)(other), (mask), (__m512i)(v))
#define __builtin_ia32_pmovswb512_mask(v, other, mask) \
  _mm512_mask_cvtsepi16_epi8((__m256i)(other), (mask), (__m512i)(v))
#define __builtin_ia32_pmovuswb512_mask(v, other, mask) \
  _mm512_mask_cvtusepi16_epi8((__m256i)(other), (mask), (__m512i)(v))
#define __builtin_ia32_loaddquqi512_mask(p, other, mask) \
  _mm512_mask_loadu_epi8((__m512i)(other), (mask), (p))
#define __builtin_ia32_storedquqi128_mask(p, v, mask) \
  _mm_mask_storeu_epi8((p), (mask), (__m128i)(v))
#define __builtin_ia32_storedquqi256_mask(p, v, mask) \
  _mm256_mask_storeu_epi8((p), (mask), (__m256i)(v))
#define __builtin_ia32_storedquqi512_mask(p, v, mask) \
  _mm512_mask_storeu_epi8((p), (mask), (__m512i)(v))
/* `rounding` is encoded in the instruction. */
#define __builtin_ia32_vfmaddps512_mask(a, b, c, mask, rounding) \
  _mm512_mask_fmadd_round_ps((__m512)(a), (mask), (__m512)(b), (__m512)(c), (rounding))
#define __builtin_ia32_cvtps2dq512_mask(v, other, mask, rounding) \
  _mm512_mask_cvt_roundps_epi32((__m512i)(other), (mask), (__m512)(v), (rounding))
#define __builtin_ia32_cvttps2dq512_mask(v, other, mask, rounding) \
  _mm512_mask_cvtt_roundps_epi32((__m512i)(other), (mask), (__m512)(v), (rounding))
#endif

/* ---- aarch64: one builtin of clang for all types of an operation. Its last argument, a literal in
 * kernels, is the type of the result: 0 bytes, 1 words, 2 int32, 3 int64, 16 unsigned bytes, plus
 * 32 for 128 bits. */

#if defined(__aarch64__)
#define __builtin_neon_vmull_v(a, b, type) KILN_COMPAT_VMULL_##type(a, b)
#define KILN_COMPAT_VMULL_33(a, b) vmull_s8((int8x8_t)(a), (int8x8_t)(b))
#define KILN_COMPAT_VMULL_34(a, b) vmull_s16((int16x4_t)(a), (int16x4_t)(b))
#define KILN_COMPAT_VMULL_35(a, b) vmull_s32((int32x2_t)(a), (int32x2_t)(b))

#define __builtin_neon_vpadalq_v(acc, a, type) KILN_COMPAT_VPADALQ_##type(acc, a)
#define KILN_COMPAT_VPADALQ_34(acc, a) vpadalq_s16((int32x4_t)(acc), (int16x8_t)(a))

#define __builtin_neon_vqaddq_v(a, b, type) KILN_COMPAT_VQADDQ_##type(a, b)
#define KILN_COMPAT_VQADDQ_34(a, b) vqaddq_s32((int32x4_t)(a), (int32x4_t)(b))

#define __builtin_neon_vqrdmulhq_v(a, b, type) KILN_COMPAT_VQRDMULHQ_##type(a, b)
#define KILN_COMPAT_VQRDMULHQ_34(a, b) vqrdmulhq_s32((int32x4_t)(a), (int32x4_t)(b))

#define __builtin_neon_vrshlq_v(a, shift, type) KILN_COMPAT_VRSHLQ_##type(a, shift)
#define KILN_COMPAT_VRSHLQ_34(a, shift) vrshlq_s32((int32x4_t)(a), (int32x4_t)(shift))
#define KILN_COMPAT_VRSHLQ_35(a, shift) vrshlq_s64((int64x2_t)(a), (int64x2_t)(shift))

#define __builtin_neon_vqmovn_v(a, type) KILN_COMPAT_VQMOVN_##type(a)
#define KILN_COMPAT_VQMOVN_0(a) vqmovn_s16((int16x8_t)(a))
#define KILN_COMPAT_VQMOVN_1(a) vqmovn_s32((int32x4_t)(a))
#define KILN_COMPAT_VQMOVN_2(a) vqmovn_s64((int64x2_t)(a))

#define __builtin_neon_vqmovun_v(a, type) KILN_COMPAT_VQMOVUN_##type(a)
#define KILN_COMPAT_VQMOVUN_16(a) vqmovun_s16((int16x8_t)(a))

#if defined(__ARM_FEATURE_DOTPROD)
#define __builtin_neon_vdotq_s32(acc, a, b, type) KILN_COMPAT_VDOTQ_##type(acc, a, b)
#define KILN_COMPAT_VDOTQ_34(acc, a, b) vdotq_s32((int32x4_t)(acc), (int8x16_t)(a), (int8x16_t)(b))
#endif

/* ---- gcc has __builtin_shufflevector. But half a vector that is taken out of a whole one becomes
 * a copy, or for one lane a table of indices. In the forms below it is part of the instruction that
 * multiplies it, as clang has it. Only speed is at stake: so only what inner loops multiply. */

#if !defined(__clang__)
KILN_COMPAT_VECTOR(int16_t, i16x4, 8);
KILN_COMPAT_INLINE kiln_compat_i16x4 kiln_compat_four_words(kiln_compat_i16x8 a,
                                                            kiln_compat_i16x8 b, const int8_t* i) {
  if (i[0] == 0 && i[1] == 1 && i[2] == 2 && i[3] == 3) {
    return (kiln_compat_i16x4)vget_low_s16((int16x8_t)a);
  }
  if (i[0] == 4 && i[1] == 5 && i[2] == 6 && i[3] == 7) {
    return (kiln_compat_i16x4)vget_high_s16((int16x8_t)a);
  }
  const kiln_compat_i16x8 twice =
      __builtin_shuffle(a, b, (kiln_compat_i16x8){i[0], i[1], i[2], i[3], i[0], i[1], i[2], i[3]});
  return (kiln_compat_i16x4)vget_low_s16((int16x8_t)twice);
}
KILN_COMPAT_INLINE kiln_compat_i8x8 kiln_compat_eight_bytes(kiln_compat_i8x16 a,
                                                            kiln_compat_i8x16 b, const int8_t* i) {
  if (i[0] == 8 && i[1] == 9 && i[2] == 10 && i[3] == 11 && i[4] == 12 && i[5] == 13 &&
      i[6] == 14 && i[7] == 15) {
    return (kiln_compat_i8x8)vget_high_s8((int8x16_t)a);
  }
  const kiln_compat_i8x16 twice =
      __builtin_shuffle(a, b,
                        (kiln_compat_i8x16){i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7], i[0],
                                            i[1], i[2], i[3], i[4], i[5], i[6], i[7]});
  return (kiln_compat_i8x8)vget_low_s8((int8x16_t)twice);
}
/* What _Generic and __builtin_choose_expr do not choose must still be valid C. */
#define KILN_COMPAT_WHERE(type, value) kiln_compat_##type : value
#define KILN_COMPAT_AS(type, v) \
  _Generic((v), KILN_COMPAT_WHERE(type, (v)), default : (kiln_compat_##type){0})
#define KILN_COMPAT_IF_OF(type, n, function, a, b, ...)                                          \
  __builtin_choose_expr(sizeof((int8_t[]){__VA_ARGS__}) == (n),                                  \
                        kiln_compat_##function(KILN_COMPAT_AS(type, a), KILN_COMPAT_AS(type, b), \
                                               (const int8_t[]){__VA_ARGS__}),                   \
                        __builtin_shufflevector(a, b, __VA_ARGS__))
#define __builtin_shufflevector(a, b, ...)                                                    \
  _Generic(                                                                                   \
      (a), default                                                                            \
      : __builtin_shufflevector(a, b, __VA_ARGS__),                                           \
        KILN_COMPAT_WHERE(i16x8, KILN_COMPAT_IF_OF(i16x8, 4, four_words, a, b, __VA_ARGS__)), \
        KILN_COMPAT_WHERE(i8x16, KILN_COMPAT_IF_OF(i8x16, 8, eight_bytes, a, b, __VA_ARGS__)))
#endif
#endif

#endif
#endif /* KILN_COMPAT_H_ */
