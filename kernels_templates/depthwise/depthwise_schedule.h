#pragma once

#include <array>
#include <cstdint>

#include "kernels_templates/features.h"
#include "kernels_templates/isa/interleave.h"
#include "kernels_templates/isa/vector_isa.h"
#include "ops/workload.h"

// Depthwise convolution over blocks of channels. A tile is tile_h x tile_w outputs of one block;
// all its taps are written out. Rows of activations are interleaved (isa/interleave.h), so that a
// dot sums several taps of every channel at once. Names:
//
//   block    the channels of `vectors` vectors: 64 for avx512vnni, 32 for avxvnni, 16 for avx2 and
//            Arm; the last one overlaps its neighbour. With at most half a block of channels,
//            `pixels` neighbouring pixels fill it ("flat"; stride 1 only)
//   tail     the channels that do not fill the last block. Instead of overlapping, the last block
//            may be narrow: so many channels (a half or a quarter of a block) of a stack of rows
//   stack    two or four rows of outputs; the last one overlaps its neighbour
//   tile     one round of the micro-kernel; the last one of a row or column overlaps its neighbour
//   window   the rows of input that a row of tiles needs
//   set      the weights of one dot: up to `group` taps of every channel of a block
//   stage    where work is done: the pad and vec stages before it, requantizing after. Their knobs
//            are compute_at knobs: at the tile, at the row of tiles, or once for all (root)
//
// More than one output per input channel (multiplier > 1) is the same computation over an image in
// which each channel is repeated; the pad stage writes it, so it cannot be inline then.
//
// Source: interleaving and its knobs, docs/kernels.md; the stages are those of TVM's depthwise
// schedules for ARM ("data_pad_inline", "data_vec_inline", "conv_inline"), 2018.

namespace kiln {

enum class PadStage : std::uint8_t { kInline, kRow, kRoot };  // row: a ring of padded rows
// shift: neighbouring blocks of pixels are interleaved, the columns between are shifted out of two.
enum class VecStage : std::uint8_t { kInline, kRow, kShift };
enum class ConvStage : std::uint8_t { kTile, kOutput, kRow };
// mixed: groups of rows as for vertical, but the row that is left over is taken along the columns.
// paired: 3x3 of stride 2, two columns are interleaved together.
enum class TapGroup : std::uint8_t { kVertical, kLinear, kMixed, kPaired };
enum class ChannelOrder : std::uint8_t { kInner, kOuter };
// slide: all vectors of a block in one walk; halves: two walks with half of the vectors each.
enum class RowLoop : std::uint8_t { kTile, kSlide, kHalves };
enum class TailForm : std::uint8_t { kOverlap, kRows };  // rows: a stack of rows fills the block
enum class WeightStage : std::uint8_t { kMemory, kRegisters };  // where dots take weights from

// What threads share out: rows of tiles (or stacks), or blocks, each with all of its rows.
enum class ThreadSplit : std::uint8_t { kRows, kBlocks };

struct DepthwiseKnobs {
  RowLoop loop = RowLoop::kTile;
  WeightStage weights = WeightStage::kMemory;
  std::int32_t tile_h = 1, tile_w = 4, pixels = 1;
  PadStage pad = PadStage::kRow;
  VecStage vec = VecStage::kInline;
  ConvStage conv = ConvStage::kTile;
  DepthwiseMethod method = DepthwiseMethod::kDot;
  TapGroup group = TapGroup::kVertical;
  ChannelOrder order = ChannelOrder::kInner;
  ThreadSplit split = ThreadSplit::kRows;
  TailForm tail = TailForm::kOverlap;
};

// Channels of the narrow block that a tail of `channels` can have; 0 if it has none.
std::int32_t NarrowBlock(std::int32_t channels, std::int32_t block);

// Kernels may have so many rows or columns (long ones of speech models have 31), and so many taps,
// which the code of a tile of one output has all written out.
inline constexpr std::int32_t kMaxKernel = 64, kMaxKernelTaps = 225;
inline constexpr std::int32_t kMaxTileH = 4, kMaxTileW = 16;
inline constexpr std::int32_t kMaxRows = kMaxTileH * kMaxKernel;
inline constexpr std::int32_t kMaxColumns = kMaxTileW * kMaxKernel;

// Columns of tiles whose code is the same, since the same of their columns lie in the image:
// `count` tiles side by side from tile `first`. Their outputs begin at column `output`, those of
// the next at `output` + the tile's width.
struct TileRun {
  std::int32_t first = 0, count = 0, output = 0;
  std::int32_t inside_begin = 0, inside_end = 0;  // of the tile's columns
};

// All the numbers of one schedule, made without allocation. Lowering prints them; features and
// constraints read them. Refers to the workload and the instruction set.
struct DepthwiseSchedule {
  DepthwiseSchedule(const Workload& workload, const VectorIsa& isa, const DepthwiseKnobs& knobs);

  const Workload& w;
  const VectorIsa& isa;
  DepthwiseKnobs k;
  Interleave il;

  // Blocks of channels.
  std::int32_t channels = 1;  // w.o: as the tiles see them
  std::int32_t blocks = 1;
  std::int32_t stored = 1;      // results of a block that are stored
  std::int32_t block_step = 1;  // channels from one block to the next
  // Tail rows: channels of the narrow block (0: none), rows of a stack, stacks of an image. The
  // chunk with a stack's last row computes it.
  std::int32_t tail_channels = 0, stack = 1, stacks = 0;
  std::int32_t whole_blocks() const { return tail_channels > 0 ? blocks - 1 : blocks; }
  std::int32_t stack_window() const { return (stack - 1) * w.stride_h + window; }
  // Tiles.
  std::int32_t tile_columns = 1;  // outputs: tile_w * pixels
  std::int32_t outputs = 1;       // stores of a tile: tile_h * tile_w
  std::int32_t tiles_h = 1, tiles_w = 1;
  std::int32_t row_chunks = 1, chunks = 1;  // of ThreadSplit::kRows, and of the split that k has
  // The padded image, as far as outputs read it, and the rows of it that one row of tiles reads.
  std::int32_t padded_h = 1, padded_w = 1, window = 1;
  std::int64_t row_bytes = 0;  // between padded rows of a pad stage
  // Rows of the window and columns of the tile that have a tap; in order. `groups` groups of rows.
  std::int32_t rows = 0, columns = 0, groups = 0;
  std::array<std::int16_t, kMaxRows> row{};
  std::array<std::int16_t, kMaxColumns> column{};
  // Vertical taps: the kernel rows that an output row has in a group of rows, slot by slot (-1:
  // none). Patterns are numbered; an output row without a tap in a group has pattern -1 there.
  using Pattern = std::array<std::int16_t, 4>;
  std::int32_t patterns = 0;
  std::array<Pattern, kMaxRows> pattern{};
  std::array<std::array<std::int16_t, kMaxTileH>, kMaxRows> pattern_of{};  // [group][output row]
  std::int32_t sets = 0;                                                   // of weights, per block
  std::int32_t tile_dots = 0;                                              // sets read by one tile
  std::int32_t live_outputs = 1;   // accumulators that are in use at a time, in blocks
  std::int32_t register_sets = 0;  // sliding: sets that stay in registers
  // Buffers, exact; parts in this order.
  std::int64_t constant_bytes = 0, block_bytes = 0, pad_row_bytes = 0, packed_bytes = 0,
               shared_bytes = 0;
  std::int64_t ring_bytes = 0, taps_bytes = 0, sums_bytes = 0, thread_bytes = 0;

  // The window row of slot i in a group; the last group may have fewer rows than slots (-1).
  std::int32_t RowOf(std::int32_t group, std::int32_t slot) const {
    const std::int32_t i = group * il.group + slot;
    return i < rows ? i : -1;
  }
  // The kernel column with which output column `tw` (in blocks) reads the tile's column `i`, or -1.
  std::int32_t TapColumn(std::int32_t i, std::int32_t tw) const;
  bool slides() const { return k.loop != RowLoop::kTile; }
  // Legacy weights are two numbers each, but few are further than a byte from the zero point: walks
  // of blocks without any take the first numbers alone; `pack` says which blocks those are.
  bool walks_narrow_weights() const { return slides() && il.planes > 1; }
  std::int32_t walk_planes() const { return walks_narrow_weights() ? 1 : il.planes; }
  std::int32_t TileStart(std::int32_t tile) const;  // first output column of a column of tiles
  bool pads_columns() const;                        // some tile reads left or right of the image
  bool pads_rows() const;
  // Tiles look at x themselves, so those at its edges have code of their own.
  bool tiles_read_x() const {
    return !slides() && k.pad == PadStage::kInline && k.vec == VecStage::kInline;
  }
  // The run that tile `first` begins. tiles_read_x() makes more than one.
  TileRun RunFrom(std::int32_t first) const;
  // Columns of the vec stage's rows, and of them those left of the image and in it (a pad stage
  // makes all columns of the image).
  std::int32_t taps_columns() const { return padded_w - k.pixels + 1; }
  std::int32_t taps_columns_left() const;
  std::int32_t taps_columns_inside() const;

  OpCounts Count() const;
  ScheduleSummary Summary() const;

 private:
  void PlaceRows();
  void PlaceColumns();
  void NumberPatterns();
  void CountLiveOutputs();
  void SizeBuffers();
  TileRun Inside(std::int32_t tile) const;
};

}  // namespace kiln
