#include <fmt/format.h>

#include <set>
#include <string>
#include <vector>

#include "kernels_templates/depthwise/depthwise_lower.h"
#include "kernels_templates/depthwise/depthwise_slide.h"

// The C of a walk. `acc1` are accumulators of an output, `t` the operand of a column, `w3_0` a
// vector of weights that stays in a register, `row2` a row of the window, `at` the offset in it of
// the padded row's first column (moving on with the loop), `c` the block's constants.

namespace kiln {
namespace {

using Stmts = std::vector<Stmt>;

bool Halves(const DepthwiseSchedule& s) { return s.k.loop == RowLoop::kHalves; }
bool Mixed(const DepthwiseSchedule& s) { return s.k.group == TapGroup::kMixed; }
bool Paired(const DepthwiseSchedule& s) { return s.k.group == TapGroup::kPaired; }
bool Raw(const DepthwiseSchedule& s) { return s.k.pad == PadStage::kInline; }
// One function walks all rows of a block, and keeps its weights.
bool RowsInside(const DepthwiseSchedule& s) {
  return s.k.order == ChannelOrder::kOuter && !Halves(s);
}

// The row of a stack's windows that is row `row` of the window of its output row `output`.
std::int32_t RowName(const DepthwiseSchedule& s, const SlideWalk& walk, std::int32_t row,
                     std::int32_t output) {
  return walk.stack == 1 ? row : s.row[static_cast<std::size_t>(row)] + output * s.w.stride_h;
}

constexpr std::string_view kPadRow =
    "K_HIDE(header);\nconst krow pad_row = k_row_splat(header[PAD_VALUE]);\n(void)pad_row;\n";

// Writes the columns of one walk; its state is what they have done so far.
class WalkEmitter {
 public:
  WalkEmitter(const SlideWalk& walk, std::int32_t planes, std::int32_t half)
      : walk_(walk),
        s_(walk.s),
        planes_(planes),
        register_sets_(RegisterSets(walk.s, planes)),
        half_(half),
        first_(half * walk.vectors) {
    next_block_ = -s_.w.pad_left - s_.k.pixels;
  }

  // The weights that stay in registers, to be declared before the walk.
  Stmt Weights() const {
    std::string text;
    const std::int32_t vectors = walk_.vectors * planes_;
    for (std::int32_t set = 0; set < register_sets_; ++set) {
      for (std::int32_t plane = 0; plane < planes_; ++plane) {
        for (std::int32_t v = first_; v < first_ + walk_.vectors; ++v) {
          text += fmt::format("kop {0} = k_weights(w + {1}); K_UNKNOWN({0});\n",
                              Weight(set, plane, v), WeightAt(set, plane, v));
        }
      }
    }
    return Text(text, {.loads = double(register_sets_) * vectors, .calls = 1});
  }

  Stmts Emit() {
    Declare();
    for (std::int32_t column = 0; column < walk_.columns; ++column) {
      if (column == walk_.loop_begin && walk_.loop_trips > 0) {
        WriteLoop();
        column += walk_.period * walk_.loop_trips - 1;
      } else {
        Column(column);
      }
    }
    return std::move(body_);
  }

 private:
  void Declare() {
    std::string text = "kv acc0[K_VECTORS]";
    for (std::int32_t i = 1; i < s_.live_outputs; ++i) text += fmt::format(", acc{}[K_VECTORS]", i);
    text += ";\n";
    if (s_.k.vec == VecStage::kShift) {
      text += "ktaps block0[K_VECTORS], block1[K_VECTORS];\n(void)block0, (void)block1;\n";
    }
    if (Mixed(s_)) {
      text +=
          "krow last_row;\nkrow_pair pair0[2], pair1[2];\n"
          "(void)last_row, (void)pair0, (void)pair1;\n";
    }
    if (Paired(s_)) text += "krow_pair last_pair[2];\n";
    body_.push_back(Text(text));
  }

  void WriteLoop() {
    Stmts outside = std::move(body_);
    body_.clear();
    for (std::int32_t i = 0; i < walk_.period; ++i) Column(walk_.loop_begin + i);
    const std::int32_t stores = walk_.period / walk_.step;
    std::string next =
        fmt::format("at += {} * C;\ny += {} * C;\n", walk_.period, stores * s_.k.pixels);
    if (Halves(s_)) next += fmt::format("sums += {};\n", stores * SumsBytes());
    body_.push_back(Text(next));
    const std::int32_t trips = walk_.loop_trips;
    outside.push_back(
        Loop(fmt::format("for (int32_t i = 0; i < {}; ++i)", trips), trips, std::move(body_)));
    body_ = std::move(outside);
    moved_ = walk_.period * trips;
    next_block_ += walk_.period * (trips - 1);
  }

  // Names and places.
  static std::string Weight(std::int32_t set, std::int32_t plane, std::int32_t v) {
    return fmt::format("w{}_{}", set, plane * 4 + v);
  }
  std::int32_t WeightAt(std::int32_t set, std::int32_t plane, std::int32_t v) const {
    const Interleave& il = s_.il;
    return set * il.weight_set_bytes() +
           (plane * il.vectors + v) * il.lanes * il.group * il.weight_bytes;
  }
  std::int32_t SumsBytes() const { return walk_.vectors * s_.il.lanes * 4; }
  std::string Accumulators(std::int32_t output) const {
    return fmt::format("acc{}", output % s_.live_outputs);
  }
  std::string Sums(std::int32_t output, std::int32_t v) const {
    return fmt::format("sums + {}",
                       (output - moved_ / walk_.step) * SumsBytes() + v * s_.il.lanes * 4);
  }

  // A row of the window at a column, or padding.
  std::string Row(std::int32_t row, std::int32_t column) const {
    if (!walk_.InImage(column)) return "pad_row";
    std::string at;
    for (std::int32_t i = 0; i < walk_.stack; ++i) {
      at += fmt::format("{}row{} + (at + {} * C)", i > 0 ? ", " : "", RowName(s_, walk_, row, i),
                        column - moved_);
    }
    return fmt::format("{}{}({}{})", walk_.stack > 1 ? "k_stack" : "k_row", Raw(s_) ? "_raw" : "",
                       at, Raw(s_) ? ", flip" : "");
  }
  OpCounts RowCounts(std::int32_t column, double rows) const {
    if (!walk_.InImage(column)) return {};
    const double shuffles = Raw(s_) ? s_.il.row_shuffles : s_.il.stored_row_shuffles;
    return {.loads = rows * walk_.stack, .shuffles = rows * (shuffles + walk_.stack - 1)};
  }
  double Share() const { return 1.0 / walk_.halves; }

  // The operand of the groups of rows, interleaved into `to` (with the group's number, if there
  // are several).
  void InterleaveColumn(std::int32_t column, const std::string& to, std::string& text,
                        OpCounts& counts) const {
    for (std::int32_t g = 0; g < s_.groups; ++g) {
      std::string names;
      double rows = 0;
      for (std::int32_t slot = 0; slot < s_.il.group; ++slot) {
        const std::int32_t row = s_.RowOf(g, slot);
        if (row >= 0) {
          text += fmt::format("const krow {}_r{} = {};\n", to, row, Row(row, column));
          ++rows;
        }
        names += fmt::format(", {}_r{}", to, row >= 0 ? row : s_.rows - 1);
      }
      text += fmt::format("k_interleave({}{}{});\n", to, GroupName(g), names);
      counts += RowCounts(column, rows);
      if (walk_.InImage(column)) counts.shuffles += s_.il.interleave_shuffles * Share();
    }
  }
  std::string GroupName(std::int32_t group) const {
    return s_.k.vec == VecStage::kShift ? "" : fmt::format("{}", group);
  }

  // Vec stage shift: blocks of pixels are interleaved when a column needs them first.
  void ShiftedOperand(std::int32_t column, std::string& text, OpCounts& counts) {
    const std::int32_t past = walk_.PixelsPastBlock(column), pixels = s_.k.pixels;
    const std::int32_t block = column - past;
    for (std::int32_t b = block; b <= block + (past > 0 ? pixels : 0); b += pixels) {
      if (b < next_block_) continue;
      next_block_ = b + pixels;
      std::string inner;
      InterleaveColumn(b, BlockName(b), inner, counts);
      text += "{\n" + inner + "}\n";
    }
    if (past == 0) {
      text += fmt::format("const ktaps *const t0 = {};\n", BlockName(block));
      return;
    }
    text += "ktaps t0[K_VECTORS];\n";
    // A pixel's lanes, whether the block's pixels fill it or not.
    const std::int32_t first = past * s_.channels / s_.il.vectors;
    for (std::int32_t v = 0; v < s_.il.vectors; ++v) {
      text += fmt::format("t0[{0}] = __builtin_shufflevector({1}[{0}], {2}[{0}]", v,
                          BlockName(block), BlockName(block + pixels));
      for (std::int32_t lane = 0; lane < s_.il.lanes; ++lane)
        text += fmt::format(", {}", first + lane);
      text += ");\n";
    }
    counts.shuffles += walk_.vectors;
  }
  std::string BlockName(std::int32_t column) const {
    const std::int32_t index = (column + s_.w.pad_left + 2 * s_.k.pixels) / s_.k.pixels;
    return index % 2 == 0 ? "block0" : "block1";
  }

  // Mixed: the last row's run of four columns that ends here. Pairs of columns are carried.
  void Run(std::int32_t column, std::string& text, OpCounts& counts) const {
    text += fmt::format("const krow new_row = {};\n", Row(s_.rows - 1, column));
    counts += RowCounts(column, 1);
    if (walk_.EndsPair(column)) {
      const bool first = column < walk_.step, second = column < 2 * walk_.step;
      text += fmt::format("krow_pair pair[2];\nk_pair(pair, {}, new_row);\n",
                          column == 0 ? "new_row" : "last_row");
      counts.shuffles += s_.il.interleave_shuffles / 4 * Share();
      const bool every = s_.w.stride_w == 1;
      if (walk_.UsesRun(column)) {
        text += fmt::format("ktaps run[K_VECTORS];\nk_interleave_pairs(run, {}, pair);\n",
                            first || (every && second) ? "pair"
                            : every                    ? "pair0"
                                                       : "pair1");
        counts.shuffles += s_.il.interleave_shuffles / 2 * Share();
      }
      if (every && !first) text += "pair0[0] = pair1[0], pair0[1] = pair1[1];\n";
      text += "pair1[0] = pair[0], pair1[1] = pair[1];\n";
    }
    text += "last_row = new_row;\n";
  }

  // Paired: an odd column comes with the even one right of it.
  void PairOfColumns(std::int32_t column) {
    if (column % 2 != 0) return;
    const bool first = column == 0;
    std::string text = "K_HIDE(w);\n";
    if (!walk_.InImage(column) || (!first && !walk_.InImage(column - 1))) text += kPadRow;
    OpCounts counts = RowCounts(column, s_.rows);
    counts.shuffles += s_.il.interleave_shuffles * (first ? 1.25 : 1.75);
    if (!first) counts += RowCounts(column - 1, s_.rows);
    for (std::int32_t row = 0; row < s_.rows; ++row) {
      if (!first) text += fmt::format("const krow odd_r{} = {};\n", row, Row(row, column - 1));
      text += fmt::format("const krow even_r{} = {};\n", row, Row(row, column));
    }
    text += "krow_pair pair[2];\nk_pair(pair, even_r0, even_r1);\nktaps odd[K_VECTORS];\n";
    text += first ? "k_interleave(odd, even_r2, even_r2, even_r2, even_r2);\n"
                  : "k_interleave(odd, odd_r0, odd_r1, odd_r2, even_r2);\n"
                    "ktaps even[K_VECTORS];\nk_interleave_pairs(even, last_pair, pair);\n";
    text += "last_pair[0] = pair[0], last_pair[1] = pair[1];\n";
    Stmts block;
    const std::int32_t next = column / 2;
    if (!first) {
      Dots(next - 1, "odd", kOddSet, text, counts);
      Dots(next - 1, "even", kEvenSet, text, counts);
    }
    block.push_back(Text(text, counts));
    if (!first) Finish(next - 1, block);
    if (next < walk_.outputs) {
      std::string start;
      OpCounts start_counts;
      Start(next, start, start_counts);
      Dots(next, "odd", kPastSet, start, start_counts);
      block.push_back(Text(start, start_counts));
    }
    body_.push_back(Block(std::move(block)));
  }

  void Column(std::int32_t column) {
    if (!walk_.HasTaps(column)) return;
    if (Paired(s_)) {
      PairOfColumns(column);
      return;
    }
    std::string text = "K_HIDE(w);\n";
    OpCounts counts;
    const std::int32_t past = s_.k.vec == VecStage::kShift ? walk_.PixelsPastBlock(column) : 0;
    if (!walk_.InImage(column - past) ||
        (past > 0 && !walk_.InImage(column - past + s_.k.pixels))) {
      text += kPadRow;
    }
    if (s_.k.vec == VecStage::kShift) {
      ShiftedOperand(column, text, counts);
    } else {
      for (std::int32_t g = 0; g < s_.groups; ++g)
        text += fmt::format("ktaps t{}[K_VECTORS];\n", g);
      InterleaveColumn(column, "t", text, counts);
      if (Mixed(s_)) Run(column, text, counts);
    }
    Stmts block{Text(text, counts)};
    for (const bool starts : {false, true}) {
      for (std::int32_t o = walk_.FirstOutput(column); o <= walk_.LastOutput(column); ++o) {
        if ((column == o * walk_.step) == starts) Output(column, o, block);
      }
    }
    body_.push_back(Block(std::move(block)));
  }

  // What a column adds to an output; with its last column the output is finished.
  void Output(std::int32_t column, std::int32_t output, Stmts& block) const {
    std::string text;
    OpCounts counts;
    if (column == output * walk_.step) Start(output, text, counts);
    const std::int32_t kx = walk_.TapOf(column, output);
    if (kx >= 0) {
      const std::int32_t patterns = s_.patterns;
      for (std::int32_t g = 0; g < s_.groups; ++g) {
        const std::int32_t pattern = s_.pattern_of[static_cast<std::size_t>(g)][0];
        Dots(output, fmt::format("t{}", g), pattern * s_.w.kw + kx, text, counts);
      }
      const std::int32_t run_set = Mixed(s_) ? walk_.RunSetOf(column, output) : -1;
      if (run_set >= 0) Dots(output, "run", patterns * s_.w.kw + run_set, text, counts);
    }
    block.push_back(Text(text, counts));
    if (column == output * walk_.step + walk_.reach) Finish(output, block);
  }

  void Start(std::int32_t output, std::string& text, OpCounts& counts) const {
    text += "K_HIDE(c);\n";
    for (std::int32_t v = first_; v < first_ + walk_.vectors; ++v) {
      text += fmt::format("{0}[{1}] = k_load(c + {1} * K_CONSTANTS * LANES);\n",
                          Accumulators(output), v);
    }
    counts.loads += walk_.vectors;
  }

  void Dots(std::int32_t output, const std::string& operand, std::int32_t set, std::string& text,
            OpCounts& counts) const {
    const bool in_register = set < register_sets_;
    for (std::int32_t plane = 0; plane < planes_; ++plane) {
      for (std::int32_t v = first_; v < first_ + walk_.vectors; ++v) {
        text += in_register
                    ? fmt::format("{0}[{1}] = k_dot({0}[{1}], {2}[{1}], {3});\n",
                                  Accumulators(output), v, operand, Weight(set, plane, v))
                    : fmt::format("{0}[{1}] = k_taps_dot({0}[{1}], {2}[{1}], w + {3});\n",
                                  Accumulators(output), v, operand, WeightAt(set, plane, v));
      }
    }
    const double dots = double(walk_.vectors) * planes_;
    counts.dots += dots;
    if (!in_register) counts.loads += dots;
  }

  void Finish(std::int32_t output, Stmts& block) const {
    const std::string acc = Accumulators(output);
    std::string text = "K_HIDE(c);\n";
    OpCounts counts{.requantizes = double(walk_.vectors)};
    for (std::int32_t v = first_; v < first_ + walk_.vectors; ++v)
      text += fmt::format("k_requantize_vector({}, c, {});\n", acc, v);
    if (Halves(s_)) {
      for (std::int32_t v = 0; v < walk_.vectors; ++v) {
        text += half_ == 0 ? fmt::format("k_spill({}, {}[{}]);\n", Sums(output, v), acc, v)
                           : fmt::format("{}[{}] = k_load({});\n", acc, v, Sums(output, v));
      }
      (half_ == 0 ? counts.stores : counts.loads) += walk_.vectors;
    }
    if (!Halves(s_) || half_ == 1) {
      text += Store(output, acc);
      counts.stores += walk_.stack;
    }
    block.push_back(Text(text, counts));
  }

  std::string Store(std::int32_t output, const std::string& acc) const {
    const std::string to = fmt::format("y + {} * C", (output - moved_ / walk_.step) * s_.k.pixels);
    if (walk_.stack > 1) return fmt::format("k_store_stack({}, OUT_W * C, range, {});\n", to, acc);
    const std::int32_t bytes = walk_.StoredBytes(output);
    if (bytes == s_.il.channels()) return fmt::format("k_store_block({}, range, {});\n", to, acc);
    return fmt::format("k_store_block_n({}, range, {}, {});\n", to, bytes, acc);
  }

  const SlideWalk& walk_;
  const DepthwiseSchedule& s_;
  const std::int32_t planes_, register_sets_;
  const std::int32_t half_, first_;
  std::int32_t moved_ = 0;       // columns that the loop has moved `at` on
  std::int32_t next_block_ = 0;  // vec stage shift: blocks of pixels before it are interleaved
  Stmts body_;
};

// What a walk sets up: pointers of the window's rows and splats.
std::string Locals(const DepthwiseSchedule& s, const SlideWalk& walk) {
  std::set<std::int32_t> names;
  for (std::int32_t r = 0; r < s.rows; ++r) {
    for (std::int32_t i = 0; i < walk.stack; ++i) names.insert(RowName(s, walk, r, i));
  }
  std::string text;
  for (const std::int32_t name : names)
    text += fmt::format("const uint8_t *const row{0} = row[{0}];\n", name);
  return text;
}
std::string BlockLocals(const DepthwiseSchedule& s) {
  std::string text =
      "const k_range range = {header[ACT_MIN], header[ACT_MAX], "
      "header[Y_ZERO_POINT]};\n(void)range;\n"
      "const int32_t *c = (const int32_t *)block;\n"
      "const uint8_t *w = block + CONSTANT_BYTES;\n";
  if (Raw(s)) text += "const krow flip = k_row_splat(header[FLIP]);\n(void)flip;\n";
  return text;
}

// Names of functions: those of whole blocks and of the narrow one, and those for blocks with
// weights of several numbers where others have functions of their own.
std::string FunctionName(const SlideWalk& walk, std::int32_t planes) {
  const bool wide = walk.s.walks_narrow_weights() && planes > 1;
  return std::string(walk.stack > 1 ? "stack" : "slide") + (wide ? "_wide" : "");
}
// The function of block `b`.
std::string FunctionOf(const DepthwiseSchedule& s, const std::string& name,
                       const std::string& suffix) {
  if (!s.walks_narrow_weights()) return name + suffix;
  return fmt::format("(IS_WIDE(b) ? {0}_wide{1} : {0}{1})", name, suffix);
}

// One walk: a row of a block, or a stack.
Function WalkFunction(const DepthwiseSchedule& s, const SlideWalk& walk, std::int32_t planes,
                      std::int32_t half) {
  WalkEmitter emitter(walk, planes, half);
  Function f;
  f.calls = planes == s.walk_planes() ? walk.walks() : 0;
  f.signature = fmt::format(
      "NOINLINE void {}_{}(const int32_t *header, const uint8_t *block, "
      "const uint8_t *const *row, int64_t at, uint8_t *y{})",
      FunctionName(walk, planes), half, Halves(s) ? ", uint8_t *sums" : "");
  f.body = {Text(BlockLocals(s) + (Halves(s) && half == 0 ? "(void)y, (void)header;\n" : "")),
            emitter.Weights(), Text(Locals(s, walk))};
  for (Stmt& stmt : emitter.Emit()) f.body.push_back(std::move(stmt));
  return f;
}

std::string At(const DepthwiseSchedule& s) {
  return Raw(s) ? "(int64_t)FIRST_CHANNEL(b) - PAD_LEFT * C" : "FIRST_CHANNEL(b)";
}
constexpr std::string_view kRowOfY =
    "y + ((int64_t)image * OUT_H + top) * OUT_W * C + FIRST_CHANNEL(b)";

// What follows a row that is the last of its stack.
Stmt IfStackEnds(const DepthwiseSchedule& s, Stmts body) {
  body.insert(body.begin(), Text("const uint32_t stack = STACK_OF(chunk);\n" + StackRows(s)));
  return Loop("if (ENDS_STACK(chunk))", double{1} * s.stacks / s.tiles_h, std::move(body));
}

// Loops over the rows that a thread was given, and over the stacks that end there.
Stmt RowLoopOf(const DepthwiseSchedule& s, Stmts body) {
  return Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", s.row_chunks, std::move(body));
}
Stmt StackLoop(const DepthwiseSchedule& s, Stmts body) {
  return RowLoopOf(s, {IfStackEnds(s, std::move(body))});
}

// All rows of block `b`, or all stacks.
Function RowsFunction(const DepthwiseSchedule& s, const SlideWalk& walk, std::int32_t planes) {
  const bool stacked = walk.stack > 1;
  WalkEmitter emitter(walk, planes, 0);
  Function f;
  f.calls = planes != s.walk_planes() ? 0 : stacked ? 1 : s.whole_blocks();
  f.signature = fmt::format(
      "NOINLINE void {}_rows(const uint8_t *packed, const uint8_t *x, uint8_t *y_, "
      "const uint8_t *shared_ws, int32_t b, uint32_t begin, uint32_t end)",
      FunctionName(walk, planes));
  f.body = {Text("const int32_t *header = (const int32_t *)packed;\n"
                 "const uint8_t *block = packed + FIRST_BLOCK + b * BLOCK_BYTES;\n"
                 "(void)x, (void)shared_ws;\n" +
                 BlockLocals(s) + (stacked ? "" : WindowRows(s))),
            emitter.Weights()};
  Stmts row{Text((stacked ? "" : ChunkRows(s)) + Locals(s, walk) +
                 fmt::format("int64_t at = {};\nuint8_t *y = y_{};\n", At(s), kRowOfY.substr(1)))};
  for (Stmt& stmt : emitter.Emit()) row.push_back(std::move(stmt));
  f.body.push_back(stacked ? StackLoop(s, std::move(row)) : RowLoopOf(s, std::move(row)));
  return f;
}

// Calls the walks of block `b`.
Stmt CallWalks(const DepthwiseSchedule& s, const char* function) {
  std::string text;
  for (std::int32_t half = 0; half < (Halves(s) ? 2 : 1); ++half) {
    text += fmt::format(
        "{}((const int32_t *)packed, (const uint8_t *)packed + FIRST_BLOCK + b * "
        "BLOCK_BYTES, "
        "row, {},\n        {}{});\n",
        FunctionOf(s, function, fmt::format("_{}", half)), At(s), kRowOfY,
        Halves(s) ? ", (uint8_t *)thread_ws + RING_BYTES" : "");
  }
  return Text(text);
}

Stmt WholeBlocks(const DepthwiseSchedule& s, Stmts body) {
  return Loop(s.stack > 1 ? "for (int32_t b = 0; b < BLOCKS - 1; ++b)"
                          : "for (int32_t b = 0; b < BLOCKS; ++b)",
              s.whole_blocks(), std::move(body));
}

// All rows of the blocks that a thread was given.
Stmt BlockLoop(const DepthwiseSchedule& s) {
  const auto call = [&s](const char* function) {
    return fmt::format("{}(packed, x, y, shared_ws, b, 0, {});\n", FunctionOf(s, function, "_rows"),
                       s.row_chunks);
  };
  std::string text = call("slide");
  if (s.stack > 1) text = "if (b < BLOCKS - 1)\n  " + text + "else\n  " + call("stack");
  text = "const int32_t b = (int32_t)chunk;\n" + text;
  return Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", s.chunks, {Text(text)});
}

}  // namespace

std::vector<Function> SlideFunctions(const DepthwiseSchedule& s) {
  std::vector<SlideWalk> walks{SlideWalk(s, 1)};
  if (s.stack > 1) walks.emplace_back(s, s.stack);
  std::vector<Function> functions;
  for (const SlideWalk& walk : walks) {
    if (RowsInside(s)) {
      for (std::int32_t planes = s.walk_planes(); planes <= s.il.planes; ++planes)
        functions.push_back(RowsFunction(s, walk, planes));
      continue;
    }
    for (std::int32_t planes = s.walk_planes(); planes <= s.il.planes; ++planes) {
      for (std::int32_t half = 0; half < walk.halves; ++half)
        functions.push_back(WalkFunction(s, walk, planes, half));
    }
  }
  return functions;
}

std::vector<Stmt> SlidePhase(const DepthwiseSchedule& s) {
  if (s.k.split == ThreadSplit::kBlocks) return {BlockLoop(s)};
  if (RowsInside(s)) {
    const auto call = [&s](const char* function) {
      return Text(FunctionOf(s, function, "_rows") + "(packed, x, y, shared_ws, b, begin, end);\n");
    };
    Stmts body{WholeBlocks(s, {call("slide")})};
    if (s.stack > 1)
      body.push_back(Block({Text("const int32_t b = BLOCKS - 1;\n"), call("stack")}));
    return body;
  }
  Stmts walks{CallWalks(s, "slide")};
  Stmts narrow{Text("const int32_t b = BLOCKS - 1;\n"), CallWalks(s, "stack")};
  Stmts body{Text(WindowRows(s))};
  if (s.k.order == ChannelOrder::kOuter) {
    walks.insert(walks.begin(), Text(ChunkRows(s)));
    body.push_back(WholeBlocks(s, {RowLoopOf(s, std::move(walks))}));
    if (s.stack > 1) body.push_back(StackLoop(s, std::move(narrow)));
    return body;
  }
  Stmts row{Text(ChunkRows(s)), WholeBlocks(s, std::move(walks))};
  if (s.stack > 1) row.push_back(IfStackEnds(s, std::move(narrow)));
  body.push_back(RowLoopOf(s, std::move(row)));
  return body;
}

}  // namespace kiln
