#include "kernels_templates/depthwise/depthwise_slide.h"

#include <algorithm>

#include "kernels_templates/isa/requantize.h"

namespace kiln {
namespace {

std::int32_t CeilDiv(std::int32_t a, std::int32_t b) { return (a + b - 1) / b; }
std::int32_t FloorMod(std::int32_t a, std::int32_t b) { return (a % b + b) % b; }

bool Mixed(const DepthwiseSchedule& s) { return s.k.group == TapGroup::kMixed; }
bool Paired(const DepthwiseSchedule& s) { return s.k.group == TapGroup::kPaired; }
bool Shifts(const DepthwiseSchedule& s) { return s.k.vec == VecStage::kShift; }

// A run of 4 columns serves the last 4 taps of an output; those before are in a run that ended so
// many columns earlier (a multiple of the stride, so that runs of one phase suffice).
std::int32_t EarlierRun(const Workload& w) { return w.kw <= 6 ? 2 : 4; }

}  // namespace

std::int32_t HorizontalSets(const Workload& w) { return w.kw <= 4 ? 1 : 2; }

std::int32_t HorizontalTap(const Workload& w, std::int32_t set, std::int32_t slot) {
  const std::int32_t kx = w.kw - 4 - (set == 0 ? 0 : EarlierRun(w)) + slot;
  return kx >= 0 && (set == 0 || kx < w.kw - 4) ? kx : -1;
}

std::int32_t PairedTap(std::int32_t set, std::int32_t slot) {
  constexpr std::int32_t kTaps[][4] = {{0, 3, 2, 5}, {1, 4, 7, 8}, {-1, -1, -1, 6}};
  return kTaps[set][slot];
}

SlideWalk::SlideWalk(const DepthwiseSchedule& schedule, std::int32_t rows_at_once)
    : s(schedule), stack(rows_at_once) {
  outputs = s.tiles_w;
  step = s.k.pixels * s.w.stride_w;
  reach = (s.w.kw - 1) * s.w.dilation_w;
  columns = (outputs - 1) * step + reach + 1;
  halves = s.k.loop == RowLoop::kHalves ? 2 : 1;
  vectors = s.il.vectors / halves;
  FindLoop();
}

std::int32_t SlideWalk::FirstOutput(std::int32_t column) const {
  return std::max(0, CeilDiv(std::max(0, column - reach), step));
}
std::int32_t SlideWalk::LastOutput(std::int32_t column) const {
  return std::min(outputs - 1, column / step);
}
std::int32_t SlideWalk::TapOf(std::int32_t column, std::int32_t output) const {
  const std::int32_t right = column - output * step;
  if (right < 0 || right > reach || right % s.w.dilation_w != 0) return -1;
  return right / s.w.dilation_w;
}
bool SlideWalk::HasTaps(std::int32_t column) const {
  if (s.w.dilation_w == 1 && step <= reach + 1) return true;
  for (std::int32_t o = FirstOutput(column); o <= LastOutput(column); ++o) {
    if (TapOf(column, o) >= 0) return true;
  }
  return false;
}

std::int32_t SlideWalk::PixelsPastBlock(std::int32_t column) const {
  const std::int32_t left = s.k.pad == PadStage::kInline ? s.w.pad_left : 0;
  return FloorMod(column - left, s.k.pixels);
}

bool SlideWalk::InImage(std::int32_t column) const {
  if (s.k.pad != PadStage::kInline) return true;
  const std::int32_t at = column - s.w.pad_left;
  return at >= 0 && at < s.w.w;
}

bool SlideWalk::EndsPair(std::int32_t column) const {
  return Mixed(s) && FloorMod(column - (s.w.kw - 1), step) == 0;
}
std::int32_t SlideWalk::RunSetOf(std::int32_t column, std::int32_t output) const {
  const std::int32_t from_last = output * step + reach - column;
  if (from_last == 0) return 0;
  return from_last == EarlierRun(s.w) && HorizontalSets(s.w) > 1 ? 1 : -1;
}
bool SlideWalk::UsesRun(std::int32_t column) const {
  if (!Mixed(s)) return false;
  for (std::int32_t o = FirstOutput(column); o <= LastOutput(column); ++o) {
    if (RunSetOf(column, o) >= 0) return true;
  }
  return false;
}

std::int32_t SlideWalk::StoredBytes(std::int32_t output) const {
  const std::int32_t left = (s.w.out_w() - output * s.k.pixels) * s.channels;
  if (s.channels >= s.il.channels() || left >= s.il.channels()) return s.il.channels();
  return std::min(left, s.stored);
}

// Carried state (the last columns, blocks of pixels) has its steady form only after some columns.
bool SlideWalk::IsRegular(std::int32_t column) const {
  if (column < reach - step + 1 || column / step >= outputs) return false;
  if ((Mixed(s) && column < 4) || (Shifts(s) && column < step)) return false;
  const std::int32_t past = Shifts(s) ? PixelsPastBlock(column) : 0;
  if (!InImage(column - past) || (past > 0 && !InImage(column - past + s.k.pixels))) return false;
  const std::int32_t finished = (column - reach) / step;
  return column < reach || StoredBytes(finished) == s.il.channels();
}

void SlideWalk::FindLoop() {
  const std::int32_t names = s.live_outputs;
  period = step * (Shifts(s) && names % 2 == 1 ? 2 * names : names);
  // They lie side by side, with few at both ends that are not regular.
  while (loop_begin < columns && !IsRegular(loop_begin)) ++loop_begin;
  std::int32_t end = columns;
  while (end > loop_begin && !IsRegular(end - 1)) --end;
  loop_trips = (end - loop_begin) / period;
  if (loop_trips < 2) loop_trips = 0;
}

double SlideWalk::walks() const {
  return double{1} * s.w.n * (stack > 1 ? s.stacks : s.tiles_h * s.whole_blocks());
}

// What loading and interleaving the columns takes.
void SlideWalk::CountColumns(OpCounts& walk) const {
  const double row_shuffles =
      s.k.pad == PadStage::kInline ? s.il.row_shuffles : s.il.stored_row_shuffles;
  const double interleave = s.il.interleave_shuffles / halves;
  const auto load = [&](std::int32_t column, double interleaves) {
    if (!InImage(column)) return;
    walk.loads += s.rows * stack;
    walk.shuffles += s.rows * (row_shuffles + stack - 1) + interleaves * interleave;
  };
  std::int32_t next_block = -s.w.pad_left - s.k.pixels;
  for (std::int32_t column = 0; column < columns; ++column) {
    if (!HasTaps(column)) continue;
    if (Paired(s)) {
      load(column, 0);
      if (column % 2 == 0) walk.shuffles += (column == 0 ? 1.25 : 1.75) * interleave;
    } else if (!Shifts(s)) {
      load(column, s.groups);
    } else {
      const std::int32_t past = PixelsPastBlock(column), block = column - past;
      for (std::int32_t b = block; b <= block + (past > 0 ? s.k.pixels : 0); b += s.k.pixels) {
        if (b < next_block) continue;
        load(b, s.groups);
        next_block = b + s.k.pixels;
      }
      if (past > 0) walk.shuffles += vectors;
    }
    if (EndsPair(column)) walk.shuffles += interleave / 4;
    if (UsesRun(column)) walk.shuffles += interleave / 2;
  }
}

OpCounts SlideWalk::Count() const {
  const double from_registers = s.register_sets;
  OpCounts walk;
  walk.dots = double{1} * outputs * s.sets * vectors * s.walk_planes();
  walk.loads = double{1} * outputs * vectors +
               outputs * (s.sets - from_registers) * vectors * s.walk_planes();  // bias, weights
  walk.requantizes = double{1} * outputs * vectors;
  CountColumns(walk);
  OpCounts row = walk * halves;
  row.stores = outputs * stack;
  if (halves == 2) {
    row.stores += double{1} * outputs * vectors;
    row.loads += double{1} * outputs * vectors;
  }
  OpCounts sum = row * walks();
  const bool rows_inside = s.k.order == ChannelOrder::kOuter && halves == 1;
  OpCounts call;
  call.calls = 1;
  call.loads = from_registers * vectors * s.walk_planes();
  const double blocks = stack > 1 ? 1 : s.whole_blocks();
  sum += call * (rows_inside ? blocks : walks() * halves);
  return sum;
}

namespace {

// Vectors that loading, interleaving, requantizing and clamping need; found by compiling with clang
// 19: docs/kernels.md. The integer forms hold products of even and odd lanes. With few registers
// the constants that flip and clamp are operands in memory.
std::int32_t Temporaries(const VectorIsa& isa, const Workload& w, WeightStage weights) {
  if (isa.registers < 32 && weights == WeightStage::kMemory) return 4;
  const double instructions = RequantizeInstructions(isa, w);
  // Arm has no operands in memory, and products of bytes of their own beside the sums.
  const std::int32_t products = isa.splits_groups ? 6 : isa.lanes == 4 ? 2 : 0;
  return (w.act == Activation::kLoHi ? 7 : 6) +
         (instructions > 7   ? 3
          : instructions > 4 ? 2
                             : 0) +
         products;
}

// Vectors in use beside weights: accumulators, operands, what is carried from column to column.
std::int32_t OtherRegisters(const DepthwiseSchedule& s) {
  const std::int32_t vectors = s.il.vectors / (s.k.loop == RowLoop::kHalves ? 2 : 1);
  std::int32_t carried = 0;
  if (Mixed(s)) carried = s.w.stride_w == 1 ? vectors + 1 : vectors / 2 + 1;
  if (Shifts(s)) carried = vectors;
  if (Paired(s)) carried = vectors / 2;
  return (s.live_outputs + std::max(1, s.groups)) * vectors + carried +
         Temporaries(s.isa, s.w, s.k.weights);
}

}  // namespace

std::int32_t RegisterSets(const DepthwiseSchedule& s, std::int32_t planes) {
  if (s.k.weights == WeightStage::kMemory) return 0;
  const std::int32_t vectors = s.il.vectors / (s.k.loop == RowLoop::kHalves ? 2 : 1);
  const std::int32_t left = s.isa.registers - OtherRegisters(s);
  return std::clamp(left / (vectors * planes), 0, s.sets);
}

bool SlideFitsRegisters(const DepthwiseSchedule& s) {
  return OtherRegisters(s) <= s.isa.registers &&
         (s.k.weights == WeightStage::kMemory || s.register_sets > 0);
}

std::int64_t WrittenDots(const DepthwiseSchedule& s) {
  const SlideWalk walk(s, 1);
  const std::int64_t columns =
      walk.columns - std::int64_t{walk.period} * std::max(0, walk.loop_trips - 1);
  const std::int64_t planes = s.il.planes + (s.walks_narrow_weights() ? 1 : 0);
  return columns * s.sets * s.il.vectors * planes / walk.step;
}

}  // namespace kiln
