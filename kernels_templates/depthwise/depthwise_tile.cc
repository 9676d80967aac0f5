#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels_templates/depthwise/depthwise_lower.h"

// The micro-kernels. In the C below, `acc1_2` are the accumulators of output (1, 2) of the tile,
// `row3` is the window's row 3, `at` the offset of the tile's first column in it, `w` the block's
// sets of weights and `c` its constants.

namespace kiln {
namespace {

using Stmts = std::vector<Stmt>;

std::size_t Index(std::int32_t i) { return static_cast<std::size_t>(i); }
bool Inner(const DepthwiseSchedule& s) { return s.k.order == ChannelOrder::kInner; }

// The compiler makes loads early that wait for nothing; of operands of a long kernel, and on Arm of
// weights, it keeps more than a stack frame may hold (4 KiB; that of 336 weight vectors of 16 bytes
// had 5,568). So there an operand is loaded only after the dots of the one before: the offset of
// its loads passes through an asm that stays behind those of the sums. Others do without.
bool KeepsOrder(const DepthwiseSchedule& s) {
  constexpr std::int32_t kMostWeights = 224;
  const bool long_kernel = std::max(s.w.kh, s.w.kw) > 15 && s.rows * s.columns > 256;
  const bool small_vectors = s.il.lanes == 4;
  return long_kernel || (small_vectors && s.tile_dots * s.il.vectors * s.il.planes > kMostWeights);
}
const char* HideOffset(const DepthwiseSchedule& s) {
  if (!KeepsOrder(s)) return "";
  return s.k.vec == VecStage::kRow ? "K_HIDE(taps);\n" : "K_HIDE(at);\n";
}

// Emits the body of one tile; its state is what the statements so far have done.
class TileEmitter {
 public:
  TileEmitter(const DepthwiseSchedule& schedule, const TileRun& variant)
      : s_(schedule), variant_(variant) {}

  Stmts Emit() {
    std::string declarations = "kv ";
    for (std::int32_t i = 0; i < s_.outputs; ++i) {
      declarations += fmt::format("{}{}[K_VECTORS]", i > 0 ? ", " : "",
                                  Accumulators(i / s_.k.tile_w, i % s_.k.tile_w));
    }
    body_.push_back(Text(declarations + ";\n", {.calls = 1}));
    started_.assign(Index(s_.outputs), false);
    if (s_.k.group == TapGroup::kVertical) {
      for (std::int32_t i = 0; i < s_.columns; ++i) Column(i);
    } else {
      for (std::int32_t i = 0; i < s_.outputs; ++i) LinearOutput(i / s_.k.tile_w, i % s_.k.tile_w);
    }
    if (s_.k.conv == ConvStage::kTile) FinishTile();
    return std::move(body_);
  }

 private:
  bool IsInside(std::int32_t i) const {
    return i >= variant_.inside_begin && i < variant_.inside_end;
  }

  // A row of the window at one of the tile's columns.
  std::string LoadRow(std::int32_t row, std::int32_t i) const {
    const std::string at = fmt::format("row{} + (at + {} * C)", row, s_.column[Index(i)]);
    return s_.k.pad == PadStage::kInline ? "k_row_raw(" + at + ", flip)" : "k_row(" + at + ")";
  }
  OpCounts RowCounts(double rows) const {
    const double shuffles =
        s_.k.pad == PadStage::kInline ? s_.il.row_shuffles : s_.il.stored_row_shuffles;
    return {.loads = rows, .shuffles = rows * shuffles};
  }

  // The operands of one group of rows at a column of the tile, named `t`. Weights that later
  // columns use again are not to be kept in registers: hidden behind a new pointer they are memory
  // operands of the dots.
  Stmt Operands(std::int32_t i, std::int32_t group) const {
    if (!IsInside(i)) return Text("K_HIDE(w);\nconst ktaps *t = pad;\n");
    if (s_.k.vec == VecStage::kRow) {
      const std::string at = fmt::format("{}{} * GROUPS + {}", s_.column[Index(i)],
                                         Inner(s_) ? " * BLOCKS" : "", group);
      return Text(fmt::format("K_HIDE(w);\n{}ktaps t[K_VECTORS];\n"
                              "k_get_taps(t, taps + ({}) * K_BLOCK_BYTES);\n",
                              HideOffset(s_), at),
                  {.loads = double(s_.il.vectors)});
    }
    std::string text = fmt::format("K_HIDE(w);\n{}const krow ", HideOffset(s_)), names;
    double rows = 0;
    for (std::int32_t slot = 0; slot < s_.il.group; ++slot) {
      const std::int32_t row = s_.RowOf(group, slot);
      if (row >= 0) {
        text += fmt::format("{}r{} = {}", rows > 0 ? ", " : "", row, LoadRow(row, i));
        ++rows;
      }
      // Slots beyond the last row have no weights: any value will do.
      names += fmt::format(", r{}", row >= 0 ? row : s_.rows - 1);
    }
    OpCounts counts = RowCounts(rows);
    counts.shuffles += s_.il.interleave_shuffles;
    return Text(fmt::format("{};\nktaps t[K_VECTORS];\nk_interleave(t{});\n", text, names), counts);
  }

  std::string Start(std::int32_t th, std::int32_t tw, OpCounts& counts) {
    const std::size_t output = Index(th * s_.k.tile_w + tw);
    if (started_[output]) return {};
    started_[output] = true;
    counts.loads += s_.il.vectors;
    return fmt::format("K_HIDE(c);\nk_start({}, c);\n", Accumulators(th, tw));
  }

  std::string Dots(std::int32_t th, std::int32_t tw, std::int32_t set, OpCounts& counts) const {
    counts.dots += s_.il.vectors * s_.il.planes;
    counts.loads += s_.il.vectors * s_.il.planes;
    std::string text =
        fmt::format("k_dots({}, t, w + {} * K_WEIGHT_SET);\n", Accumulators(th, tw), set);
    for (std::int32_t v = 0; v < s_.il.vectors && KeepsOrder(s_); ++v)
      text += fmt::format("K_UNKNOWN({}[{}]);\n", Accumulators(th, tw), v);
    return text;
  }

  // All that the tile's column `i` contributes; in other stages than tile, finishes the outputs
  // whose last it is.
  void Column(std::int32_t i) {
    std::int32_t last_group[kMaxTileH] = {};
    for (std::int32_t g = 0; g < s_.groups; ++g) {
      for (std::int32_t th = 0; th < s_.k.tile_h; ++th) {
        if (s_.pattern_of[Index(g)][Index(th)] >= 0) last_group[th] = g;
      }
    }
    for (std::int32_t g = 0; g < s_.groups; ++g) {
      Stmts block{Operands(i, g)};
      std::vector<std::pair<std::int32_t, std::int32_t>> done;
      std::string text;
      OpCounts counts;
      for (std::int32_t tw = 0; tw < s_.k.tile_w; ++tw) {
        const std::int32_t kx = s_.TapColumn(i, tw);
        if (kx < 0) continue;
        for (std::int32_t th = 0; th < s_.k.tile_h; ++th) {
          const std::int32_t pattern = s_.pattern_of[Index(g)][Index(th)];
          if (pattern < 0) continue;
          text += Start(th, tw, counts);
          text += Dots(th, tw, pattern * s_.w.kw + kx, counts);
          if (kx == s_.w.kw - 1 && g == last_group[th]) done.emplace_back(th, tw);
        }
      }
      if (text.empty()) continue;
      block.push_back(Text(text, counts));
      body_.push_back(Block(std::move(block)));
      if (s_.k.conv == ConvStage::kTile) continue;
      for (const auto& [th, tw] : done) Finish(th, tw);
    }
  }

  // Taps in the order of the flattened kernel. The offset is hidden from the compiler before every
  // output: otherwise it keeps the rows that outputs share, and runs out of registers.
  void LinearOutput(std::int32_t th, std::int32_t tw) {
    if (tw + th > 0) body_.push_back(Text("K_HIDE(at);\nK_HIDE(w);\n"));
    for (std::int32_t set = 0; set < s_.sets; ++set) {
      std::string names;
      OpCounts counts{.shuffles = s_.il.interleave_shuffles};
      for (std::int32_t slot = 0; slot < s_.il.group; ++slot) {
        const std::int32_t tap = set * s_.il.group + slot;
        std::string value = "pad_row";
        if (tap < s_.w.kh * s_.w.kw) {
          const std::int32_t row = WindowRow(th * s_.w.stride_h + tap / s_.w.kw * s_.w.dilation_h);
          const std::int32_t i =
              TileColumn(tw * s_.k.pixels * s_.w.stride_w + tap % s_.w.kw * s_.w.dilation_w);
          if (IsInside(i)) {
            value = LoadRow(row, i);
            counts += RowCounts(1);
          }
        }
        names += ",\n             " + value;
      }
      std::string text = HideOffset(s_) + Start(th, tw, counts);
      text += fmt::format("ktaps t[K_VECTORS];\nk_interleave(t{});\n", names);
      text += Dots(th, tw, set, counts);
      body_.push_back(Block({Text(text, counts)}));
    }
    if (s_.k.conv != ConvStage::kTile) Finish(th, tw);
  }

  std::int32_t WindowRow(std::int32_t offset) const {
    return static_cast<std::int32_t>(std::find(s_.row.begin(), s_.row.begin() + s_.rows, offset) -
                                     s_.row.begin());
  }
  std::int32_t TileColumn(std::int32_t offset) const {
    return static_cast<std::int32_t>(
        std::find(s_.column.begin(), s_.column.begin() + s_.columns, offset) - s_.column.begin());
  }

  void Finish(std::int32_t th, std::int32_t tw) {
    if (s_.k.conv == ConvStage::kRow) {
      body_.push_back(Text(fmt::format("k_put_sums(sums + {} * K_BLOCK_BYTES, {});\n",
                                       th * s_.k.tile_w + tw, Accumulators(th, tw)),
                           {.stores = double(s_.il.vectors)}));
      return;
    }
    body_.push_back(
        Text(fmt::format("K_HIDE(c);\nk_requantize_block({}, c);\n", Accumulators(th, tw)),
             {.requantizes = double(s_.il.vectors)}));
    body_.push_back(StoreOutput(s_, th, tw));
  }

  // Vector by vector, so that its constants are loaded once for all outputs.
  void FinishTile() {
    for (std::int32_t v = 0; v < s_.il.vectors; ++v) {
      std::string text = "K_HIDE(c);\n";
      for (std::int32_t i = 0; i < s_.outputs; ++i) {
        text += fmt::format("k_requantize_vector({}, c, {});\n",
                            Accumulators(i / s_.k.tile_w, i % s_.k.tile_w), v);
      }
      body_.push_back(Text(text, {.requantizes = double(s_.outputs)}));
    }
    for (std::int32_t i = 0; i < s_.outputs; ++i) {
      body_.push_back(StoreOutput(s_, i / s_.k.tile_w, i % s_.k.tile_w));
    }
  }

  const DepthwiseSchedule& s_;
  const TileRun& variant_;
  Stmts body_;
  std::vector<bool> started_;
};

}  // namespace

std::string Accumulators(std::int32_t th, std::int32_t tw) {
  return fmt::format("acc{}_{}", th, tw);
}

Stmt StoreOutput(const DepthwiseSchedule& s, std::int32_t th, std::int32_t tw) {
  const bool part = s.stored < s.il.channels();
  return Text(
      fmt::format("k_store_block{}(y + ({} * OUT_W + {}) * C, range, {}{});\n", part ? "_n" : "",
                  th, tw * s.k.pixels, part ? "STORED, " : "", Accumulators(th, tw)),
      {.stores = 1});
}

std::vector<Stmt> TileBody(const DepthwiseSchedule& schedule, const TileRun& variant) {
  return TileEmitter(schedule, variant).Emit();
}

}  // namespace kiln
