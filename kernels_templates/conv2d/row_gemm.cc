#include "kernels_templates/conv2d/row_gemm.h"

#include <algorithm>

#include "kernels_templates/isa/requantize.h"

namespace kiln {
namespace {

constexpr std::int32_t kHeaderBytes = 64;
constexpr std::int32_t kSlack =
    64;  // a step may read past the last value of a stage; weights there are zero

std::int32_t CeilDiv(std::int32_t a, std::int32_t b) { return (a + b - 1) / b; }
std::int64_t RoundUp(std::int64_t a, std::int64_t b) { return (a + b - 1) / b * b; }

bool HasPadding(const Workload& w) {
  return w.pad_top > 0 || w.pad_left > 0 || w.pad_bottom > 0 || w.pad_right > 0;
}

bool IsFlat(const Workload& w) {
  return w.op == OpKind::kDense ||
         (w.kh == 1 && w.kw == 1 && w.stride_h == 1 && w.stride_w == 1 && !HasPadding(w));
}

std::int32_t SegmentValues(const Workload& w) {
  return w.groups == 1 && w.dilation_w == 1 ? w.kw * w.c : w.c / w.groups;
}

bool NeedsSums(const Workload& w, const VectorIsa& isa) {
  return w.weight_zero_point && !isa.subtracts_weight_zero_point;
}

// Stores that a panel of so many vectors takes per pixel: as wide as the form allows.
std::int32_t StoresPerPixel(const GemmSchedule& s, std::int32_t vectors) {
  if (s.k.store == StoreForm::kNatural) return vectors;
  std::int32_t stores = 0;
  for (std::int32_t width = s.isa.max_store_group; width > 0; width /= 2) {
    stores += vectors / width;
    vectors %= width;
  }
  return stores;
}

}  // namespace

std::int32_t TapAxis::Begin(std::int32_t output) const {
  const std::int32_t before = pad - output * stride;
  return before > 0 ? CeilDiv(before, dilation) : 0;
}

std::int32_t TapAxis::End(std::int32_t output) const {
  const std::int32_t last = in - 1 + pad - output * stride;
  return last < 0 ? Begin(output) : std::max(Begin(output), std::min(kernel, last / dilation + 1));
}

TapClasses::TapClasses(const TapAxis& of_axis) : axis(of_axis) {
  for (std::int32_t i = 0; i < axis.out; ++i) {
    taps += axis.End(i) - axis.Begin(i);
    if (Of(i) >= 0) continue;
    if (count == kMost) {
      count = kMost + 1;
      return;
    }
    begin[static_cast<std::size_t>(count)] = axis.Begin(i);
    end[static_cast<std::size_t>(count++)] = axis.End(i);
  }
}

std::int32_t TapClasses::UsedTaps() const {
  std::int32_t used = 0;
  for (std::int32_t tap = 0; tap < axis.kernel; ++tap) {
    bool any = false;
    for (std::int32_t i = 0; i < std::min(count, kMost); ++i) {
      const auto at = static_cast<std::size_t>(i);
      any = any || (tap >= begin[at] && tap < end[at]);
    }
    used += any;
  }
  return used;
}

std::int32_t TapClasses::Of(std::int32_t output) const {
  for (std::int32_t i = 0; i < std::min(count, kMost); ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (begin[at] == axis.Begin(output) && end[at] == axis.End(output)) return i;
  }
  return -1;
}

GemmSchedule::GemmSchedule(const Workload& workload, const VectorIsa& vector_isa,
                           const GemmKnobs& knobs)
    : w(workload), isa(vector_isa), k(knobs) {
  flat = IsFlat(w);
  images = flat ? 1 : w.n;
  in_h = flat ? 1 : w.h;
  in_w = flat ? w.n * w.h * w.w : w.w;
  out_h = flat ? 1 : w.out_h();
  out_w = flat ? in_w : w.out_w();
  group_in = w.c / w.groups;
  group_out = w.o / w.groups;

  k.tile_h = std::min(k.tile_h, out_h);
  k.tile_w = std::min(k.tile_w, out_w);
  skips_rows = k.border == BorderForm::kSkipped;
  skips_columns = skips_rows && k.tile_w == out_w && (w.pad_left > 0 || w.pad_right > 0);
  segment_values = skips_columns ? group_in : SegmentValues(w);
  segments_w = segment_values == w.kw * group_in ? 1 : w.kw;
  if (skips_rows) {
    row_classes = TapClasses({w.h, out_h, w.kh, w.stride_h, w.dilation_h, w.pad_top});
    column_classes = skips_columns
                         ? TapClasses({w.w, out_w, w.kw, w.stride_w, w.dilation_w, w.pad_left})
                         : TapClasses({segments_w, 1, segments_w, 1, 1, 0});  // one, with all
  }
  steps = CeilDiv(segment_values, isa.group);

  const std::int32_t value_bytes = k.stage == DataStage::kRaw ? 1 : isa.activation_bytes;
  const bool skip = k.stage != DataStage::kRaw;
  step_h = skip && w.kh == 1 ? 1 : w.stride_h;
  step_w = skip && w.kw == 1 ? 1 : w.stride_w;
  tap_h = w.dilation_h;
  tap_w = w.dilation_w;

  tiles_h = CeilDiv(out_h, k.tile_h);
  tiles_w = CeilDiv(out_w, k.tile_w);
  block_tiles = k.block == 0 ? tiles_w : std::min(k.block, tiles_w);
  blocks = CeilDiv(tiles_w, block_tiles);
  // A block that ends with the overlapping last tile still starts at its own first tile.
  block_columns = std::min(block_tiles * k.tile_w, out_w);

  const std::int32_t columns = k.stage == DataStage::kRaw    ? in_w
                               : k.stage == DataStage::kRoot ? StagedColumns(out_w)
                                                             : StagedColumns(block_columns);
  pixel_pitch = std::int64_t{w.c} * value_bytes;
  row_pitch = columns * pixel_pitch;
  const std::int32_t rows = k.stage == DataStage::kRoot ? out_h : k.tile_h;
  staged_rows = (rows - 1) * step_h + (w.kh - 1) * tap_h + 1;

  full_panels = group_out / (k.tile_c * isa.lanes);
  tail_channels = group_out % (k.tile_c * isa.lanes);
  tail_vectors = CeilDiv(tail_channels, isa.lanes);
  panel_bytes = PanelBytes(k.tile_c);
  tail_bytes = tail_channels > 0 ? PanelBytes(tail_vectors) : 0;
  group_bytes = full_panels * panel_bytes + tail_bytes;
  packed_bytes = kHeaderBytes + w.groups * group_bytes;

  sums = NeedsSums(w, isa);
  if (k.stage == DataStage::kRoot)
    shared_bytes = RoundUp(std::int64_t{images} * staged_rows * row_pitch + kSlack, 64);
  if (k.stage == DataStage::kBlock) stage_bytes = RoundUp(staged_rows * row_pitch + kSlack, 64);
  if (sums) sums_bytes = RoundUp(std::int64_t{4} * k.tile_h * block_columns, 64);
  if (k.requantize == RequantizeAt::kRow) {
    row_buffer_bytes = std::int64_t{k.tile_h} * block_columns * k.tile_c * isa.vector_bytes();
  }
  thread_bytes = stage_bytes + sums_bytes + row_buffer_bytes;
  chunks = k.order == GemmOrder::kPanelBlockTile ? w.groups * panels() : images * tiles_h * blocks;
}

std::int32_t GemmSchedule::SegmentStepsInChunks() const {
  const std::int32_t unroll = std::min(k.unroll_k, steps);
  return steps / unroll * StepsInChunks(unroll) + StepsInChunks(steps % unroll);
}

std::int64_t GemmSchedule::PanelBytes(std::int32_t vectors) const {
  return std::int64_t{vectors} * (std::int64_t{kConstantVectors + biases()} * isa.vector_bytes() +
                                  std::int64_t{all_steps()} * isa.weight_vector_bytes());
}

OpCounts GemmSchedule::Count() const {
  const double tile_calls = double(images) * tiles_h * tiles_w * w.groups;
  const double pixels = double(k.tile_h) * k.tile_w;
  const double widens =
      k.stage == DataStage::kRaw && (isa.activation_bytes > 1 || ActivationOffset(isa, w) != 0);
  OpCounts sum;
  // Kernel rows of a tile on average, and steps of one of them; pixels of a step.
  const double rows = skips_rows ? double(row_classes.taps) / out_h : w.kh;
  const double row_steps = double(segments_w) * steps;
  const double used_segments = skips_columns ? column_classes.UsedTaps() : segments_w;
  const double step_pixels = skips_columns ? double(column_classes.taps) / w.kw : pixels;
  const auto add_panels = [&](double panels_of_kind, std::int32_t vectors) {
    const double calls = tile_calls * panels_of_kind;
    OpCounts one;
    one.dots = rows * row_steps * step_pixels * vectors;
    one.loads = rows * used_segments * steps * vectors;
    one.loads += (1 + RequantizeConstants(isa, w)) * vectors;  // the bias, and those of the form
    if (skips_rows) one.loads += (column_classes.count - 1) * vectors;
    const double chunk_loads = double(SegmentStepsInChunks()) / isa.chunk_steps / steps;
    const double broadcasts = double(steps - SegmentStepsInChunks()) / steps;
    one.loads += rows * row_steps * step_pixels * chunk_loads;
    one.broadcasts = rows * row_steps * step_pixels * broadcasts;
    one.shuffles = widens * rows * row_steps * step_pixels * (chunk_loads + broadcasts);
    one.requantizes = pixels * vectors;
    one.stores = pixels * StoresPerPixel(*this, vectors);
    one.calls = 1;
    if (k.requantize == RequantizeAt::kRow) {
      one.loads += pixels * vectors;
      one.stores += pixels * vectors;
    }
    sum += one * calls;
  };
  add_panels(full_panels, k.tile_c);
  if (tail_channels > 0) add_panels(1, tail_vectors);

  const double vector = isa.vector_bytes();
  if (k.stage == DataStage::kRoot)
    sum.copies += double(images) * staged_rows * double(row_pitch) / vector;
  if (k.stage == DataStage::kBlock) {
    sum.copies += double(images) * tiles_h * blocks * staged_rows * double(row_pitch) / vector;
  }
  if (sums) {
    sum.copies += double(images) * tiles_h * blocks * w.groups * k.tile_h * block_columns *
                  std::int64_t{w.kh} * segments_w * segment_values / vector;
  }
  return sum;
}

ScheduleSummary GemmSchedule::Summary() const {
  ScheduleSummary s;
  s.counts = Count();
  s.requantize_instructions = RequantizeInstructions(isa, w);
  s.lanes = isa.lanes;
  s.group = isa.group;
  s.tile_h = k.tile_h;
  s.tile_w = k.tile_w;
  s.tile_c = k.tile_c;
  s.unroll = k.unroll_k;
  s.accumulators = double(k.tile_h) * k.tile_w * k.tile_c;
  s.registers = isa.registers;
  s.computed_outputs = double(images) * tiles_h * k.tile_h * tiles_w * k.tile_w * w.groups *
                       (full_panels * k.tile_c + tail_vectors) * isa.lanes;
  s.panel_bytes = double(panel_bytes);
  s.block_bytes = double((k.tile_h - 1) * step_h + (w.kh - 1) * tap_h + 1) *
                  StagedColumns(block_columns) * double(pixel_pitch);
  s.packed_bytes = double(packed_bytes);
  s.workspace_bytes = double(shared_bytes + thread_bytes);
  s.chunks = chunks;
  s.phases = k.stage == DataStage::kRoot ? 2 : 1;
  s.order = static_cast<double>(k.order);
  s.data_stage = static_cast<double>(k.stage);
  s.requantize_stage = static_cast<double>(k.requantize);
  s.store = static_cast<double>(k.store);
  return s;
}

bool SkippingIsLegal(const Workload& w, const VectorIsa& isa, const GemmKnobs& knobs) {
  if (!HasPadding(w)) return false;
  const GemmSchedule s(w, isa, knobs);
  if (s.k.tile_h != 1) return false;
  const bool pads_columns = w.pad_left > 0 || w.pad_right > 0;
  if (!s.skips_columns && w.pad_top == 0 && w.pad_bottom == 0) return false;
  if (s.row_classes.count > TapClasses::kMost || s.column_classes.count > TapClasses::kMost) {
    return false;
  }
  if (knobs.stage != DataStage::kRaw) return true;
  // Read in place: no tap may lie outside of x, nor a step read beyond it.
  return (s.skips_columns || !pads_columns) && s.segment_values % isa.group == 0;
}

bool StageIsLegal(const Workload& w, const VectorIsa& isa, DataStage stage, GemmOrder order,
                  BorderForm border) {
  switch (stage) {
    case DataStage::kRaw:  // nothing may be read beyond x, and no tap may lie outside of it
      if (border == BorderForm::kSkipped) break;  // SkippingIsLegal() knows
      if (HasPadding(w) || SegmentValues(w) % isa.group != 0) return false;
      break;
    case DataStage::kRoot:  // a flat image has one row: a block is the better grain
      if (IsFlat(w)) return false;
      break;
    case DataStage::kBlock:  // would be prepared anew for every panel
      if (order == GemmOrder::kPanelBlockTile) return false;
      break;
  }
  return !(NeedsSums(w, isa) && order == GemmOrder::kPanelBlockTile);
}

}  // namespace kiln
