#pragma once

#include <array>
#include <cstdint>

#include "kernels_templates/features.h"
#include "kernels_templates/isa/vector_isa.h"
#include "kernels_templates/loop_program.h"
#include "ops/workload.h"

// Convolution and dense as a "row-segment GEMM". In NHWC one kernel row of a pixel is KW * C
// contiguous values, so a convolution is KH segments read in place at compile-time displacements; a
// 1x1 convolution and a dense layer are one segment. A micro-kernel keeps tile_h x tile_w pixels by
// tile_c vectors of output channels in registers; every step loads tile_c weight vectors once and
// broadcasts `group` activations per pixel.
//
//   panel   tile_c vectors of output channels with their constants and weights, contiguous in
//           `packed`
//   tile    one call of the micro-kernel; the last one of a row or column overlaps its neighbour
//   block   `block` tiles side by side: the grain of work of a chunk
//   stage   where activations are prepared (padded, widened): not at all, per block, or once for
//           the image
//
// Taps in the padding can be skipped instead of summed (BorderForm): a bias is folded per class of
// row and column, as an output's zero points are those of the taps it has.
//
// Background: Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", TOMS
// 2008; the schedule space follows docs/kernels.md.

namespace kiln {

enum class GemmOrder : std::uint8_t { kBlockPanelTile, kBlockTilePanel, kPanelBlockTile };
enum class DataStage : std::uint8_t { kRaw, kBlock, kRoot };
enum class RequantizeAt : std::uint8_t { kTile, kRow };
enum class StoreForm : std::uint8_t { kPacked, kNatural };
// kSummed: padding is data like any other. kSkipped: kernel rows outside of the image are left out,
// and where one tile is a whole row of outputs, so are taps left and right of it.
enum class BorderForm : std::uint8_t { kSummed, kSkipped };

struct GemmKnobs {
  std::int32_t tile_h = 1, tile_w = 4, tile_c = 2;
  std::int32_t unroll_k = 1;
  std::int32_t block = 0;  // tiles; 0: a whole row of them
  GemmOrder order = GemmOrder::kBlockPanelTile;
  DataStage stage = DataStage::kBlock;
  RequantizeAt requantize = RequantizeAt::kTile;
  StoreForm store = StoreForm::kPacked;
  BorderForm border = BorderForm::kSummed;
};

// How outputs along one axis of the image see their kernel's taps.
struct TapAxis {
  std::int32_t in = 1, out = 1, kernel = 1, stride = 1, dilation = 1, pad = 0;

  // The taps [Begin, End) of an output that lie inside of the image.
  std::int32_t Begin(std::int32_t output) const;
  std::int32_t End(std::int32_t output) const;
};

// The outputs of an axis by their taps inside of the image: those with the same are a class.
struct TapClasses {
  static constexpr std::int32_t kMost = 16;
  TapAxis axis;
  std::int32_t count = 0;  // kMost + 1: there are more than can be told apart
  std::array<std::int32_t, kMost> begin{}, end{};  // of a class's taps
  std::int32_t taps = 0;                           // inside, over all outputs

  TapClasses() = default;
  explicit TapClasses(const TapAxis& axis);
  std::int32_t Of(std::int32_t output) const;  // -1: of none
  std::int32_t UsedTaps() const;               // that are inside for some output
};

// All the numbers of one schedule. Lowering prints them; features and constraints read them.
struct GemmSchedule {
  GemmSchedule(const Workload& workload, const VectorIsa& isa, const GemmKnobs& knobs);

  const Workload& w;
  const VectorIsa& isa;
  GemmKnobs k;

  // Output pixels. flat: a 1x1 stride-1 convolution without padding is one long row.
  bool flat = false;
  std::int32_t images = 1, out_h = 1, out_w = 1;
  std::int32_t in_h = 1, in_w = 1;  // as the tiles see x
  // Channels of one group.
  std::int32_t group_in = 1, group_out = 1;
  // Segments: contiguous values of a kernel row (or of one tap, if taps are not adjacent).
  std::int32_t segments_w = 1, segment_values = 1, steps = 1;  // steps: dots per segment
  std::int32_t all_steps() const { return w.kh * segments_w * steps; }
  // Of `count` steps that are written out one after the other, those that take their activations
  // out of chunks.
  std::int32_t StepsInChunks(std::int32_t count) const {
    return isa.chunk_steps > 1 ? count / isa.chunk_steps * isa.chunk_steps : 0;
  }
  // Prepared rows of a stage. A kernel of one row (column) skips the rows (columns) that no output
  // reads.
  std::int32_t step_h = 1, step_w = 1, tap_h = 1, tap_w = 1;
  std::int32_t staged_rows = 1;  // of a block (kBlock) or an image (kRoot)
  std::int32_t StagedColumns(std::int32_t outputs) const {
    return (outputs - 1) * step_w + (w.kw - 1) * tap_w + 1;
  }
  std::int64_t row_pitch = 0, pixel_pitch = 0;  // bytes between rows and columns that a tile reads
  // Tiles.
  std::int32_t tiles_h = 1, tiles_w = 1, blocks = 1, block_tiles = 1, block_columns = 1;
  std::int32_t chunks = 1;
  // Panels of one group: full ones, and perhaps a last one of fewer channels.
  std::int32_t full_panels = 1, tail_channels = 0, tail_vectors = 0;
  std::int32_t panels() const { return full_panels + (tail_channels > 0); }
  std::int64_t panel_bytes = 0, tail_bytes = 0, group_bytes = 0;
  // BorderForm::kSkipped; otherwise every output is of one class, with all taps.
  bool skips_rows = false, skips_columns = false;
  TapClasses row_classes, column_classes;
  // Bias vectors of a panel's vector, one per pair of classes. They come after the constants.
  std::int32_t biases() const { return skips_rows ? row_classes.count * column_classes.count : 0; }
  // Legacy uint8: sums of the activations of each pixel, times the weight zero point.
  bool sums = false;
  // Buffers, exact.
  std::int64_t packed_bytes = 0, shared_bytes = 0, thread_bytes = 0;
  std::int64_t stage_bytes = 0, sums_bytes = 0,
               row_buffer_bytes = 0;  // parts of thread_bytes, in this order

  std::int32_t SegmentStepsInChunks() const;
  std::int64_t PanelBytes(std::int32_t vectors) const;
  OpCounts Count() const;
  ScheduleSummary Summary() const;
};

// Whether the schedule is legal at all: what the constraints of a space are made of.
bool StageIsLegal(const Workload& workload, const VectorIsa& isa, DataStage stage, GemmOrder order,
                  BorderForm border);
// Whether taps of the border can be skipped with these tiles and that stage, and are any.
bool SkippingIsLegal(const Workload& workload, const VectorIsa& isa, const GemmKnobs& knobs);

LoopProgram LowerRowGemm(const GemmSchedule& schedule);

}  // namespace kiln
