#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels_templates/depthwise/depthwise_lower.h"
#include "kernels_templates/depthwise/depthwise_slide.h"

namespace kiln {
namespace {

using Stmts = std::vector<Stmt>;

bool Inner(const DepthwiseSchedule& s) { return s.k.order == ChannelOrder::kInner; }

// Columns of a padded row that lie left of the image and in it.
std::int32_t LeftColumns(const DepthwiseSchedule& s) { return std::min(s.w.pad_left, s.padded_w); }
std::int32_t InsideColumns(const DepthwiseSchedule& s) {
  return std::max(0, std::min(s.w.w, s.padded_w - s.w.pad_left));
}

// Writes row `v` of the padded image of x (one image).
Function PadRow(const DepthwiseSchedule& s, double calls) {
  const std::int32_t left = LeftColumns(s), inside = InsideColumns(s);
  std::string text =
      "const uint8_t pad = (uint8_t)header[PAD_VALUE], flip = (uint8_t)header[FLIP];\n"
      "const int32_t h = v - PAD_TOP;\n"
      "if (h < 0 || h >= H) {\n"
      "  for (int32_t i = 0; i < PADDED_W * C; ++i) d[i] = pad;\n"
      "  return;\n"
      "}\n"
      "x += (int64_t)h * W * CHANNELS_IN;\n";
  if (left > 0) text += fmt::format("for (int32_t i = 0; i < {} * C; ++i) d[i] = pad;\n", left);
  if (s.w.multiplier == 1) {
    text += fmt::format("k_copy(d + {} * C, x, {} * C, flip);\n", left, inside);
  } else {
    text += fmt::format(
        "(void)flip;\n"
        "for (int32_t i = 0; i < {} * CHANNELS_IN; ++i) {{\n"
        "  for (int32_t m = 0; m < MULTIPLIER; ++m) k_copy(d + {} * C + i * MULTIPLIER + m, x + i, "
        "1, flip);\n"
        "}}\n",
        inside, left);
  }
  if (left + inside < s.padded_w) {
    text +=
        fmt::format("for (int32_t i = {} * C; i < PADDED_W * C; ++i) d[i] = pad;\n", left + inside);
  }
  const std::int32_t vectors =
      (s.padded_w * s.channels + s.isa.vector_bytes() - 1) / s.isa.vector_bytes();
  const double copies = vectors;
  return {
      "NOINLINE void write_padded_row(const int32_t *header, const uint8_t *restrict x, "
      "int32_t v, "
      "uint8_t *restrict d)",
      {Text(text, {.copies = copies})},
      calls};
}

// The operands of one column of the window: from rows at offset `at`, or padding.
Stmt InterleaveColumn(const DepthwiseSchedule& s, bool inside) {
  Stmts body;
  for (std::int32_t g = 0; g < s.groups; ++g) {
    OpCounts counts{.copies = double(s.il.vectors)};
    if (!inside) {
      body.push_back(Text(fmt::format("k_put_taps(taps + {} * K_BLOCK_BYTES, pad);\n", g), counts));
      continue;
    }
    const bool raw = s.k.pad == PadStage::kInline;
    std::string rows, names;
    for (std::int32_t slot = 0; slot < s.il.group; ++slot) {
      const std::int32_t row = s.RowOf(g, slot);
      if (row >= 0) {
        rows += fmt::format("{}r{} = {}(row[{}] + at{})", slot > 0 ? ", " : "const krow ", row,
                            raw ? "k_row_raw" : "k_row", row, raw ? ", flip" : "");
        counts.loads += 1;
        counts.shuffles += raw ? s.il.row_shuffles : s.il.stored_row_shuffles;
      }
      names += fmt::format(", r{}", row >= 0 ? row : s.rows - 1);
    }
    counts.shuffles += s.il.interleave_shuffles;
    body.push_back(Block({Text(fmt::format("{};\nktaps t[K_VECTORS];\nk_interleave(t{});\n"
                                           "k_put_taps(taps + {} * K_BLOCK_BYTES, t);\n",
                                           rows, names, g),
                               counts)}));
  }
  body.push_back(Text("taps += GROUPS * K_BLOCK_BYTES;\n"));
  if (Inner(s)) {
    if (inside)
      body.insert(body.begin(), Text("const int64_t at = column * C + FIRST_CHANNEL(b);\n"));
    return Loop("for (int32_t b = 0; b < BLOCKS; ++b)", s.blocks, std::move(body));
  }
  if (inside)
    body.insert(body.begin(), Text("const int64_t at = column * C + FIRST_CHANNEL(b);\n"));
  return Block(std::move(body));
}

// The vec stage: operands of a whole row of tiles, of all blocks or of block b.
Function InterleaveRows(const DepthwiseSchedule& s) {
  const std::int32_t left = s.taps_columns_left(), inside = s.taps_columns_inside();
  const std::int32_t right = s.taps_columns() - left - inside;
  std::string pads;
  for (std::int32_t slot = 0; slot < s.il.group; ++slot) pads += ", pad_row";
  Function f;
  f.calls = double(s.chunks) * (Inner(s) ? 1 : s.blocks);
  f.signature = fmt::format(
      "NOINLINE void interleave_rows(const int32_t *header, const uint8_t *const *row, "
      "uint8_t *taps{})",
      Inner(s) ? "" : ", int32_t b");
  f.body.push_back(Text(fmt::format(
      "const krow flip = k_row_splat(header[FLIP]), pad_row = k_row_splat(header[PAD_VALUE]);\n"
      "ktaps pad[K_VECTORS];\nk_interleave(pad{});\n(void)flip, (void)pad;\n{}",
      pads, Inner(s) ? "" : "(void)b;\n")));
  const auto columns = [&](std::int32_t count, bool is_inside) {
    if (count == 0) return;
    f.body.push_back(Loop(fmt::format("for (int32_t column = 0; column < {}; ++column)", count),
                          count, {InterleaveColumn(s, is_inside)}));
  };
  columns(left, false);
  columns(inside, true);
  columns(right, false);
  return f;
}

// One row of tiles. With channels outside, all its stages are inside of the loop over blocks.
Function RowOfTiles(const DepthwiseSchedule& s, const TileRuns& runs) {
  Stmts work;
  if (s.k.vec == VecStage::kRow) {
    work.push_back(
        Text(fmt::format("interleave_rows(header, row, taps{});\n", Inner(s) ? "" : ", b")));
  }
  for (std::size_t i = 0; i < runs.runs.size(); ++i) work.push_back(CallTiles(s, runs, i));
  if (s.k.conv == ConvStage::kRow) {
    for (std::size_t i = 0; i < runs.runs.size(); ++i) work.push_back(CallFinish(s, runs, i));
  }
  Function f;
  f.calls = s.chunks;
  f.signature =
      "static void row_of_tiles(const uint8_t *packed, const uint8_t *const *row, uint8_t *y, "
      "uint8_t *thread_ws)";
  f.body.push_back(
      Text("const int32_t *header = (const int32_t *)packed;\n"
           "const uint8_t *blocks = packed + FIRST_BLOCK;\n"
           "uint8_t *taps = thread_ws + RING_BYTES, *sums = taps + TAPS_BYTES;\n"
           "(void)taps, (void)sums;\n"));
  if (Inner(s)) {
    for (Stmt& stmt : work) f.body.push_back(std::move(stmt));
  } else {
    f.body.push_back(Loop("for (int32_t b = 0; b < BLOCKS; ++b)", s.blocks, std::move(work)));
  }
  return f;
}

double RingFills(const DepthwiseSchedule& s) {
  double fills = 0;
  std::int32_t filled = 0;
  for (std::int32_t t = 0; t < s.tiles_h; ++t) {
    const std::int32_t first = std::min(t * s.k.tile_h, s.w.out_h() - s.k.tile_h) * s.w.stride_h;
    filled = std::max(filled, first);
    fills += first + s.window - filled;
    filled = first + s.window;
  }
  return fills * s.w.n;
}

// With the number of rows, and the place of row r in the padded image from `first`.
constexpr std::string_view kInlineRows = R"(
for (int32_t r = 0; r < {0}; ++r) {{
  const int32_t h = first + {1} - PAD_TOP;
  row[r] = h >= 0 && h < H ? x + ((int64_t)image * H + h) * W * C : (const uint8_t *)packed + HEADER_BYTES;
}}
)";
// Rows of the padded image stay in the ring from one row of tiles to the next.
constexpr std::string_view kRingRows = R"(
if (image != ring_image || filled < first) filled = first;
ring_image = image;
for (; filled < first + WINDOW; ++filled) {
  write_padded_row(packed, x + (int64_t)image * H * W * CHANNELS_IN, filled,
          (uint8_t *)thread_ws + filled % WINDOW * ROW_BYTES);
}
for (int32_t r = 0; r < ROWS; ++r) {
  row[r] = (const uint8_t *)thread_ws + (first + window_row[r]) % WINDOW * ROW_BYTES;
}
)";
constexpr std::string_view kRootRows = R"(
for (int32_t r = 0; r < {0}; ++r) {{
  row[r] = (const uint8_t *)shared_ws + ((int64_t)image * PADDED_H + first + {1}) * ROW_BYTES;
}}
)";

std::string RowPointers(const DepthwiseSchedule& s, const char* count, const char* place) {
  switch (s.k.pad) {
    case PadStage::kInline:
      return fmt::format(kInlineRows.substr(1), count, place);
    case PadStage::kRow:
      return std::string(kRingRows.substr(1));
    case PadStage::kRoot:
      break;
  }
  return fmt::format(kRootRows.substr(1), count, place);
}

}  // namespace

std::string WindowRows(const DepthwiseSchedule& s) {
  std::string text = "static const int16_t window_row[ROWS] = {";
  for (std::int32_t r = 0; r < s.rows; ++r) {
    text += fmt::format("{}{}", r > 0 ? ", " : "", s.row[static_cast<std::size_t>(r)]);
  }
  text += "};\n";
  if (s.k.pad == PadStage::kRow) text += "int32_t ring_image = -1, filled = 0;\n";
  return text;
}

std::string ChunkRows(const DepthwiseSchedule& s) {
  return "const int32_t image = (int32_t)(chunk / TILES_H), tile = (int32_t)(chunk % TILES_H);\n"
         "const int32_t top = MIN(tile * TILE_H, OUT_H - TILE_H), first = top * STRIDE_H;\n"
         "const uint8_t *row[ROWS];\n" +
         RowPointers(s, "ROWS", "window_row[r]");
}

std::string StackRows(const DepthwiseSchedule& s) {
  return "const int32_t image = (int32_t)(stack / STACKS);\n"
         "const int32_t top = MIN((int32_t)(stack % STACKS) * STACK, OUT_H - STACK), first = top * "
         "STRIDE_H;\n"
         "const uint8_t *row[STACK_WINDOW];\n" +
         RowPointers(s, "STACK_WINDOW", "r");
}

std::vector<Function> StageFunctions(const DepthwiseSchedule& s, const TileRuns& runs) {
  std::vector<Function> functions;
  if (s.k.pad == PadStage::kRow) functions.push_back(PadRow(s, RingFills(s)));
  if (s.k.pad == PadStage::kRoot) functions.push_back(PadRow(s, double(s.w.n) * s.padded_h));
  if (s.k.vec == VecStage::kRow) functions.push_back(InterleaveRows(s));
  if (s.slides()) {
    for (Function& f : SlideFunctions(s)) functions.push_back(std::move(f));
    return functions;
  }
  for (Function& f : TileFunctions(s, runs)) functions.push_back(std::move(f));
  functions.push_back(RowOfTiles(s, runs));
  return functions;
}

std::vector<LoopProgram::Phase> Phases(const DepthwiseSchedule& s) {
  std::vector<LoopProgram::Phase> phases;
  if (s.k.pad == PadStage::kRoot) {
    const double rows = double(s.w.n) * s.padded_h;
    phases.push_back(
        {static_cast<std::uint32_t>(rows),
         {Loop("for (uint32_t i = begin; i < end; ++i)", rows,
               {Text("write_padded_row(packed, x + (int64_t)(i / PADDED_H) * H * W * CHANNELS_IN, "
                     "(int32_t)(i % PADDED_H),\n"
                     "        (uint8_t *)shared_ws + (int64_t)i * ROW_BYTES);\n")})}});
  }
  if (s.slides()) {
    phases.push_back({static_cast<std::uint32_t>(s.chunks), SlidePhase(s)});
    return phases;
  }
  Stmts body{Text(WindowRows(s))};
  body.push_back(
      Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", s.chunks,
           {Text(ChunkRows(s) +
                 "row_of_tiles(packed, row, y + ((int64_t)image * OUT_H + top) * OUT_W * C, "
                 "thread_ws);\n")}));
  phases.push_back({static_cast<std::uint32_t>(s.chunks), std::move(body)});
  return phases;
}

}  // namespace kiln
