#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels_templates/depthwise/depthwise_schedule.h"
#include "kernels_templates/loop_program.h"

// The sliding row: one walk along the columns of a row computes all its outputs of one block of
// channels. Every column is loaded and interleaved once; its operand goes to all outputs in reach,
// one output is finished and stored, and its accumulators start the next. So the accumulators in
// use are few enough for the weights to stay in registers. Names beside those of
// depthwise_schedule.h:
//
//   column   of the padded row, in pixels: output `o` has its taps at the columns
//            o * step + kx * dilation
//   step     columns between outputs: the stride, times the pixels of a block
//   reach    columns from an output's first tap to its last
//   names    sets of accumulators: output `o` uses o % names. An output is finished before its
//            successor starts in the same column, so there are reach / step, rounded up
//   regular  columns that look alike: outputs of all taps in reach, nothing of padding. They are
//            a loop of `period` columns, the rest is written out
//   half     a walk that computes half of the vectors; the first leaves its results in the buffer
//            of sums, the second stores both
//   stack    a walk of the narrow block computes a stack of rows at once: what it loads holds the
//            same column of all their windows
//   run      (mixed) the four columns up to and with this one, of the row that is left over
//   pair     (paired) 3x3 of stride 2: an odd column, which one output reads, and the even one
//            right of it, which is the last of that output and the first of the next. Their six
//            vectors are two operands: the odd column with the even one's last row, and the rest
//            of the even column with that of the even column before. A third of the taps of an
//            output is in the first operand of the pair before: 14 shuffles for an output, not 16
//
// Source: the method is the shift register of filter hardware; the limits by measuring,
// docs/kernels.md.

namespace kiln {

struct SlideWalk {
  // `stack` rows at once: 1, or that of the schedule for its narrow block.
  SlideWalk(const DepthwiseSchedule& schedule, std::int32_t stack);

  const DepthwiseSchedule& s;
  std::int32_t stack = 1;    // rows
  std::int32_t outputs = 1;  // stores of a row, in blocks
  std::int32_t step = 1, reach = 0;
  std::int32_t columns = 1;  // 0 .. columns - 1 have taps
  std::int32_t halves = 1;   // walks per row and block
  std::int32_t vectors = 4;  // of each
  std::int32_t period = 1, loop_begin = 0, loop_trips = 0;

  // Outputs with a tap at `column`, if dilation leaves one: [first, last].
  std::int32_t FirstOutput(std::int32_t column) const;
  std::int32_t LastOutput(std::int32_t column) const;
  std::int32_t TapOf(std::int32_t column, std::int32_t output) const;  // kernel column, or -1
  bool HasTaps(std::int32_t column) const;
  bool InImage(std::int32_t column) const;  // what is loaded at `column` is no padding
  // Vec stage shift: `column` lies so many pixels right of a block of pixels that is interleaved.
  std::int32_t PixelsPastBlock(std::int32_t column) const;
  // Mixed: a pair of columns ends here, and the horizontal set (0, 1 or -1) with which an output
  // multiplies the run that ends here.
  bool EndsPair(std::int32_t column) const;
  std::int32_t RunSetOf(std::int32_t column, std::int32_t output) const;
  bool UsesRun(std::int32_t column) const;
  // Bytes of an output's store: all of a block (what is past its own is overwritten by the next
  // output), except at the row's end.
  std::int32_t StoredBytes(std::int32_t output) const;

  // Walks of a whole run: rows or stacks, times blocks.
  double walks() const;
  OpCounts Count() const;  // of a whole run, without a pad stage

 private:
  bool IsRegular(std::int32_t column) const;
  void CountColumns(OpCounts& walk) const;
  void FindLoop();
};

// Mixed: sets of the row that is left over, and the kernel column of a slot in one (-1: none).
std::int32_t HorizontalSets(const Workload& workload);
std::int32_t HorizontalTap(const Workload& workload, std::int32_t set, std::int32_t slot);

// Paired: the tap (kernel row * 3 + kernel column, -1: none) in a slot of a set, and the sets.
enum PairedSet : std::int32_t { kEvenSet, kOddSet, kPastSet };
std::int32_t PairedTap(std::int32_t set, std::int32_t slot);

// The sets that fit the registers beside everything else; 0 for weights in memory.
std::int32_t RegisterSets(const DepthwiseSchedule& schedule, std::int32_t planes);
// Whether the rest fits the registers.
bool SlideFitsRegisters(const DepthwiseSchedule& schedule);
// Dots in the code of a row.
std::int64_t WrittenDots(const DepthwiseSchedule& schedule);

// Lowering: the functions that walk, and the body of the phase that calls them.
std::vector<Function> SlideFunctions(const DepthwiseSchedule& schedule);
std::vector<Stmt> SlidePhase(const DepthwiseSchedule& schedule);

}  // namespace kiln
