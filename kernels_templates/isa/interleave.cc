#include "kernels_templates/isa/interleave.h"

#include <fmt/format.h>

#include "kernels_templates/isa/requantize.h"

namespace kiln {
namespace {

// vpdpbusd on bytes: two rounds of unpacking, bytes then words.
constexpr std::string_view kBytesBy4 = R"(
typedef int8_t krow __attribute__((vector_size(4 * LANES)));
typedef krow krow_memory __attribute__((aligned(1), may_alias));
typedef kh krow_pair;
typedef kv ktaps;
INLINE krow k_row(const uint8_t *p) { return *(const krow_memory *)p; }
INLINE krow k_row_splat(int32_t v) { return (krow){0} + (int8_t)v; }
INLINE void k_pair(krow_pair *p, krow a, krow b) {
  p[0] = (krow_pair)K_LOW_BYTES(a, b);
  p[1] = (krow_pair)K_HIGH_BYTES(a, b);
}
INLINE void k_interleave_pairs(ktaps *t, const krow_pair *ab, const krow_pair *cd) {
  t[0] = (ktaps)K_LOW_WORDS(ab[0], cd[0]);
  t[1] = (ktaps)K_HIGH_WORDS(ab[0], cd[0]);
  t[2] = (ktaps)K_LOW_WORDS(ab[1], cd[1]);
  t[3] = (ktaps)K_HIGH_WORDS(ab[1], cd[1]);
}
INLINE void k_interleave(ktaps *t, krow a, krow b, krow c, krow d) {
  krow_pair ab[2], cd[2];
  k_pair(ab, a, b);
  k_pair(cd, c, d);
  k_interleave_pairs(t, ab, cd);
}
INLINE kv k_taps_dot(kv acc, ktaps t, const uint8_t *w) { return k_dot(acc, (kop)t, k_weights(w)); }
typedef int8_t k_weight;
)";

// Pairs of 16-bit values: k_words_dot is vpdpwssd or pmaddwd.
constexpr std::string_view kWordsBy2 = R"(
typedef kh krow;
typedef K_BYTE krow_bytes __attribute__((vector_size(2 * LANES), aligned(1), may_alias));
typedef kv ktaps;
INLINE krow k_row(const uint8_t *p) { return __builtin_convertvector(*(const krow_bytes *)p, krow); }
INLINE krow k_row_splat(int32_t v) { return (krow){0} + (int16_t)v; }
INLINE void k_interleave(ktaps *t, krow a, krow b) {
  t[0] = (ktaps)K_LOW_WORDS(a, b);
  t[1] = (ktaps)K_HIGH_WORDS(a, b);
}
INLINE kv k_taps_dot(kv acc, ktaps t, const uint8_t *w) { return k_words_dot(acc, t, k_load(w)); }
typedef int16_t k_weight;
)";

// Words of one tap; each half of a vector is multiplied by an instruction of its own.
constexpr std::string_view kHalves = R"(
typedef kh krow;
typedef K_BYTE krow_bytes __attribute__((vector_size(2 * LANES), aligned(1), may_alias));
typedef kh ktaps;
INLINE krow k_row(const uint8_t *p) { return __builtin_convertvector(*(const krow_bytes *)p, krow); }
INLINE krow k_row_splat(int32_t v) { return (krow){0} + (int16_t)v; }
INLINE void k_interleave(ktaps *t, krow a) { t[0] = t[1] = a; }
typedef int16_t k_weight;
)";

// 32-bit multiplications, one tap at a time.
constexpr std::string_view kSingle = R"(
typedef kv krow;
typedef K_BYTE krow_bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
typedef kv ktaps;
INLINE krow k_row(const uint8_t *p) { return __builtin_convertvector(*(const krow_bytes *)p, krow); }
INLINE krow k_row_splat(int32_t v) { return k_splat(v); }
INLINE void k_interleave(ktaps *t, krow a) { t[0] = a; }
INLINE kv k_taps_dot(kv acc, ktaps t, const uint8_t *w) { return acc + t * k_load(w); }
typedef int32_t k_weight;
)";

constexpr std::string_view kFlips = R"(
INLINE krow k_row_raw(const uint8_t *p, krow flip) { return k_row(p) ^ flip; }
INLINE void k_copy(uint8_t *restrict d, const uint8_t *restrict x, int64_t n, uint8_t flip) {
  for (int64_t i = 0; i < n; ++i) d[i] = x[i] ^ flip;
}
)";
constexpr std::string_view kTakesBytesAsTheyAre = R"(
INLINE krow k_row_raw(const uint8_t *p, krow flip) { (void)flip; return k_row(p); }
INLINE void k_copy(uint8_t *restrict d, const uint8_t *restrict x, int64_t n, uint8_t flip) {
  (void)flip;
  for (int64_t i = 0; i < n; ++i) d[i] = x[i];
}
)";

constexpr std::string_view kPutWeight = R"(
static UNUSED void k_put_weight(uint8_t *set, int32_t vector, int32_t lane, int32_t i, int32_t w) {
  const int32_t most = sizeof(k_weight) == 1 ? 127 : 32767;
  for (int32_t plane = 0; plane < K_PLANES; ++plane) {
    const int32_t part = w > most ? most : w < -most - 1 ? -most - 1 : w;
    ((k_weight *)set)[(plane * K_VECTORS + vector) * LANES * K_TAPS + K_PLACE(lane, i, K_TAPS)] = (k_weight)part;
    w -= part;
  }
}
)";

// Where a dot is a multiplication and an addition, the compiler may sum the products in an order of
// its own, and keeps them all until then. A sum that passes through an (empty) instruction stays
// where it is.
// Nothing of that is needed for the one instruction of VNNI.
constexpr std::string_view kPinSums = R"(
#if defined(__AVX__)
#define K_PIN(v) __asm__("" : "+x"(v))
#elif LANES == 4 && defined(__aarch64__)
#define K_PIN(v) __asm__("" : "+w"(v))
#elif defined(__SSE2__) || defined(__aarch64__)
#if defined(__SSE2__)
#define K_PIN_HALVES(a, b) __asm__("" : "+x"(a), "+x"(b))
#else
#define K_PIN_HALVES(a, b) __asm__("" : "+w"(a), "+w"(b))
#endif
typedef int32_t khalf __attribute__((vector_size(16)));
#define K_PIN(v) do { \
    khalf low = __builtin_shufflevector(v, v, 0, 1, 2, 3), high = __builtin_shufflevector(v, v, 4, 5, 6, 7); \
    K_PIN_HALVES(low, high); \
    v = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7); \
  } while (0)
#else
#define K_PIN(v)
#endif
)";

// A shuffle that unpacks the low or high halves of each 128-bit block of two vectors.
std::string Unpack(std::string_view name, std::int32_t elements, std::int32_t per_block,
                   bool high) {
  std::string text = fmt::format("#define {}(a, b) __builtin_shufflevector(a, b", name);
  for (std::int32_t i = 0; i < elements; ++i) {
    const std::int32_t pair = i % per_block / 2 + (high ? per_block / 2 : 0);
    text += fmt::format(", {}", i / per_block * per_block + pair + (i % 2) * elements);
  }
  return text + ")\n";
}

std::string UnpackWords(std::int32_t elements) {
  return Unpack("K_LOW_WORDS", elements, 8, false) + Unpack("K_HIGH_WORDS", elements, 8, true);
}

// Whether its dots of bytes by fours are single instructions, or nearly.
bool DotsBytes(const VectorIsa& isa) { return isa.group == 4; }

// Where the first two of four taps lie in the low half of an operand, that is half a vector.
constexpr std::string_view kUnpackHalves = R"(
#define K_LOW_WORDS(a, b) __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11)
#define K_HIGH_WORDS(a, b) __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15)
)";

std::string Rows(const VectorIsa& isa, const Interleave& il) {
  const std::int32_t group = il.group;
  if (group == 4) {
    const std::int32_t bytes = isa.vector_bytes();
    return Unpack("K_LOW_BYTES", bytes, 16, false) + Unpack("K_HIGH_BYTES", bytes, 16, true) +
           (isa.splits_groups ? std::string(kUnpackHalves) : UnpackWords(bytes / 2)) +
           std::string(kBytesBy4);
  }
  if (il.halves) return std::string(kHalves);
  if (group == 2) return UnpackWords(isa.lanes * 2) + std::string(kWordsBy2);
  return std::string(kSingle);
}

// Whole blocks, written out vector by vector: only then does the compiler keep them in registers.
std::string Blocks(const Interleave& il) {
  std::string start, dots, put_taps, get_taps, put_sums, get_sums, requantize, values;
  for (std::int32_t v = 0; v < il.vectors; ++v) {
    const std::int32_t at = v * il.lanes * 4;
    start += fmt::format("  acc[{0}] = k_load(c + {0} * K_CONSTANTS * LANES);\n", v);
    put_taps += fmt::format("  k_spill(p + {}, (kv)t[{}]);\n", at, v);
    get_taps += fmt::format("  t[{}] = (ktaps)k_load(p + {});\n", v, at);
    put_sums += fmt::format("  k_spill(p + {}, acc[{}]);\n", at, v);
    get_sums += fmt::format("  acc[{}] = k_load(p + {});\n", v, at);
    requantize += fmt::format("  k_requantize_vector(acc, c, {});\n", v);
    values += fmt::format(", acc[{}]", v);
  }
  for (std::int32_t plane = 0; plane < il.planes; ++plane) {
    for (std::int32_t v = 0; v < il.vectors; ++v) {
      if (il.halves) {
        dots += fmt::format(
            "  acc[{0}] = k_words_{1}(acc[{0}], t[{0}], (kh)k_load(w)); K_PIN(acc[{0}]);\n", v,
            v % 2 == 0 ? "low" : "high");
        continue;
      }
      dots += fmt::format("  acc[{0}] = k_taps_dot(acc[{0}], t[{0}], w + {1}); K_PIN(acc[{0}]);\n",
                          v, (plane * il.vectors + v) * il.lanes * il.group * il.weight_bytes);
    }
  }
  const auto function = [](const char* signature, const std::string& body) {
    return fmt::format("INLINE void {} {{\n{}}}\n", signature, body);
  };
  std::string text = function("k_start(kv *acc, const int32_t *c)", start);
  text += function("k_dots(kv *acc, const ktaps *t, const uint8_t *w)", dots);
  text += function("k_put_taps(uint8_t *p, const ktaps *t)", put_taps);
  text += function("k_get_taps(ktaps *t, const uint8_t *p)", get_taps);
  text += function("k_put_sums(uint8_t *p, const kv *acc)", put_sums);
  text += function("k_get_sums(kv *acc, const uint8_t *p)", get_sums);
  text +=
      "K_RESULT kv k_result(kv acc, const int32_t *c) { return k_requantize(acc, c); }\n"
      "INLINE void k_requantize_vector(kv *acc, const int32_t *c, int32_t v) {\n"
      "  acc[v] = k_result(acc[v], c + v * K_CONSTANTS * LANES);\n}\n";
  text += function("k_requantize_block(kv *acc, const int32_t *c)", requantize);
  text += function("k_store_block(uint8_t *y, k_range range, const kv *acc)",
                   fmt::format("  k_store{}(y, range{});\n", il.vectors, values));
  text += function("k_store_block_n(uint8_t *y, k_range range, int32_t n, const kv *acc)",
                   fmt::format("  k_store{}_n(y, range, n{});\n", il.vectors, values));
  return text;
}

}  // namespace

std::optional<Interleave> FindInterleave(const VectorIsa& isa, const Workload& workload,
                                         DepthwiseMethod method) {
  const bool dot = method == DepthwiseMethod::kDot;
  Interleave il;
  il.lanes = isa.lanes;
  if (dot && DotsBytes(isa)) {
    // Two bytes of a legacy weight, or one of -128, are more than the dot is exact for.
    if (isa.lowest_weight > workload.lowest_weight()) return std::nullopt;
    il.group = il.vectors = 4;
    il.planes = workload.weight_zero_point ? 2 : 1;
    il.flips = ActivationOffset(isa, workload) != 0 || workload.weight_zero_point;
    il.row_shuffles = il.flips ? 1 : 0;
    il.interleave_shuffles = 8;
    return il;
  }
  if (!dot && isa.multiplies_halves) {
    il.vectors = 2;
    il.halves = true;
    il.weight_bytes = 2;
    il.row_shuffles = il.stored_row_shuffles = 1;
    return il;
  }
  if ((dot && isa.group == 2) || (!dot && DotsBytes(isa))) {
    il.group = il.vectors = 2;
    il.weight_bytes = 2;
    il.row_shuffles = il.stored_row_shuffles = 1;
    il.interleave_shuffles = 2;
    return il;
  }
  if (dot) return std::nullopt;
  il.weight_bytes = 4;
  il.row_shuffles = il.stored_row_shuffles = 1;
  return il;
}

std::string InterleaveSource(const VectorIsa& isa, const Workload& workload,
                             DepthwiseMethod method) {
  const Interleave il = *FindInterleave(isa, workload, method);
  // The integer forms are a few instructions; the others are long and do not belong into every
  // tile.
  const bool short_form = RequantizeInstructions(isa, workload) < 10;
  std::string text = fmt::format(
      "#define K_VECTORS {}\n#define K_TAPS {}\n#define K_PLANES {}\n#define K_WEIGHT_SET "
      "{}\n#define K_CONSTANTS {}\n"
      "#define K_RESULT {}\n",
      il.vectors, il.group, il.planes, il.weight_set_bytes(), kConstantVectors,
      short_form ? "INLINE" : "NOINLINE UNUSED");
  text += DotsBytes(isa) && !isa.splits_groups && !il.halves ? "#define K_PIN(v)\n" : kPinSums;
  text += Rows(isa, il);
  text += il.flips ? kFlips : kTakesBytesAsTheyAre;
  text += Blocks(il);
  text += kPutWeight;
  return text;
}

std::string StackSource(const Interleave& il, std::int32_t rows) {
  const std::int32_t bytes = il.channels() / rows;
  std::string parameters, arguments, store;
  for (std::int32_t r = 0; r < rows; ++r) {
    parameters += fmt::format("{}const uint8_t *p{}", r > 0 ? ", " : "", r);
    arguments += fmt::format("{}p{}", r > 0 ? ", " : "", r);
    std::string part;
    for (std::int32_t i = 0; i < bytes; ++i) part += fmt::format(", {}", r * bytes + i);
    store +=
        fmt::format("  *(kb{0}_memory *)(y + {1} * pitch) = __builtin_shufflevector(v, v{2});\n",
                    bytes, r, part);
  }
  const auto concatenate = [](const std::string& type, const char* name, std::int32_t size,
                              const std::string& a, const std::string& b) {
    std::string text =
        fmt::format("  const {} {} = __builtin_shufflevector({}, {}", type, name, a, b);
    for (std::int32_t i = 0; i < size; ++i) text += fmt::format(", {}", i);
    return text + ");\n";
  };
  const auto load = [bytes](std::int32_t r) {
    return fmt::format("*(const kb{}_memory *)p{}", bytes, r);
  };
  const std::int32_t whole = il.channels();
  std::string body;
  if (rows == 4) {
    const std::string half = fmt::format("kb{}", whole / 2);
    body = concatenate(half, "low", whole / 2, load(0), load(1)) +
           concatenate(half, "high", whole / 2, load(2), load(3)) +
           concatenate("krow", "row", whole, "low", "high");
  } else {
    body = concatenate("krow", "row", whole, load(0), load(1));
  }
  return fmt::format(
      "INLINE krow k_stack({0}) {{\n{2}  return row;\n}}\n"
      "INLINE krow k_stack_raw({0}, krow flip) {{\n  {4}return k_stack({1}){5};\n}}\n"
      "INLINE void k_store_stack(uint8_t *y, int64_t pitch, k_range range, const kv *acc) {{\n"
      "  const kb{6} v = k_clamp{6}(k_bytes4(acc[0], acc[1], acc[2], acc[3], range), range);\n"
      "{3}}}\n",
      parameters, arguments, body, store, il.flips ? "" : "(void)flip;\n  ",
      il.flips ? " ^ flip" : "", whole);
}

}  // namespace kiln
