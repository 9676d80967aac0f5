#include "kernels_templates/depthwise/depthwise_schedule.h"

#include <algorithm>

#include "kernels_templates/depthwise/depthwise_slide.h"
#include "kernels_templates/isa/requantize.h"

namespace kiln {
namespace {

std::int64_t RoundUp64(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }
std::int32_t CeilDiv(std::int32_t a, std::int32_t b) { return (a + b - 1) / b; }

}  // namespace

std::int32_t NarrowBlock(std::int32_t channels, std::int32_t block) {
  const std::int32_t tail = channels % block;
  if (channels < block || tail == 0 || tail > block / 2) return 0;
  return tail <= block / 4 ? block / 4 : block / 2;
}

DepthwiseSchedule::DepthwiseSchedule(const Workload& workload, const VectorIsa& vector_isa,
                                     const DepthwiseKnobs& knobs)
    : w(workload),
      isa(vector_isa),
      k(knobs),
      il(FindInterleave(vector_isa, workload, knobs.method).value_or(Interleave{})) {
  channels = w.o;
  const std::int32_t block = il.channels();
  const bool whole = channels >= block;
  blocks = whole ? CeilDiv(channels, block) : 1;
  stored = whole ? block : k.pixels * channels;
  block_step = block;
  tile_columns = k.tile_w * k.pixels;
  outputs = k.tile_h * k.tile_w;
  tiles_h = CeilDiv(w.out_h(), k.tile_h);
  tiles_w = CeilDiv(w.out_w(), tile_columns);
  if (k.tail == TailForm::kRows) tail_channels = NarrowBlock(channels, block);
  if (tail_channels > 0) {
    stack = block / tail_channels;
    stacks = CeilDiv(w.out_h(), stack);
  }
  row_chunks = w.n * tiles_h;
  chunks = k.split == ThreadSplit::kBlocks ? blocks : row_chunks;
  padded_h = (w.out_h() - 1) * w.stride_h + (w.kh - 1) * w.dilation_h + 1;
  padded_w = (w.out_w() - 1) * w.stride_w + (w.kw - 1) * w.dilation_w + 1;
  window = (k.tile_h - 1) * w.stride_h + (w.kh - 1) * w.dilation_h + 1;
  PlaceRows();
  PlaceColumns();
  NumberPatterns();
  CountLiveOutputs();
  if (slides()) register_sets = RegisterSets(*this, walk_planes());
  SizeBuffers();
}

void DepthwiseSchedule::PlaceRows() {
  for (std::int32_t th = 0; th < k.tile_h; ++th) {
    for (std::int32_t ky = 0; ky < w.kh; ++ky) {
      row[static_cast<std::size_t>(rows++)] =
          static_cast<std::int16_t>(th * w.stride_h + ky * w.dilation_h);
    }
  }
  std::sort(row.begin(), row.begin() + rows);
  rows = static_cast<std::int32_t>(std::unique(row.begin(), row.begin() + rows) - row.begin());
  groups = k.group == TapGroup::kMixed ? rows / il.group : CeilDiv(rows, il.group);
}

void DepthwiseSchedule::PlaceColumns() {
  for (std::int32_t tw = 0; tw < k.tile_w; ++tw) {
    for (std::int32_t kx = 0; kx < w.kw; ++kx) {
      column[static_cast<std::size_t>(columns++)] =
          static_cast<std::int16_t>(tw * k.pixels * w.stride_w + kx * w.dilation_w);
    }
  }
  std::sort(column.begin(), column.begin() + columns);
  columns = static_cast<std::int32_t>(std::unique(column.begin(), column.begin() + columns) -
                                      column.begin());
}

void DepthwiseSchedule::NumberPatterns() {
  if (k.group == TapGroup::kLinear) {
    sets = CeilDiv(w.kh * w.kw, il.group);
    tile_dots = outputs * sets;
    return;
  }
  for (std::int32_t g = 0; g < groups; ++g) {
    for (std::int32_t th = 0; th < k.tile_h; ++th) {
      Pattern p{-1, -1, -1, -1};
      bool any = false;
      for (std::int32_t slot = 0; slot < il.group && RowOf(g, slot) >= 0; ++slot) {
        const std::int32_t below = row[static_cast<std::size_t>(RowOf(g, slot))] - th * w.stride_h;
        if (below < 0 || below % w.dilation_h != 0 || below / w.dilation_h >= w.kh) continue;
        p[static_cast<std::size_t>(slot)] = static_cast<std::int16_t>(below / w.dilation_h);
        any = true;
      }
      std::int16_t& number = pattern_of[static_cast<std::size_t>(g)][static_cast<std::size_t>(th)];
      number = -1;
      if (!any) continue;
      const auto end = pattern.begin() + patterns;
      const auto known = std::find(pattern.begin(), end, p);
      number = static_cast<std::int16_t>(known - pattern.begin());
      if (known == end) pattern[static_cast<std::size_t>(patterns++)] = p;
      tile_dots += k.tile_w * w.kw;
    }
  }
  sets = patterns * w.kw;
  if (k.group == TapGroup::kMixed) sets += HorizontalSets(w);
  if (slides()) tile_dots = sets;
}

void DepthwiseSchedule::CountLiveOutputs() {
  live_outputs = outputs;
  const std::int32_t reach = (w.kw - 1) * w.dilation_w, step = k.pixels * w.stride_w;
  if (slides()) {
    live_outputs = std::min(tiles_w, std::max(1, CeilDiv(reach, step)));
    return;
  }
  if (k.conv == ConvStage::kTile) return;
  if (k.group == TapGroup::kLinear) {
    live_outputs = 1;
    return;
  }
  // Output column tw is in use from its first column to its last.
  live_outputs = k.tile_h * std::min(k.tile_w, reach / step + 1);
}

void DepthwiseSchedule::SizeBuffers() {
  const std::int32_t block = il.channels();
  constant_bytes = std::int64_t{il.taps_bytes()} * kConstantVectors;
  const std::int64_t mark = walks_narrow_weights() ? 4 : 0;
  block_bytes = RoundUp64(constant_bytes + std::int64_t{sets} * il.weight_set_bytes() + mark);
  if (k.pad == PadStage::kInline && pads_rows())
    pad_row_bytes = RoundUp64(std::int64_t{w.w} * channels);
  packed_bytes = 64 + pad_row_bytes + blocks * block_bytes;
  // A walk reads whole blocks of pixels, up to the one after the last column.
  const std::int32_t past = slides() && k.pixels > 1 ? 2 * k.pixels : 0;
  row_bytes = RoundUp64(std::max(std::int64_t{padded_w} * channels,
                                 std::int64_t{padded_w - k.pixels + past} * channels + block));
  if (k.pad == PadStage::kRoot) shared_bytes = row_bytes * padded_h * w.n;
  if (k.pad == PadStage::kRow) ring_bytes = row_bytes * window;
  const std::int64_t together = k.order == ChannelOrder::kInner ? blocks : 1;
  if (k.vec == VecStage::kRow)
    taps_bytes = RoundUp64(together * taps_columns() * groups * il.taps_bytes());
  if (k.conv == ConvStage::kRow)
    sums_bytes = RoundUp64(together * tiles_w * outputs * il.taps_bytes());
  if (k.loop == RowLoop::kHalves)
    sums_bytes = RoundUp64(std::int64_t{tiles_w} * il.taps_bytes() / 2);
  thread_bytes = ring_bytes + taps_bytes + sums_bytes;
}

std::int32_t DepthwiseSchedule::TapColumn(std::int32_t i, std::int32_t tw) const {
  const std::int32_t right = column[static_cast<std::size_t>(i)] - tw * k.pixels * w.stride_w;
  if (right < 0 || right % w.dilation_w != 0 || right / w.dilation_w >= w.kw) return -1;
  return right / w.dilation_w;
}

std::int32_t DepthwiseSchedule::TileStart(std::int32_t tile) const {
  return std::max(0, std::min(tile * tile_columns, w.out_w() - tile_columns));
}

bool DepthwiseSchedule::pads_columns() const {
  return w.pad_left > 0 || padded_w - w.pad_left > w.w;
}
bool DepthwiseSchedule::pads_rows() const { return w.pad_top > 0 || padded_h - w.pad_top > w.h; }

std::int32_t DepthwiseSchedule::taps_columns_left() const {
  return k.pad == PadStage::kInline ? std::min(w.pad_left, taps_columns()) : 0;
}
std::int32_t DepthwiseSchedule::taps_columns_inside() const {
  const std::int32_t columns_left = taps_columns() - taps_columns_left();
  return k.pad == PadStage::kInline ? std::min(w.w, columns_left) : columns_left;
}

TileRun DepthwiseSchedule::Inside(std::int32_t tile) const {
  TileRun run{tile, 1, TileStart(tile), 0, columns};
  if (!tiles_read_x()) return run;
  const std::int32_t left = run.output * w.stride_w - w.pad_left;
  const auto at = [&](std::int32_t i) { return left + column[static_cast<std::size_t>(i)]; };
  while (run.inside_begin < columns && at(run.inside_begin) < 0) ++run.inside_begin;
  while (run.inside_end > run.inside_begin && at(run.inside_end - 1) >= w.w) --run.inside_end;
  if (run.inside_begin == run.inside_end) run.inside_begin = run.inside_end = 0;
  return run;
}

TileRun DepthwiseSchedule::RunFrom(std::int32_t first) const {
  TileRun run = Inside(first);
  for (std::int32_t tile = first + 1; tile < tiles_w; ++tile) {
    const TileRun next = Inside(tile);
    if (next.output != run.output + run.count * tile_columns ||
        next.inside_begin != run.inside_begin || next.inside_end != run.inside_end) {
      break;
    }
    ++run.count;
  }
  return run;
}

OpCounts DepthwiseSchedule::Count() const {
  const double vectors = il.vectors, row_tiles = row_chunks;
  const bool raw = k.pad == PadStage::kInline;
  const double row_shuffles = raw ? il.row_shuffles : il.stored_row_shuffles;
  const double operand_shuffles = rows * row_shuffles + groups * il.interleave_shuffles;

  OpCounts pad;
  pad.copies = CeilDiv(padded_w * channels, isa.vector_bytes());
  OpCounts sum;
  if (k.pad == PadStage::kRoot) sum += pad * (double{1} * w.n * padded_h);
  if (k.pad == PadStage::kRow) {
    // The ring keeps the rows that two windows share.
    const std::int32_t last = (w.out_h() - k.tile_h - (tiles_h - 2) * k.tile_h) * w.stride_h;
    const std::int32_t step = std::min(window, k.tile_h * w.stride_h);
    const std::int32_t filled =
        window + (tiles_h > 1 ? (tiles_h - 2) * step + std::min(window, last) : 0);
    sum += pad * (double{1} * w.n * filled);
  }
  if (k.vec == VecStage::kRow) {
    OpCounts stage;
    stage.loads = double{1} * taps_columns_inside() * rows;
    stage.shuffles = taps_columns_inside() * operand_shuffles;
    stage.copies = taps_columns() * groups * vectors;
    sum += stage * (row_tiles * blocks);
  }
  if (slides()) {
    sum += SlideWalk(*this, 1).Count();
    if (stack > 1) sum += SlideWalk(*this, stack).Count();
    return sum;
  }

  OpCounts tile;
  tile.calls = 1;
  tile.dots = tile_dots * vectors * il.planes;
  tile.loads = tile.dots + outputs * vectors;  // weights, bias
  OpCounts finish;
  finish.requantizes = outputs * vectors;
  finish.stores = outputs;
  if (k.conv == ConvStage::kRow) {
    tile.stores += outputs * vectors;
    finish.loads += outputs * vectors;
    finish.calls += 1;
  }
  tile += finish;
  if (k.vec == VecStage::kRow) tile.loads += double{1} * columns * groups * vectors;
  for (std::int32_t first = 0; first < tiles_w;) {
    const TileRun run = RunFrom(first);
    first += run.count;
    OpCounts each = tile;
    const std::int32_t inside = run.inside_end - run.inside_begin;
    if (k.vec == VecStage::kInline && k.group == TapGroup::kVertical) {
      each.loads += double{1} * inside * rows;
      each.shuffles += inside * operand_shuffles;
    } else if (k.vec == VecStage::kInline) {
      std::int32_t taps = 0;
      for (std::int32_t tw = 0; tw < k.tile_w; ++tw) {
        for (std::int32_t i = run.inside_begin; i < run.inside_end; ++i)
          taps += TapColumn(i, tw) >= 0;
      }
      const double loads = double{1} * taps * w.kh * k.tile_h;
      each.loads += loads;
      each.shuffles += loads * row_shuffles + outputs * sets * il.interleave_shuffles;
    }
    sum += each * (row_tiles * blocks * run.count);
  }
  return sum;
}

ScheduleSummary DepthwiseSchedule::Summary() const {
  ScheduleSummary s;
  s.counts = Count();
  s.requantize_instructions = RequantizeInstructions(isa, w);
  s.lanes = il.lanes;
  s.group = il.group;
  s.tile_h = k.tile_h;
  s.tile_w = tile_columns;
  s.tile_c = il.vectors;
  s.unroll = tile_dots;
  s.accumulators = live_outputs * il.vectors;
  s.registers = isa.registers;
  s.computed_outputs = double{1} * w.n * (tiles_w * k.tile_w) * il.channels() *
                       (double{1} * tiles_h * k.tile_h * whole_blocks() + stacks);
  // Channels inside: all weights pass between two tiles; outside: a block's stay, and its part of
  // the window passes.
  const bool inner = k.order == ChannelOrder::kInner;
  s.panel_bytes = static_cast<double>(block_bytes) * (inner ? blocks : 1);
  s.block_bytes =
      double{1} * window * padded_w * (inner ? channels : std::min(channels, il.channels()));
  s.packed_bytes = static_cast<double>(packed_bytes);
  s.workspace_bytes = static_cast<double>(shared_bytes + thread_bytes);
  s.chunks = chunks;
  s.phases = k.pad == PadStage::kRoot ? 2 : 1;
  s.order = static_cast<double>(k.order);
  s.data_stage = static_cast<double>(k.pad);
  s.vector_stage = static_cast<double>(k.vec);
  s.requantize_stage = static_cast<double>(k.conv);
  s.method = static_cast<double>(k.method);
  return s;
}

}  // namespace kiln
