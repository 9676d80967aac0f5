#include "kernels_templates/isa/requantize.h"

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

// Adding 1.5 * 2^23 leaves the nearest integer, halves to even, in the low bits of a float.
constexpr std::string_view kFloat = R"(
INLINE kv k_requantize(kv acc, const int32_t *c) {
  const kvf limit = (kvf)k_splat(0) + 1048576.0f;
  kvf f = __builtin_convertvector(acc, kvf) * (kvf)k_load(c + LANES);
  f = __builtin_elementwise_min(__builtin_elementwise_max(f, -limit), limit);
  return (kv)(f + 12582912.0f) - 0x4B400000 + k_load(c + 2 * LANES);
}
)";

constexpr std::string_view kPackInteger = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t bound,
                            int32_t *c) {
  uint64_t m = 0, e = 1;
  if (channel >= 0) {
    if (op->shift[channel] > 0 || op->mult[channel] < 0) return KILN_E_CLASS;
    m = (uint64_t)op->mult[channel];
    e = (uint64_t)-op->shift[channel];
    const uint64_t reach = ((uint64_t)bound * m) >> 31;
    if (m == 0 || (e > 0 && reach + 1 < (1ull << (e - 1)))) m = 0, e = 1;
    const int64_t zero_point = op->y_zp < 0 ? -op->y_zp : op->y_zp;
    const uint64_t most = (m ? reach : 0) + ((uint64_t)zero_point << e) + (1ull << ((e - 1) & 63)) + 1;
    if (bound >= 1ll << 31 || e < 1 || e > 30 || most >= 1ull << 31) return KILN_E_CLASS;
    if (K_NEEDS_RELU && op->act_min < op->y_zp) return KILN_E_CLASS;
  }
  const int64_t zero_point = channel >= 0 ? op->y_zp : 0;
  const uint64_t rounding = (uint64_t)((1ll << (e - 1)) + zero_point * (1ll << e) - K_SIGN_CORRECTION);
  const uint64_t constant = (K_FIRST_ROUNDING) + (rounding << 32) - (m << 32);
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
constexpr std::string_view kPackGeneral = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t bound,
                            int32_t *c) {
  (void)bound;
  c[lane] = bias;
  c[LANES + lane] = channel >= 0 ? op->mult[channel] : 0;
  c[2 * LANES + lane] = channel >= 0 ? op->shift[channel] : 0;
  c[3 * LANES + lane] = op->y_zp;
  return KILN_OK;
}
)";
constexpr std::string_view kPackFloat = R"(
static int k_pack_constants(const kiln_op *op, int32_t channel, int32_t lane, int32_t bias, int64_t bound,
                            int32_t *c) {
  (void)bound;
  c[lane] = bias;
  ((float *)c)[LANES + lane] = channel >= 0 ? op->scale[channel] : 0;
  c[2 * LANES + lane] = op->y_zp;
  return KILN_OK;
}
)";

bool IsInteger(const Workload& workload) {
  return workload.rq == RequantizeForm::kInt7 || workload.rq == RequantizeForm::kInt9;
}

// Single rounding has no kink at zero, so nothing to correct.
bool CorrectsSign(const Workload& workload) {
  return workload.rq == RequantizeForm::kInt9 && workload.rounding == Rounding::kDouble;
}

}  // namespace

std::string RequantizeSource(const Workload& workload) {
  if (workload.rq == RequantizeForm::kFloat) return std::string(kFloat);
  if (IsInteger(workload)) {
    std::string source(kInteger);
    if (CorrectsSign(workload)) source += kIntegerSign;
    return source.append(kIntegerEnd);
  }
  std::string source(workload.rounding == Rounding::kSingle ? kFixedPointSingle
                                                            : kFixedPointDouble);
  return source.append(kGeneral);
}

std::string PackConstantsSource(const Workload& workload) {
  if (workload.rq == RequantizeForm::kFloat) return std::string(kPackFloat);
  if (!IsInteger(workload)) return std::string(kPackGeneral);
  const bool single = workload.rounding == Rounding::kSingle;
  const bool int9 = CorrectsSign(workload);
  std::string source = "#define K_SIGN_CORRECTION " + std::string(int9 ? "1" : "0");
  source += "\n#define K_NEEDS_RELU " + std::string(!int9 && !single ? "1" : "0");
  source += "\n#define K_FIRST_ROUNDING " + std::string(single ? "0" : "1ull << 31");
  return source.append(kPackInteger);
}

double RequantizeInstructions(const Workload& workload) {
  switch (workload.rq) {
    case RequantizeForm::kInt7:
      return 7;
    case RequantizeForm::kInt9:
      return 9;
    case RequantizeForm::kFloat:
      return 6;
    default:
      return 60;
  }
}

}  // namespace kiln
