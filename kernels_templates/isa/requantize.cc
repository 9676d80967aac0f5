#include "kernels_templates/isa/requantize.h"

#include "kernels_templates/isa/requantize_solver_source.h"

namespace kiln {
namespace {

// h = high half of acc_u * 2m + C is round(acc * m / 2^31) + rounding + (zero point << e), all at
// once. int9 then adds one for acc >= 0, because TFLite rounds halves away from zero; below zero
// int7 differs from that only where a ReLU clamps.
constexpr std::string_view kInteger = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kvl low = (kvl)k_splat(0) + 0xffffffffull;
  const kvl even = ((kvl)acc & low) * ((kvl)k_load(c + LANES) & low) + (kvl)k_load(c + 3 * LANES);
  const kvl odd = ((kvl)acc >> 32) * ((kvl)k_load(c + 2 * LANES) & low) + (kvl)k_load(c + 4 * LANES);
  kv h = K_HIGH_HALVES((kv)even, (kv)odd);
)";
constexpr std::string_view kIntegerSign = "  h += (kv)((kvu)acc >> 31);\n";
constexpr std::string_view kIntegerEnd = "  return h >> k_load(c + 5 * LANES);\n}\n";

constexpr std::string_view kFixedPointDouble = R"(
INLINE int32_t k_fixed_point(int32_t acc, int32_t m, int32_t shift) {
  const int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
  const int64_t product = (int64_t)(int32_t)((uint32_t)acc << left) * m;
  const int32_t h = (int32_t)((product + (1ll << 30)) >> 31);
  return (int32_t)(((int64_t)h + (right > 0 ? (1ll << (right - 1)) - (h < 0) : 0)) >> right);
}
)";
constexpr std::string_view kFixedPointSingle = R"(
INLINE int32_t k_fixed_point(int32_t acc, int32_t m, int32_t shift) {
  const __int128 product = (__int128)acc * m;
  return (int32_t)((product + ((__int128)1 << (30 - shift))) >> (31 - shift));
}
)";
// Not inlined: copies for every accumulator of a tile would need a frame of many kilobytes.
constexpr std::string_view kGeneral = R"(
NOINLINE kv k_requantize(kv acc, const int32_t *c) {
  kv r = acc;
  for (int32_t l = 0; l < LANES; ++l) {
    int64_t v = (int64_t)k_fixed_point(acc[l], c[LANES + l], c[2 * LANES + l]) + c[3 * LANES + l];
    r[l] = (int32_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
  }
  return r;
}
)";

// Where a multiplication gives the doubled, rounded high half: it is the rule's first rounding, to
// nearest with halves up. The second rounds halves away from zero: a rounding shift (halves up)
// after one is taken from negative numbers, unless nothing is shifted.
constexpr std::string_view kHighHalfDouble = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kv shift = k_load(c + 2 * LANES);
  const kv h = (kv)__builtin_neon_vqrdmulhq_v((kb16)K_LEFT(acc, c), (kb16)k_load(c + LANES), 34);
  const kv down = (h & shift) >> 31;
  return (kv)__builtin_neon_vrshlq_v(__builtin_neon_vqaddq_v((kb16)h, (kb16)down, 34), (kb16)shift, 34);
}
)";
// The whole product, rounded once.
constexpr std::string_view kHighHalfSingle = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kv m = k_load(c + LANES);
  const kv2 low = (kv2)__builtin_neon_vqmovn_v(
      __builtin_neon_vrshlq_v(
          __builtin_neon_vmull_v((kb8)__builtin_shufflevector(acc, acc, 0, 1),
                                 (kb8)__builtin_shufflevector(m, m, 0, 1), 35),
          (kb16)k_load(c + 2 * LANES), 35), 2);
  const kv2 high = (kv2)__builtin_neon_vqmovn_v(
      __builtin_neon_vrshlq_v(
          __builtin_neon_vmull_v((kb8)__builtin_shufflevector(acc, acc, 2, 3),
                                 (kb8)__builtin_shufflevector(m, m, 2, 3), 35),
          (kb16)k_load(c + 3 * LANES), 35), 2);
  return __builtin_shufflevector(low, high, 0, 1, 2, 3);
}
)";

// Adding 1.5 * 2^23 leaves the nearest integer, halves to even, in the low bits of a float.
constexpr std::string_view kFloat = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kvf limit = (kvf)k_splat(0) + 1048576.0f;
  kvf f = __builtin_convertvector(acc, kvf) * (kvf)k_load(c + LANES);
  f = __builtin_elementwise_min(__builtin_elementwise_max(f, -limit), limit);
  return (kv)(f + 12582912.0f) - 0x4B400000 + k_load(c + 2 * LANES);
}
)";

constexpr std::string_view kStep1 = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  return (kv)__builtin_elementwise_fma((kvf)acc, (kvf)k_load(c + LANES), (kvf)k_load(c + 2 * LANES));
}
)";

// ---- AVX-512: rounding per instruction. 9: down, 11: towards zero, 8: to nearest even.

constexpr std::string_view kAvx512Step2 = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kvf f = __builtin_convertvector(acc, kvf);
  const kvf inner = __builtin_elementwise_fma(f, (kvf)k_load(c + 2 * LANES), (kvf)k_load(c + 3 * LANES));
  const kvf sum = (kvf)__builtin_ia32_vfmaddps512_mask(f, (kvf)k_load(c + LANES), inner, (uint16_t)-1, 9);
  return (kv)__builtin_ia32_cvtps2dq512_mask(sum, (kv){0}, (uint16_t)-1, 9);
}
)";
constexpr std::string_view kAvx512SignedBegin = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kvf f = __builtin_convertvector(acc, kvf);
  const kv sign = (kv)f & (int32_t)0x80000000;
)";
constexpr std::string_view kAvx512Signed1 =
    "  const kvf inner = (kvf)(sign | k_load(c + 2 * LANES));\n";
constexpr std::string_view kAvx512Signed2 =
    "  const kvf inner = __builtin_elementwise_fma(f, (kvf)k_load(c + 2 * LANES),\n"
    "                                              (kvf)(sign | k_load(c + 3 * LANES)));\n";
constexpr std::string_view kAvx512SignedEnd = R"(
  const kvf sum = (kvf)__builtin_ia32_vfmaddps512_mask(f, (kvf)k_load(c + LANES), inner, (uint16_t)-1, 11);
  return (kv)__builtin_ia32_cvttps2dq512_mask(sum, (kv){0}, (uint16_t)-1, 8);
}
)";
// Too large a product becomes the most negative integer; a limit above spares that.
constexpr std::string_view kAvx512Float = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kvf f = __builtin_convertvector(acc, kvf) * (kvf)k_load(c + LANES);
  const kvf limit = (kvf)k_splat(0) + 1048576.0f;
  return (kv)__builtin_ia32_cvtps2dq512_mask(__builtin_elementwise_min(f, limit), (kv){0}, (uint16_t)-1, 8);
}
)";

// What stores do with results that have their zero point.
constexpr std::string_view kPlainResults = R"(
INLINE kv k_value(kv r, k_range range) { (void)range; return r; }
#define k_words(a, b, range) ((void)(range), K_PACK_WORDS(a, b))
)";
// Results without: it is added to 16 bits, where one instruction serves two vectors.
constexpr std::string_view kOffsetResults = R"(
INLINE kv k_value(kv r, k_range range) { return r + range.zp; }
INLINE kh k_words(kv a, kv b, k_range range) {
  return __builtin_elementwise_add_sat(K_PACK_WORDS(a, b), (kh){0} + (int16_t)range.zp);
}
)";
// Results are the low halves; packing with saturation reads all of a lane, so what is above goes.
constexpr std::string_view kFloatBitsResults = R"(
INLINE kv k_value(kv r, k_range range) { (void)range; return r - 0x4B400000; }
INLINE kh k_words(kv a, kv b, k_range range) {
  return K_PACK_WORDS(k_value(a, range), k_value(b, range));
}
)";
// The same where any words of two vectors are taken in one instruction.
constexpr std::string_view kLowHalfResults = R"(
INLINE kv k_value(kv r, k_range range) { (void)range; return (r << 16) >> 16; }
#define K_LOW_HALVES(q) 8 * q, 8 * q + 2, 8 * q + 4, 8 * q + 6, 8 * q + 32, 8 * q + 34, 8 * q + 36, 8 * q + 38
INLINE kh k_words(kv a, kv b, k_range range) {
  (void)range;
  return __builtin_shufflevector((kh)a, (kh)b, K_LOW_HALVES(0), K_LOW_HALVES(1), K_LOW_HALVES(2),
                                 K_LOW_HALVES(3));
}
)";

// And where one instruction takes the low halves of two vectors' lanes.
constexpr std::string_view kUnzippedResults = R"(
INLINE kv k_value(kv r, k_range range) { (void)range; return (r << 16) >> 16; }
#define k_words(a, b, range) ((void)(range), K_PACK_LOW_HALVES(a, b))
)";

// ---- packing

// The channel as the solver sees it. False if its left shift takes accumulators beyond 32 bits,
// which TFLite has no result for.
constexpr std::string_view kPackChannel = R"(
COLD int k_channel(const kiln_op *op, int32_t channel, int64_t low, int64_t high, kiln_channel *c) {
  c->multiplier = op->mult[channel], c->shift = op->shift[channel], c->single_rounding = K_SINGLE;
  c->y_zp = op->y_zp, c->act_min = op->act_min, c->act_max = op->act_max;
  c->low = low, c->high = high;
  const int64_t bound = high > -low ? high : -low;
  return c->multiplier >= 0 && c->shift >= -31 && c->shift <= 30 &&
         bound < (1ll << 31) >> (c->shift > 0 ? c->shift : 0);
}
)";

constexpr std::string_view kPackInteger = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t low,
                            int64_t high, int32_t *c) {
  int64_t m = 0, e = 1, y_zp = 0;
  if (channel >= 0) {
    kiln_channel value;
    if (!k_channel(op, channel, low, high, &value)) return KILN_E_CLASS;
    if (K_NEEDS_RELU && op->act_min < op->y_zp) return KILN_E_CLASS;
    if (kiln_is_constant(&value)) {
      y_zp = kiln_byte(&value, low);
    } else {
      m = value.multiplier, e = -value.shift, y_zp = value.y_zp;
    }
    const int64_t bound = high > -low ? high : -low;
    if (e < 1 || e > 30) return KILN_E_CLASS;
    if ((bound * m >> 31) + ((y_zp < 0 ? -y_zp : y_zp) << e) + (1ll << (e - 1)) + 1 >= 1ll << 31) return KILN_E_CLASS;
  }
  const uint64_t rounding = (uint64_t)((1ll << (e - 1)) + y_zp * (1ll << e) - K_SIGN_CORRECTION);
  const uint64_t constant = (K_FIRST_ROUNDING) + (rounding << 32) - ((uint64_t)m << 32);
  c[lane] = (int32_t)((uint32_t)bias + 0x80000000u);
  const int32_t odd = lane & 1, pair = lane - odd;  // 64-bit element pair / 2 of the even or odd vectors
  c[(1 + odd) * LANES + pair] = (int32_t)(2 * m);
  c[(1 + odd) * LANES + pair + 1] = 0;
  c[(3 + odd) * LANES + pair] = (int32_t)constant;
  c[(3 + odd) * LANES + pair + 1] = (int32_t)(constant >> 32);
  c[5 * LANES + lane] = (int32_t)e;
  return KILN_OK;
}
)";
// K_SOLVE finds the constants; those that its form has none of stay zero.
constexpr std::string_view kPackSolved = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t low,
                            int64_t high, int32_t *c) {
  kiln_constants k = {0, 0, 0, 0};
  if (channel >= 0) {
    kiln_channel value;
    if (!k_channel(op, channel, low, high, &value)) return KILN_E_CLASS;
    if (K_NEEDS_RELU && op->act_min < op->y_zp) return KILN_E_CLASS;
    if (!K_SOLVE(&value, &k)) return KILN_E_CLASS;
  }
  c[lane] = (int32_t)((uint32_t)bias + (uint32_t)k.seed);
  const float scales[] = {k.scale, K_TERMS > 1 ? k.scale_low : k.offset, k.offset};
  for (int32_t i = 0; i <= K_TERMS; ++i) ((float *)c)[(1 + i) * LANES + lane] = scales[i];
  return KILN_OK;
}
)";
constexpr std::string_view kPackGeneral = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t low,
                            int64_t high, int32_t *c) {
  (void)low, (void)high;
  c[lane] = bias;
  c[LANES + lane] = channel >= 0 ? op->mult[channel] : 0;
  c[2 * LANES + lane] = channel >= 0 ? op->shift[channel] : 0;
  c[3 * LANES + lane] = op->y_zp;
  return KILN_OK;
}
)";
constexpr std::string_view kPackHighHalf = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t low,
                            int64_t high, int32_t *c) {
  (void)low, (void)high;
  const int32_t shift = channel >= 0 ? op->shift[channel] : 0;
  c[lane] = bias;
  c[LANES + lane] = channel >= 0 ? op->mult[channel] : 0;
#if K_SINGLE
  const int64_t down = shift - 31;
  __builtin_memcpy(c + 2 * LANES + 2 * lane, &down, 8);
#else
  if (shift > 0 && !K_SHIFTS_LEFT) return KILN_E_CLASS;
  c[2 * LANES + lane] = shift < 0 ? shift : 0;
  c[3 * LANES + lane] = shift > 0 ? shift : 0;
#endif
  return KILN_OK;
}
)";
constexpr std::string_view kPackFloat = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t low,
                            int64_t high, int32_t *c) {
  (void)low, (void)high;
  c[lane] = bias;
  ((float *)c)[LANES + lane] = channel >= 0 ? op->scale[channel] : 0;
  c[2 * LANES + lane] = op->y_zp;
  return KILN_OK;
}
)";

bool IsInteger(RequantizeForm form) {
  return form == RequantizeForm::kInt7 || form == RequantizeForm::kInt9;
}

// Single rounding has no kink at zero, so nothing to correct.
bool CorrectsSign(RequantizeForm form, const Workload& workload) {
  return form == RequantizeForm::kInt9 && workload.rounding == Rounding::kDouble;
}

std::string Avx512Source(RequantizeForm form) {
  const auto signed_form = [](std::string_view inner) {
    return std::string(kAvx512SignedBegin).append(inner).append(kAvx512SignedEnd);
  };
  switch (form) {
    case RequantizeForm::kStep1:
      return std::string(kStep1).append(kLowHalfResults);
    case RequantizeForm::kStep2:
      return std::string(kAvx512Step2).append(kOffsetResults);
    case RequantizeForm::kSigned1:
      return signed_form(kAvx512Signed1).append(kOffsetResults);
    case RequantizeForm::kSigned2:
      return signed_form(kAvx512Signed2).append(kOffsetResults);
    default:
      return std::string(kAvx512Float).append(kOffsetResults);
  }
}

}  // namespace

RequantizeForm KernelForm(const VectorIsa& isa, const Workload& workload) {
  if (isa.rounds_per_instruction) return workload.rq;
  if (isa.multiplies_to_high_half) {
    const bool keeps =
        workload.rq == RequantizeForm::kStep1 || workload.rq == RequantizeForm::kFloat;
    return keeps ? workload.rq : RequantizeForm::kGen;
  }
  switch (workload.rq) {
    case RequantizeForm::kStep1:
      return isa.fuses_multiply_add ? RequantizeForm::kStep1 : RequantizeForm::kInt7;
    case RequantizeForm::kStep2:
      return RequantizeForm::kInt7;
    case RequantizeForm::kSigned1:
    case RequantizeForm::kSigned2:
      return RequantizeForm::kInt9;
    default:
      return workload.rq;
  }
}

std::string RequantizeSource(const VectorIsa& isa, const Workload& workload) {
  const RequantizeForm form = KernelForm(isa, workload);
  if (IsInteger(form)) {
    std::string source(kInteger);
    if (CorrectsSign(form, workload)) source += kIntegerSign;
    return source.append(kIntegerEnd).append(kPlainResults);
  }
  if (form == RequantizeForm::kGen && isa.multiplies_to_high_half) {
    std::string source;
    if (workload.rounding == Rounding::kSingle) {
      source = kHighHalfSingle;
    } else {
      // Only general values have factors of 1 and more.
      source = workload.rq == RequantizeForm::kGen
                   ? "#define K_SHIFTS_LEFT 1\n"
                     "#define K_LEFT(acc, c) ((acc) << k_load((c) + 3 * LANES))\n"
                   : "#define K_SHIFTS_LEFT 0\n#define K_LEFT(acc, c) (acc)\n";
      source += kHighHalfDouble;
    }
    return source.append(kOffsetResults);
  }
  if (form == RequantizeForm::kGen) {
    std::string source(workload.rounding == Rounding::kSingle ? kFixedPointSingle
                                                              : kFixedPointDouble);
    return source.append(kGeneral).append(kPlainResults);
  }
  if (isa.rounds_per_instruction) return Avx512Source(form);
  if (form == RequantizeForm::kStep1) {
    return std::string(kStep1).append(isa.multiplies_to_high_half ? kUnzippedResults
                                                                  : kFloatBitsResults);
  }
  return std::string(kFloat).append(kPlainResults);
}

std::string PackConstantsSource(const VectorIsa& isa, const Workload& workload) {
  const RequantizeForm form = KernelForm(isa, workload);
  if (form == RequantizeForm::kFloat) return std::string(kPackFloat);
  if (form == RequantizeForm::kGen && isa.multiplies_to_high_half) {
    return std::string("#define K_SINGLE ")
        .append(workload.rounding == Rounding::kSingle ? "1" : "0")
        .append(kPackHighHalf);
  }
  if (form == RequantizeForm::kGen) return std::string(kPackGeneral);
  const bool single = workload.rounding == Rounding::kSingle;
  std::string source = "#define KILN_SOLVER COLD UNUSED\n";
  source += RequantizeSolverSource();
  source += "#define K_SINGLE " + std::string(single ? "1" : "0");
  source += "\n#define K_NEEDS_RELU " + std::string(IsForRelu(form) && !single ? "1" : "0") + "\n";
  source += kPackChannel;
  if (IsInteger(form)) {
    source += "#define K_SIGN_CORRECTION " + std::string(CorrectsSign(form, workload) ? "1" : "0");
    source += "\n#define K_FIRST_ROUNDING " + std::string(single ? "0" : "1ull << 31");
    return source.append(kPackInteger);
  }
  const bool two_terms = form == RequantizeForm::kStep2 || form == RequantizeForm::kSigned2;
  source += "#define K_SOLVE kiln_solve_" + std::string(Name(form));
  source += "\n#define K_TERMS " + std::string(two_terms ? "2" : "1");
  return source.append(kPackSolved);
}

std::int32_t RequantizeConstants(const VectorIsa& isa, const Workload& workload) {
  const bool single = workload.rounding == Rounding::kSingle;
  switch (KernelForm(isa, workload)) {
    case RequantizeForm::kStep1:
    case RequantizeForm::kSigned1:
      return 2;
    case RequantizeForm::kStep2:
    case RequantizeForm::kSigned2:
      return 3;
    case RequantizeForm::kInt7:
    case RequantizeForm::kInt9:
      return 5;
    case RequantizeForm::kFloat:  // else the zero point is added to words
      return isa.rounds_per_instruction ? 1 : 2;
    case RequantizeForm::kGen:
      break;
  }
  // The left shift, where there is one, or the other half of 64-bit shifts.
  if (isa.multiplies_to_high_half) return single || workload.rq == RequantizeForm::kGen ? 3 : 2;
  return 3;
}

double RequantizeInstructions(const VectorIsa& isa, const Workload& workload) {
  switch (KernelForm(isa, workload)) {
    case RequantizeForm::kStep1:
      return isa.rounds_per_instruction ? 2 : 3;
    case RequantizeForm::kStep2:
    case RequantizeForm::kSigned1:
      return 5;
    case RequantizeForm::kSigned2:
      return 6;
    case RequantizeForm::kInt7:
      return 7;
    case RequantizeForm::kInt9:
      return 9;
    case RequantizeForm::kFloat:
      return isa.rounds_per_instruction ? 5 : 6;
    case RequantizeForm::kGen:
      break;
  }
  if (!isa.multiplies_to_high_half) return 60;
  return workload.rounding == Rounding::kSingle ? 9 : 6;
}

}  // namespace kiln
