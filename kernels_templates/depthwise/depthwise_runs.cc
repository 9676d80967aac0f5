#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

#include "kernels_templates/depthwise/depthwise_lower.h"

// The functions that compute runs of tiles, and their calls.

namespace kiln {
namespace {

using Stmts = std::vector<Stmt>;

bool Inner(const DepthwiseSchedule& s) { return s.k.order == ChannelOrder::kInner; }

// The loop of a function over a run: all blocks of one tile, or `count` tiles of one block.
// `advance` moves what the body reads and writes on to the next.
Stmt RunLoop(const DepthwiseSchedule& s, double trips, Stmts body, const std::string& advance) {
  std::string head = "K_HIDE(block);\nconst int32_t *c = (const int32_t *)block;\n";
  body.insert(body.begin(), Text(head));
  body.push_back(Text(advance));
  return Loop(fmt::format("for (int32_t i = 0; i < {}; ++i)", Inner(s) ? "BLOCKS" : "count"), trips,
              std::move(body));
}

// How the loop of a function moves on: to the next block, or to the next tile.
std::string BlockStep(const DepthwiseSchedule& s) {
  const bool overlaps = s.channels > s.il.channels() && s.channels % s.il.channels() != 0;
  return overlaps ? "FIRST_CHANNEL(i + 1) - FIRST_CHANNEL(i)" : "BLOCK";
}
std::string Next(const DepthwiseSchedule& s, std::string_view what) {
  if (what == "sums") return "sums += OUTPUTS * K_BLOCK_BYTES;\n";
  if (Inner(s)) {
    if (what == "taps") return "taps += GROUPS * K_BLOCK_BYTES;\n";
    return fmt::format("{} += {};\n", what, BlockStep(s));
  }
  if (what == "taps") return "taps += TILE_COLUMNS * STRIDE_W * GROUPS * K_BLOCK_BYTES;\n";
  if (what == "at") return "at += TILE_COLUMNS * STRIDE_W * C;\n";
  return "y += TILE_COLUMNS * C;\n";
}

constexpr std::string_view kRange =
    "const k_range range = {header[ACT_MIN], header[ACT_MAX], "
    "header[Y_ZERO_POINT]};\n(void)range;\n";

// What a function with tiles that read rows sets up before its loop.
std::string RowLocals(const DepthwiseSchedule& s, const TileRun& shape) {
  std::string text;
  for (std::int32_t r = 0; r < s.rows; ++r) {
    text += fmt::format("const uint8_t *const row{0} = row[{0}];\n", r);
  }
  if (s.k.pad == PadStage::kInline) {
    text += "const krow flip = k_row_splat(header[FLIP]);\n(void)flip;\n";
  }
  const bool pads = shape.inside_begin > 0 || shape.inside_end < s.columns;
  if (s.k.group == TapGroup::kLinear || pads) {
    text += "const krow pad_row = k_row_splat(header[PAD_VALUE]);\n(void)pad_row;\n";
  }
  if (s.k.group == TapGroup::kVertical && pads) {
    std::string rows;
    for (std::int32_t slot = 0; slot < s.il.group; ++slot) rows += ", pad_row";
    text += fmt::format("ktaps pad[K_VECTORS];\nk_interleave(pad{});\n", rows);
  }
  return text;
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
      "NOINLINE void tiles_{}(const int32_t *header, const uint8_t *block, {}, uint8_t *{}{})",
      variant, reads_rows ? "const uint8_t *const *row, int64_t at" : "const uint8_t *taps",
      keeps_sums ? "sums" : "y", Inner(s) ? "" : ", int32_t count");
  std::string head(keeps_sums ? "(void)header;\n" : kRange);
  if (reads_rows) head += RowLocals(s, shape);
  Stmts body = TileBody(s, shape);
  body.insert(body.begin(), Text("const uint8_t *w = block + CONSTANT_BYTES;\n"));
  const std::string advance = (Inner(s) ? "block += BLOCK_BYTES;\n" : "") +
                              Next(s, reads_rows ? "at" : "taps") +
                              Next(s, keeps_sums ? "sums" : "y");
  f.body = {Text(head), RunLoop(s, Inner(s) ? s.blocks : tiles / sites, std::move(body), advance)};
  return f;
}

// The second loop of conv stage `row`: from the buffer of sums to y.
Function FinishFunction(const DepthwiseSchedule& s, const TileRuns& runs) {
  Function f;
  f.calls = Inner(s) ? double(s.chunks) * s.tiles_w
                     : double(s.chunks) * s.blocks * double(runs.runs.size());
  f.signature = fmt::format(
      "NOINLINE void finish_tiles(const int32_t *header, const uint8_t *block, const "
      "uint8_t *sums, "
      "uint8_t *y{})",
      Inner(s) ? "" : ", int32_t count");
  Stmts body{Text("", {.calls = 1})};
  for (std::int32_t i = 0; i < s.outputs; ++i) {
    const std::int32_t th = i / s.k.tile_w, tw = i % s.k.tile_w;
    body.push_back(
        Text(fmt::format("kv {0}[K_VECTORS];\nk_get_sums({0}, sums + {1} * K_BLOCK_BYTES);\n"
                         "k_requantize_block({0}, c);\n",
                         Accumulators(th, tw), i),
             {.loads = double(s.il.vectors), .requantizes = double(s.il.vectors)}));
    body.push_back(StoreOutput(s, th, tw));
  }
  const std::string advance =
      (Inner(s) ? "block += BLOCK_BYTES;\n" : "") + Next(s, "y") + Next(s, "sums");
  const double trips = Inner(s) ? s.blocks : double(s.tiles_w) / double(runs.runs.size());
  f.body = {Text(std::string(kRange)), RunLoop(s, trips, std::move(body), advance)};
  return f;
}

// Calls `call` for every tile of a run (channels inside), or once for the whole run; `t` is the
// tile in the row.
Stmt ForTiles(const DepthwiseSchedule& s, const TileRun& run, const std::string& call) {
  const std::string tile = fmt::format("const int32_t t = {}{}, column = {}{};\n", run.first,
                                       Inner(s) && run.count > 1 ? " + i" : "", run.output,
                                       Inner(s) && run.count > 1 ? " + i * TILE_COLUMNS" : "");
  Stmts body{Text(tile + "(void)t, (void)column;\n" + call)};
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
  const std::string to =
      s.k.conv == ConvStage::kRow
          ? fmt::format("sums + t{} * OUTPUTS * K_BLOCK_BYTES", Inner(s) ? " * BLOCKS" : "")
          : fmt::format("y + column * C{}", Inner(s) ? "" : " + FIRST_CHANNEL(b)");
  return ForTiles(s, run,
                  fmt::format("tiles_{}(header, {}, {}, {}{});\n", runs.variant[i],
                              Inner(s) ? "blocks" : "blocks + b * BLOCK_BYTES", source, to,
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
