#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ops/isa.h"
#include "ops/workload.h"

namespace kiln {

// What a dot wants of its activations.
enum class DotInput : std::uint8_t { kWidened, kUnsignedBytes, kSignedBytes };

// This is an instruction set as the templates see it: a few numbers, and C source that gives every
// set the same vocabulary. A template writes C in these words and never mentions an instruction:
//
//   kv, kh                  `lanes` int32 accumulators; the same bits as words
//   k_splat(v)              the number v in all lanes
//   k_load(p), k_spill(p, v)
//                           a vector from p, the vector v to p; any alignment
//   kop                     operand of a dot: `lanes` groups of `group` values
//   k_dot(acc, a, w)        acc[l] += sum over the group of a[l][i] * w[l][i], exact, no saturation
//   k_words_dot(acc, a, w)  acc[l] += sum over two words of a[l] and w[l]; where `group` is above 1
//                           and not `multiplies_halves`
//   k_weights(p)            `weight_vector_bytes` bytes of packed weights
//   K_PLACE(lane, i, group) where value i of a lane's group lies among them
//   k_broadcast(p)          the `group` prepared activations at p, in every lane
//   k_broadcast_raw(p)      the same from bytes of x as they lie in memory
//   k_chunk(p), k_chunk_raw(p)
//                           the activations of `chunk_steps` steps, of which
//   K_LANE(chunk, i)        is k_broadcast of the i-th; only where `chunk_steps` is above 1
//   k_flip(v)               bytes of x in their prepared form; only where dots want bytes
//   k_prepare(d, x, n)      n bytes of x, in the prepared form, to d: a data stage
//   k_fill(d, v, n)         n times the prepared value v to d
//   k_load_n(p, n)          n bytes at p, zeros after them; only where there is `partial_load`
//   k_range                 what results are clamped to, lo and hi, and their zero point zp
//   k_requantize(acc, c)    accumulators (bias included) to results, in a form that only stores
//                           know how to read, with the constants c[kConstantVectors][lanes] that
//                           `pack` proved: requantize.h
//   k_store1/2/4(y, range, r...)
//                           results to bytes, saturated, clamped as the activation class demands,
//                           in LaneOfChannel's order of channels
//   k_store1/2/4_n(y, range, n, r...)
//                           the first n channels only
//   K_UNKNOWN(v)            v, but the compiler no longer knows its value
//   K_HIDE(p)               the pointer p, but the compiler no longer knows where it points
//
// Prepared activations: what the dot instruction wants to read. vpdpbusd: unsigned bytes (s8 with
// its top bit flipped, that is plus 128); sdot: signed bytes (u8 minus 128); pmaddwd and plain
// multiplication: sign- or zero-extended to 16 bits.
struct VectorIsa {
  std::string_view name;    // "avx512vnni": the second half of a template's name
  std::string_view method;  // "mull": where a name stands for several ways to multiply
  IsaMask required = 0;
  std::int32_t lanes = 8;             // int32 accumulators in a vector
  std::int32_t group = 1;             // values that one dot sums per lane
  std::int32_t registers = 16;        // vector registers
  std::int32_t activation_bytes = 1;  // per prepared activation
  std::int32_t weight_bytes = 1;      // per packed weight
  std::int32_t max_store_group = 4;   // vectors that one store can pack: 1, 2 or 4
  DotInput dot_input = DotInput::kWidened;
  // One load brings the activations of so many steps: K_LANE(k_chunk(p), i) is k_broadcast of the
  // i-th group after p, k_chunk_raw for bytes of x. 1: the set has no such words.
  std::int32_t chunk_steps = 1;
  bool rounds_per_instruction = false;   // a rounding mode can be part of an instruction
  bool fuses_multiply_add = false;       // one instruction, rounded once, to nearest
  bool multiplies_to_high_half = false;  // doubled and rounded, as the double rounding rule wants
  bool multiplies_halves = false;     // words by the half vector to int32: depthwise without dots
  std::int32_t lowest_weight = -128;  // that dots are exact for
  bool splits_groups = false;         // K_PLACE orders the bytes of packed weights
  // Packed weights are the difference to their zero point (it fits), so legacy uint8 costs nothing.
  // Otherwise they are w - 128, and w_zp - 128 times the sum of the activations is subtracted.
  bool subtracts_weight_zero_point = false;
  // The vocabulary in C; the stores come after the requantize form, whose results they read.
  std::string_view source, stores;
  // k_load_n(p, n): n bytes at p, zeros after them. For the few kernels that say they need it, and
  // only where one instruction picks any words of two such vectors.
  std::string_view partial_load;
  // What the compiler makes of k_dot, or the instruction that tells it from other ways to multiply.
  // Empty: whatever there is.
  std::string_view dot_instruction;

  std::int32_t vector_bytes() const { return lanes * 4; }
  std::int32_t weight_vector_bytes() const { return lanes * group * weight_bytes; }
};

// C of any architecture. The others: avx.h, neon.h; all of them: instruction_sets.h.
const VectorIsa& Portable();

// The C source that a kernel for `workload` begins with: types, vocabulary, its requantize form.
std::string Prelude(const VectorIsa& isa, const Workload& workload);

// What prepared activations are more than x: 128 or -128 where the top bit is flipped, else 0.
std::int32_t ActivationOffset(const VectorIsa& isa, const Workload& workload);

// A store of `group` vectors packs pairs within 128-bit blocks. Channel `c` of the group's lanes *
// group channels comes from this vector and lane:
//   block q = c / (4 * group), vector = c % (4 * group) / 4, lane = 4 * q + c % 4.
struct VectorLane {
  std::int32_t vector = 0, lane = 0;
};
VectorLane LaneOfChannel(std::int32_t channel, std::int32_t group);

}  // namespace kiln
