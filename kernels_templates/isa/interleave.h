#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels_templates/isa/vector_isa.h"
#include "ops/workload.h"

// What a depthwise convolution asks of an instruction set beside vector_isa.h. Neighbouring lanes
// are different channels, so a dot over several taps first has to bring the taps of one channel
// together: `group` rows of activations (a block of channels each, from any taps) are interleaved
// into `vectors` vectors, whose lanes then hold the `group` taps of their channel. The same operand
// serves every output that the tap belongs to. Source: the method of docs/kernels.md; instructions
// by Intel's SDM, names of the builtins by clang 19.
//
//   K_VECTORS, K_TAPS         vectors of a block, taps of a dot: Interleave's `vectors` and `group`
//   K_CONSTANTS               vectors of constants that each vector of a block has
//   K_WEIGHT_SET              bytes of a set: the weights of one dot of a block
//   krow                      one tap of a block of channels
//   k_row(p)                  from bytes that k_copy wrote
//   k_row_raw(p, flip)        from bytes of x; flip = k_row_splat(flip byte)
//   k_row_splat(v)            the prepared value v in all channels
//   k_copy(d, x, n, flip)     n bytes of x in the form that k_row reads
//   ktaps                     operand of a dot, one vector; K_VECTORS of them hold `group` taps of
//                             a block
//   k_interleave(t, r...)     `group` rows to the operands t
//   k_pair(p, a, b), k_interleave_pairs(t, p, q)
//                             the two steps of k_interleave of four rows: two rows to a krow_pair
//                             p[2], two of these to the operands t
//   k_start(acc, c)           the accumulators of a block from its constants
//   k_dots(acc, t, w)         acc += dots of the operands t with the set at w
//   k_taps_dot(acc, t, w)     the same for one vector and its part of the set; not with `halves`
//   k_requantize_block(acc, c), k_requantize_vector(acc, c, v)
//                             accumulators to results in place, of a block or of its vector v
//   k_store_block(y, range, acc), k_store_block_n(y, range, n, acc)
//                             all results of a block, or those of the first n channels
//   k_put_taps(p, t), k_get_taps(t, p), k_put_sums(p, acc), k_get_sums(acc, p)
//                             operands and accumulators to a buffer and from it
//   k_put_weight(set, vector, lane, i, w)
//                             pack: tap i of a channel, w - w_zp, into the set's weights
//
// The order of channels in vectors and lanes is LaneOfChannel's for a group of K_VECTORS.

namespace kiln {

// dot: the instruction set's dot of narrow values, never widened further than it demands.
// widen: to the next wider type, the method of most libraries. Not every instruction set has both.
enum class DepthwiseMethod : std::uint8_t { kDot, kWiden };

struct Interleave {
  std::int32_t group = 1;    // taps per dot
  std::int32_t vectors = 1;  // of a block
  std::int32_t lanes = 8;
  bool halves = false;            // a vector of words is multiplied half by half, one tap at a time
  std::int32_t weight_bytes = 1;  // of one tap of one channel
  // A tap's weight is the sum of so many numbers, each with a dot of its own: w - w_zp of legacy
  // uint8 needs 9 bits.
  std::int32_t planes = 1;
  // Prepared activations are x ^ flip, `flip` a byte of the header of packed: 0x80 for s8. Legacy
  // uint8: 0xff, with weights negated, if w_zp is 0 (two planes reach from -256 to 254, but
  // w - w_zp may be 255 then), else 0.
  bool flips = false;
  double row_shuffles = 0;  // instructions beside the load of k_row_raw, and of k_row
  double stored_row_shuffles = 0;
  double interleave_shuffles = 0;  // instructions of k_interleave

  std::int32_t channels() const { return lanes * vectors; }
  // Of K_VECTORS operands or accumulators.
  std::int32_t taps_bytes() const { return lanes * vectors * 4; }
  std::int32_t weight_set_bytes() const { return planes * lanes * vectors * group * weight_bytes; }
};

// Nothing if the instruction set does not have the method.
std::optional<Interleave> FindInterleave(const VectorIsa& isa, const Workload& workload,
                                         DepthwiseMethod method);

// The vocabulary above, to follow Prelude(isa, workload).
std::string InterleaveSource(const VectorIsa& isa, const Workload& workload,
                             DepthwiseMethod method);

// For vectors that hold a part of the channels of `rows` (2 or 4) rows, each BLOCK / rows bytes;
// groups of 4 only. To follow the vocabulary:
//
//   k_stack(p0, p1...), k_stack_raw(p0, p1..., flip)   krow of those parts, like k_row, k_row_raw
//   k_store_stack(y, pitch, range, acc)                k_store_block to rows `pitch` bytes apart
std::string StackSource(const Interleave& interleave, std::int32_t rows);

}  // namespace kiln
