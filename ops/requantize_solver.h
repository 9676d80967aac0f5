/* Finds the constants with which a kernel requantizes a channel in a few float instructions, and
   proves them.

   Requantizing (the rounding rule, plus the zero point, clamped) is a monotone step function of the
   accumulator: for every byte y above act_min there is a least accumulator T(y) that reaches it.
   Another monotone function that agrees at T(y) and T(y) - 1 for every y, at most 510 evaluations,
   has the same bytes for every accumulator that the channel can reach. So constants are not derived
   from an error bound: they are searched, and what is found is checked at every threshold. Where
   nothing is found the channel is not of that form's class. The forms, with f = (float)acc and
   z = y_zp:

     step1     r = fma(as_float(acc + seed), scale, offset)
               y = low 16 bits of r
     step2     y = floor(f * scale + fma(f, scale_low, offset)) + z
     signed1   y = trunc(f * scale + copysign(offset, f)) + z
     signed2   y = trunc(f * scale + fma(f, scale_low, copysign(offset, f))) + z

   The seed of step1 is the bits of 1.5 * 2^23 minus a number: acc + seed already is a float. Its
   offset holds 1.5 * 2^23 again, so that the sum is rounded to an integer (halves to even) that
   stands in the low bits. In the others f * scale is rounded to a float before it is added.

   step forms are for rules without a kink at zero (single rounding), or with a ReLU that hides it;
   signed forms follow the kink, as `double` rounds halves away from zero.

   This file is C11 and C++20, freestanding and without calls: kernels carry it in `pack` as it
   stands here, tests and the classification of values use the same lines. Integer arithmetic, and
   doubles where they are exact: any compiler gives the same constants. Proving a cheap function
   equal to a dear one where it steps is what Granlund and Montgomery (PLDI 1994) do for division by
   multiplication. */
#ifndef KILN_REQUANTIZE_SOLVER_H
#define KILN_REQUANTIZE_SOLVER_H

#ifdef __cplusplus
#include <stdint.h>
#endif

#ifndef KILN_SOLVER
#define KILN_SOLVER static inline
#endif

typedef struct {
  int32_t multiplier, shift; /* TFLite's fixed point: multiplier * 2^(shift - 31) */
  int32_t single_rounding;   /* the rule: 0 double, 1 single */
  int32_t y_zp, act_min, act_max;
  int64_t low, high; /* no accumulator lies outside; both fit 32 bits */
} kiln_channel;

typedef struct {
  float scale, scale_low, offset;
  int32_t seed; /* step1: added to the bias */
} kiln_constants;

enum { KILN_MAGIC = 12582912, KILN_MAGIC_BITS = 0x4B400000, KILN_SCALES = 17 }; /* 1.5 * 2^23 */

/* acc by the channel's rule, zero point not added. |acc << max(shift, 0)| < 2^31. */
KILN_SOLVER int64_t kiln_rule(const kiln_channel* c, int64_t acc) {
  if (c->single_rounding) {
    return (acc * c->multiplier + ((int64_t)1 << (30 - c->shift))) >> (31 - c->shift);
  }
  const int32_t left = c->shift > 0 ? c->shift : 0, right = c->shift > 0 ? 0 : -c->shift;
  const int64_t h = (acc * ((int64_t)1 << left) * c->multiplier + ((int64_t)1 << 30)) >> 31;
  return (h + (right > 0 ? ((int64_t)1 << (right - 1)) - (h < 0) : 0)) >> right;
}

/* What the kernel must store for acc. */
KILN_SOLVER int32_t kiln_byte(const kiln_channel* c, int64_t acc) {
  const int64_t y = kiln_rule(c, acc) + c->y_zp;
  return (int32_t)(y < c->act_min ? c->act_min : y > c->act_max ? c->act_max : y);
}

/* Every accumulator gives the same byte: dead channels of real networks. */
KILN_SOLVER int kiln_is_constant(const kiln_channel* c) {
  return kiln_byte(c, c->low) == kiln_byte(c, c->high);
}

/* 2^k as a double, -1022 <= k <= 1023. */
KILN_SOLVER double kiln_power(int32_t k) {
  const uint64_t bits = (uint64_t)(1023 + k) << 52;
  double power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return power;
}

/* The least accumulator in [low, high] whose result reaches y; high + 1 if none does. */
KILN_SOLVER int64_t kiln_threshold(const kiln_channel* c, int32_t y) {
  const double half_below = (double)(y - c->y_zp) - 0.5;
  const double guess = half_below * kiln_power(31 - c->shift) / (double)c->multiplier;
  int64_t t = guess <= (double)c->low   ? c->low
              : guess > (double)c->high ? c->high + 1
                                        : (int64_t)guess;
  while (t > c->low && kiln_rule(c, t - 1) + c->y_zp >= y) --t;
  while (t <= c->high && kiln_rule(c, t) + c->y_zp < y) ++t;
  return t;
}

/* ---- evaluation: what the kernel's instructions compute, zero point added, not clamped */

KILN_SOLVER int64_t kiln_floor(double value) {
  const int64_t cut = (int64_t)value;
  return cut - ((double)cut > value);
}

/* The distance to 1.5 * 2^23, which is even, is exact in a double: 48 bits at most. */
KILN_SOLVER int64_t kiln_evaluate_step1(const kiln_constants* k, int64_t acc) {
  const double f = (double)(acc + k->seed - KILN_MAGIC_BITS + KILN_MAGIC);
  const double x = f * (double)k->scale + ((double)k->offset - (double)KILN_MAGIC);
  const int64_t below = kiln_floor(x);
  const double rest = x - (double)below;
  return below + (rest > 0.5 || (rest == 0.5 && (below & 1)));
}

/* fma(f, scale_low, +-offset) rounded to float: scale_low has 8 significant bits, so the double sum
 * is exact. */
KILN_SOLVER double kiln_inner(const kiln_constants* k, float f, float offset) {
  return (double)(float)((double)f * (double)k->scale_low + (double)offset);
}

KILN_SOLVER int64_t kiln_evaluate_step2(const kiln_constants* k, int32_t y_zp, int64_t acc) {
  const float f = (float)acc;
  return kiln_floor((double)f * (double)k->scale + kiln_inner(k, f, k->offset)) + y_zp;
}

/* signed1 is signed2 with scale_low = 0. */
KILN_SOLVER int64_t kiln_evaluate_signed(const kiln_constants* k, int32_t y_zp, int64_t acc) {
  const float f = (float)acc;
  return (int64_t)((double)f * (double)k->scale +
                   kiln_inner(k, f, f < 0 ? -k->offset : k->offset)) +
         y_zp;
}

/* ---- search */

/* Where a form must step to y = act_min + 1 + i: steps[i] is the least accumulator with result >=
   y, the one below the largest without; low or high + 1 where the channel reaches only one of them.
   All y that no accumulator separates are so checked at the ends of the reach. Returns how many
   there are. */
KILN_SOLVER int32_t kiln_find_steps(const kiln_channel* c, int64_t* steps) {
  int32_t n = 0;
  for (int32_t y = c->act_min + 1; y <= c->act_max; ++y) steps[n++] = kiln_threshold(c, y);
  return n;
}

/* Whether the scale has as many bits as the search and the exact evaluation are made for: e =
 * -shift in 1..19. */
KILN_SOLVER int kiln_scale_is_usual(const kiln_channel* c) {
  return c->multiplier >= 1 << 30 && c->shift <= -1 && c->shift >= -19;
}

/* The i-th nearest integer to `middle`: 0, +1, -1, +2, ... */
KILN_SOLVER int64_t kiln_nearby(int64_t middle, int32_t i) {
  return middle + (i & 1 ? (i + 1) / 2 : -(i / 2));
}

/* With scale s * 2^-e the sum is s * acc + x in units of 2^-e. Finds the x that are right at every
 * step. */
KILN_SOLVER int kiln_step1_window(const kiln_channel* c, const int64_t* steps, int32_t n, int64_t s,
                                  int32_t e, int64_t* least, int64_t* most) {
  *least = -((int64_t)1 << 61), *most = (int64_t)1 << 61;
  for (int32_t i = 0; i < n; ++i) {
    const int64_t halfway = (int64_t)(2 * (c->act_min + 1 + i) - 1) * ((int64_t)1 << (e - 1));
    const int64_t above = halfway - s * steps[i] + 1, below = halfway - s * (steps[i] - 1) - 1;
    if (steps[i] <= c->high && above > *least) *least = above;
    if (steps[i] > c->low && below < *most) *most = below;
  }
  return *least <= *most;
}

/* A float offset is a whole number here, so x = (offset - magic) * 2^e + s * (magic - d) needs a d
   that brings it into the window modulo 2^e: s * (magic - d) walks through all residues. Each turn
   of the loop is one round through them. */
KILN_SOLVER int kiln_step1_offset(const kiln_channel* c, int64_t s, int32_t e, int64_t least,
                                  int64_t most, kiln_constants* k) {
  const int64_t one = (int64_t)1 << e;
  const int64_t reach = (int64_t)1
                        << 22; /* |acc - d| stays below: there a float's bits count by one */
  int64_t n = KILN_MAGIC - (c->low + reach);
  const int64_t last = KILN_MAGIC - (c->high - reach + 1);
  for (int32_t round = 0; round < 4096 && n <= last; ++round) {
    const int64_t past = (s * n - least) & (one - 1);
    if (past <= most - least) {
      const int64_t offset = KILN_MAGIC + (least + past - s * n) / one;
      k->scale = (float)((double)s * kiln_power(-e)), k->scale_low = 0, k->offset = (float)offset;
      k->seed = (int32_t)(KILN_MAGIC_BITS - KILN_MAGIC + n);
      return (int64_t)k->offset == offset;
    }
    n += (one - past + s - 1) / s;
  }
  return 0;
}

/* Results must fit 16 bits, as only these are read. */
KILN_SOLVER int kiln_fits_16_bits(const kiln_constants* k, const kiln_channel* c) {
  return kiln_evaluate_step1(k, c->low) >= -32768 && kiln_evaluate_step1(k, c->high) <= 32767;
}

KILN_SOLVER int kiln_solve_step1(const kiln_channel* c, kiln_constants* k) {
  if (c->high - c->low >= ((int64_t)1 << 23) - 1) return 0;
  if (kiln_is_constant(c)) {
    k->scale = 0, k->scale_low = 0, k->offset = (float)(KILN_MAGIC + kiln_byte(c, c->low));
    k->seed = (int32_t)(KILN_MAGIC_BITS - (c->low + c->high) / 2);
    return 1;
  }
  if (!kiln_scale_is_usual(c)) return 0;
  int64_t steps[255];
  const int32_t n = kiln_find_steps(c, steps), e = 24 - c->shift;
  for (int32_t i = 0; i < KILN_SCALES; ++i) {
    const int64_t s = kiln_nearby(((int64_t)c->multiplier + 64) >> 7, i);
    int64_t least, most;
    if (s > 1 << 24 || !kiln_step1_window(c, steps, n, s, e, &least, &most)) continue;
    if (kiln_step1_offset(c, s, e, least, most, k) && kiln_fits_16_bits(k, c)) return 1;
  }
  return 0;
}

/* The evaluation of a form without seed at every step. */
KILN_SOLVER int kiln_is_exact(const kiln_channel* c, const int64_t* steps, int32_t n,
                              const kiln_constants* k, int is_signed) {
  for (int32_t i = 0; i < n; ++i) {
    const int32_t y = c->act_min + 1 + i;
    const int64_t ends[2] = {steps[i] - 1, steps[i]};
    for (int32_t reaches = 0; reaches < 2; ++reaches) {
      if (ends[reaches] < c->low || ends[reaches] > c->high) continue;
      const int64_t is = is_signed ? kiln_evaluate_signed(k, c->y_zp, ends[reaches])
                                   : kiln_evaluate_step2(k, c->y_zp, ends[reaches]);
      if ((is >= y) != reaches) return 0;
    }
  }
  return 1;
}

/* The middle of the offsets that are right for slope m at every step; whether there are any. A
   signed form counts from zero to both sides: what lies below is mirrored. */
KILN_SOLVER int kiln_middle_offset(const kiln_channel* c, const int64_t* steps, int32_t n, double m,
                                   int is_signed, double* offset) {
  double least = 0, most = 1; /* an offset is what rounds */
  for (int32_t i = 0; i < n; ++i) {
    const int32_t result = c->act_min + 1 + i - c->y_zp;
    const int mirrored = is_signed && result <= 0;
    const int has_reaching = steps[i] <= c->high, has_missing = steps[i] > c->low;
    const double goal = mirrored ? 1 - result : result;
    const double at_reaching = goal - m * (double)(mirrored ? 1 - steps[i] : steps[i]);
    const double at_missing = goal - m * (double)(mirrored ? -steps[i] : steps[i] - 1);
    if ((mirrored ? has_missing : has_reaching) && at_reaching > least) least = at_reaching;
    if ((mirrored ? has_reaching : has_missing) && at_missing < most) most = at_missing;
  }
  *offset = (least + most) / 2;
  return least < most;
}

/* Offsets are tried from the middle of their window on. */
KILN_SOLVER int kiln_solve_offset(const kiln_channel* c, const int64_t* steps, int32_t n,
                                  int is_signed, kiln_constants* k) {
  double middle;
  if (!kiln_middle_offset(c, steps, n, (double)k->scale + (double)k->scale_low, is_signed, &middle))
    return 0;
  for (int32_t i = 0; i < KILN_SCALES; ++i) {
    k->offset = (float)(middle + (double)kiln_nearby(0, i) * kiln_power(-25));
    if (k->offset >= 0 && kiln_is_exact(c, steps, n, k, is_signed)) return 1;
  }
  return 0;
}

/* Without a slope: the byte of a channel that has only one. Below zero a signed form would mirror
 * the offset. */
KILN_SOLVER int kiln_solve_constant(const kiln_channel* c, int is_signed, kiln_constants* k) {
  const int32_t result = kiln_byte(c, c->low) - c->y_zp;
  k->scale = 0, k->scale_low = 0, k->seed = 0, k->offset = (float)result;
  return !is_signed || result == 0 || (result > 0 && c->low >= 0);
}

/* Two terms of the slope hold all 31 bits of the multiplier. */
KILN_SOLVER int kiln_solve_two_terms(const kiln_channel* c, int is_signed, kiln_constants* k) {
  if (kiln_is_constant(c) && kiln_solve_constant(c, is_signed, k)) return 1;
  if (!kiln_scale_is_usual(c)) return 0;
  int64_t steps[255];
  const int32_t n = kiln_find_steps(c, steps);
  const double slope = (double)c->multiplier * kiln_power(c->shift - 31);
  k->scale = (float)slope, k->scale_low = (float)(slope - (double)k->scale), k->seed = 0;
  return kiln_solve_offset(c, steps, n, is_signed, k);
}

KILN_SOLVER int kiln_solve_step2(const kiln_channel* c, kiln_constants* k) {
  return kiln_solve_two_terms(c, 0, k);
}

KILN_SOLVER int kiln_solve_signed2(const kiln_channel* c, kiln_constants* k) {
  return kiln_solve_two_terms(c, 1, k);
}

KILN_SOLVER int kiln_solve_signed1(const kiln_channel* c, kiln_constants* k) {
  if (kiln_is_constant(c) && kiln_solve_constant(c, 1, k)) return 1;
  if (!kiln_scale_is_usual(c)) return 0;
  int64_t steps[255];
  const int32_t n = kiln_find_steps(c, steps);
  for (int32_t i = 0; i < KILN_SCALES; ++i) {
    const int64_t s = kiln_nearby(((int64_t)c->multiplier + 64) >> 7, i);
    if (s > 1 << 24) continue;
    k->scale = (float)((double)s * kiln_power(c->shift - 24)), k->scale_low = 0, k->seed = 0;
    if (kiln_solve_offset(c, steps, n, 1, k)) return 1;
  }
  return 0;
}

#endif
