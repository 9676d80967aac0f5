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

std::string Accumulators(std::int32_t th, std::int32_t tw) {
  return fmt::format("acc{}_{}", th, tw);
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
    if (s_.k.conv == ConvStage::kTile) {
      for (std::int32_t i = 0; i < s_.outputs; ++i) Finish(i / s_.k.tile_w, i % s_.k.tile_w);
    }
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

  // The operands of one group of rows at a column of the tile, named `t`.
  Stmt Operands(std::int32_t i, std::int32_t group) const {
    if (!IsInside(i)) return Text("const ktaps *t = pad;\n");
    if (s_.k.vec == VecStage::kRow) {
      const std::string at = fmt::format("{}{} * GROUPS + {}", s_.column[Index(i)],
                                         Inner(s_) ? " * BLOCKS" : "", group);
      return Text(
          fmt::format("ktaps t[K_VECTORS];\nk_get_taps(t, taps + ({}) * K_BLOCK_BYTES);\n", at),
          {.loads = double(s_.il.group)});
    }
    std::string text = "const krow ", names;
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
    counts.loads += s_.il.group;
    return fmt::format("k_start({}, c);\n", Accumulators(th, tw));
  }

  std::string Dots(std::int32_t th, std::int32_t tw, std::int32_t set, OpCounts& counts) const {
    counts.dots += s_.il.group * s_.il.planes;
    counts.loads += s_.il.group * s_.il.planes;
    return fmt::format("k_dots({}, t, w + {} * K_WEIGHT_SET);\n", Accumulators(th, tw), set);
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
    if (tw + th > 0) body_.push_back(Text("K_OPAQUE(at);\n"));
    for (std::int32_t set = 0; set < s_.sets; ++set) {
      std::string names;
      OpCounts counts{.shuffles = s_.il.interleave_shuffles};
      std::string first;
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
      std::string text = Start(th, tw, counts);
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
                           {.stores = double(s_.il.group)}));
      return;
    }
    body_.push_back(FinishOutput(s_, th, tw));
  }

 public:
  static Stmt FinishOutput(const DepthwiseSchedule& s, std::int32_t th, std::int32_t tw) {
    const bool part = s.stored < s.il.channels();
    return Text(
        fmt::format("k_finish{}({}, c, y + ({} * OUT_W + {}) * C, lo, hi{});\n", part ? "_n" : "",
                    Accumulators(th, tw), th, tw * s.k.pixels, part ? ", STORED" : ""),
        {.stores = 1, .requantizes = double(s.il.group)});
  }

 private:
  const DepthwiseSchedule& s_;
  const TileRun& variant_;
  Stmts body_;
  std::vector<bool> started_;
};

// The loop of a function over a run: all blocks of one tile, or `count` tiles of one block.
// `advance` moves what the body reads and writes on to the next.
Stmt RunLoop(const DepthwiseSchedule& s, double trips, Stmts body, const std::string& advance) {
  std::string head = "K_OPAQUE(block);\nconst int32_t *c = (const int32_t *)block;\n";
  body.insert(body.begin(), Text(head));
  body.push_back(Text(advance));
  return Loop(fmt::format("for (int32_t i = 0; i < {}; ++i)", Inner(s) ? "BLOCKS" : "count"), trips,
              std::move(body));
}

// From one block to the next in x and y. The last one overlaps its neighbour where channels are no
// multiple.
std::string NextBlock(const DepthwiseSchedule& s, bool moves_at) {
  const bool overlaps = s.channels > s.il.channels() && s.channels % s.il.channels() != 0;
  const std::string step = overlaps ? "FIRST_CHANNEL(i + 1) - FIRST_CHANNEL(i)" : "BLOCK";
  std::string text = "block += BLOCK_BYTES;\n";
  if (moves_at) text += fmt::format("at += {};\n", step);
  return text + fmt::format("y += {};\n", step);
}

Function TileFunction(const DepthwiseSchedule& s, const TileRuns& runs, std::size_t variant) {
  const TileRun& shape = runs.variants[variant];
  const bool reads_rows = s.k.vec == VecStage::kInline, keeps_sums = s.k.conv == ConvStage::kRow;
  double tiles = 0, sites = 0;
  for (std::size_t i = 0; i < runs.runs.size(); ++i) {
    if (runs.variant[i] != variant) continue;
    tiles += runs.runs[i].count;
    sites += 1;
  }
  Function f;
  f.calls = Inner(s) ? s.chunks * tiles : s.chunks * s.blocks * sites;
  f.signature = fmt::format(
      "static NOINLINE void tiles_{}(const int32_t *header, const uint8_t *block, {}, uint8_t "
      "*y{}{})",
      variant, reads_rows ? "const uint8_t *const *row, int64_t at" : "const uint8_t *taps",
      keeps_sums ? ", uint8_t *sums" : "", Inner(s) ? "" : ", int32_t count");

  std::string head =
      "const int32_t lo = header[ACT_MIN], hi = header[ACT_MAX];\n(void)lo, (void)hi;\n";
  if (reads_rows) {
    for (std::int32_t r = 0; r < s.rows; ++r)
      head += fmt::format("const uint8_t *const row{0} = row[{0}];\n", r);
    if (s.k.pad == PadStage::kInline)
      head += "const krow flip = k_row_splat(header[FLIP]);\n(void)flip;\n";
    head += "const krow pad_row = k_row_splat(header[PAD_VALUE]);\n(void)pad_row;\n";
    if (shape.inside_begin > 0 || shape.inside_end < s.columns) {
      std::string pads;
      for (std::int32_t slot = 0; slot < s.il.group; ++slot) pads += ", pad_row";
      head += fmt::format("ktaps pad[K_VECTORS];\nk_interleave(pad{});\n(void)pad;\n", pads);
    }
  }
  Stmts body = TileEmitter(s, shape).Emit();
  body.insert(body.begin(), Text("const uint8_t *w = block + CONSTANT_BYTES;\n"));
  std::string advance;
  if (Inner(s)) {
    advance = NextBlock(s, reads_rows);
    if (!reads_rows) advance += "taps += GROUPS * K_BLOCK_BYTES;\n";
  } else {
    advance = "y += TILE_COLUMNS * C;\n";
    advance += reads_rows ? "at += TILE_COLUMNS * STRIDE_W * C;\n"
                          : "taps += TILE_COLUMNS * STRIDE_W * GROUPS * K_BLOCK_BYTES;\n";
  }
  if (keeps_sums) advance += "sums += OUTPUTS * K_BLOCK_BYTES;\n";
  f.body = {Text(head), RunLoop(s, Inner(s) ? s.blocks : tiles / sites, std::move(body), advance)};
  return f;
}

// The second loop of conv stage `row`: from the buffer of sums to y.
Function FinishFunction(const DepthwiseSchedule& s, const TileRuns& runs) {
  Function f;
  f.calls = Inner(s) ? double(s.chunks) * s.tiles_w
                     : double(s.chunks) * s.blocks * double(runs.runs.size());
  f.signature = fmt::format(
      "static NOINLINE void finish_tiles(const int32_t *header, const uint8_t *block, const "
      "uint8_t *sums, "
      "uint8_t *y{})",
      Inner(s) ? "" : ", int32_t count");
  Stmts body{Text("", {.calls = 1})};
  for (std::int32_t i = 0; i < s.outputs; ++i) {
    const std::int32_t th = i / s.k.tile_w, tw = i % s.k.tile_w;
    body.push_back(
        Text(fmt::format("kv {0}[K_VECTORS];\nk_get_sums({0}, sums + {1} * K_BLOCK_BYTES);\n",
                         Accumulators(th, tw), i),
             {.loads = double(s.il.group)}));
    body.push_back(TileEmitter::FinishOutput(s, th, tw));
  }
  const std::string advance = (Inner(s) ? NextBlock(s, false) : "y += TILE_COLUMNS * C;\n") +
                              std::string("sums += OUTPUTS * K_BLOCK_BYTES;\n");
  const double trips = Inner(s) ? s.blocks : double(s.tiles_w) / double(runs.runs.size());
  f.body = {
      Text("const int32_t lo = header[ACT_MIN], hi = header[ACT_MAX];\n(void)lo, (void)hi;\n"),
      RunLoop(s, trips, std::move(body), advance)};
  return f;
}

// Calls `call` for every tile of a run (channels inside), or once for the whole run; `t` is the
// tile in the row.
Stmt ForTiles(const DepthwiseSchedule& s, const TileRun& run, const std::string& call) {
  const std::string tile = fmt::format("const int32_t t = {}{}, column = {}{};\n", run.first,
                                       Inner(s) && run.count > 1 ? " + i" : "", run.output,
                                       Inner(s) && run.count > 1 ? " + i * TILE_COLUMNS" : "");
  Stmts body{Text(tile + "(void)t;\n" + call)};
  if (!Inner(s) || run.count == 1) return Block(std::move(body));
  return Loop(fmt::format("for (int32_t i = 0; i < {}; ++i)", run.count), run.count,
              std::move(body));
}

}  // namespace

std::vector<Function> TileFunctions(const DepthwiseSchedule& s, const TileRuns& runs) {
  std::vector<Function> functions;
  for (std::size_t v = 0; v < runs.variants.size(); ++v)
    functions.push_back(TileFunction(s, runs, v));
  if (s.k.conv == ConvStage::kRow) functions.push_back(FinishFunction(s, runs));
  return functions;
}

Stmt CallTiles(const DepthwiseSchedule& s, const TileRuns& runs, std::size_t i) {
  const TileRun& run = runs.runs[i];
  std::string source;
  if (s.k.vec == VecStage::kRow) {
    source = fmt::format("taps + column * STRIDE_W{} * GROUPS * K_BLOCK_BYTES",
                         Inner(s) ? " * BLOCKS" : "");
  } else {
    source = fmt::format("row, (int64_t)(column * STRIDE_W{}) * C{}",
                         s.k.pad == PadStage::kInline ? " - PAD_LEFT" : "",
                         Inner(s) ? "" : " + FIRST_CHANNEL(b)");
  }
  std::string sums;
  if (s.k.conv == ConvStage::kRow) {
    sums = fmt::format(", sums + t{} * OUTPUTS * K_BLOCK_BYTES", Inner(s) ? " * BLOCKS" : "");
  }
  return ForTiles(s, run,
                  fmt::format("tiles_{}(header, {}, {}, y + column * C{}{}{});\n", runs.variant[i],
                              Inner(s) ? "blocks" : "blocks + b * BLOCK_BYTES", source,
                              Inner(s) ? "" : " + FIRST_CHANNEL(b)", sums,
                              Inner(s) ? "" : fmt::format(", {}", run.count)));
}

Stmt CallFinish(const DepthwiseSchedule& s, const TileRuns& runs, std::size_t i) {
  const TileRun& run = runs.runs[i];
  return ForTiles(
      s, run,
      fmt::format(
          "finish_tiles(header, {}, sums + t{} * OUTPUTS * K_BLOCK_BYTES, y + column * C{}{});\n",
          Inner(s) ? "blocks" : "blocks + b * BLOCK_BYTES", Inner(s) ? " * BLOCKS" : "",
          Inner(s) ? "" : " + FIRST_CHANNEL(b)", Inner(s) ? "" : fmt::format(", {}", run.count)));
}

}  // namespace kiln
