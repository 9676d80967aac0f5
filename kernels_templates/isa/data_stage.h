#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace kiln {

// k_prepare and k_fill (vector_isa.h) in C, in the two forms that activations are staged in: bytes,
// flipped where K_FLIP says so, and values widened to 16 bits.
inline constexpr std::string_view kStageBytes =
    R"(INLINE void k_prepare(void *restrict d, const uint8_t *restrict x, int64_t n) {
  uint8_t *restrict to = d;
  for (int64_t i = 0; i < n; ++i) to[i] = x[i] ^ (K_FLIP ? 0x80 : 0);
}
INLINE void k_fill(void *d, int32_t value, int64_t n) { __builtin_memset(d, value, (__SIZE_TYPE__)n); }
)";
inline constexpr std::string_view kStageWords = R"(
INLINE void k_prepare(void *restrict d, const uint8_t *restrict x, int64_t n) {
  int16_t *restrict to = d;
  for (int64_t i = 0; i < n; ++i) to[i] = (K_BYTE)x[i];
}
INLINE void k_fill(void *d, int32_t value, int64_t n) {
  for (int64_t i = 0; i < n; ++i) ((int16_t *)d)[i] = (int16_t)value;
}
)";

// An instruction set's vocabulary out of its parts.
std::string Concatenate(std::initializer_list<std::string_view> parts);

}  // namespace kiln
