#include "kernels_templates/conv2d/row_gemm_lower.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "kernels_templates/isa/requantize.h"

// Prints a GemmSchedule as C. Sizes become #defines, so that the code reads like the schedule;
// everything that the micro-kernel keeps in registers is spelled out, because only then does the
// compiler keep it there.

namespace kiln {
namespace {

using Stmts = std::vector<Stmt>;

// ---- names and sizes
// ------------------------------------------------------------------------------------------

std::string Defines(const GemmSchedule& s) {
  std::string text;
  const auto define = [&](const char* name, std::int64_t value) {
    text += fmt::format("#define {} {}\n", name, value);
  };
  const bool raw = s.k.stage == DataStage::kRaw;
  define("GROUPS", s.w.groups);
  define("C", s.w.c);         // input channels
  define("CG", s.group_in);   // of a group
  define("O", s.w.o);         // output channels
  define("OG", s.group_out);  // of a group
  define("IN_H", s.in_h);
  define("IN_W", s.in_w);
  define("OUT_H", s.out_h);
  define("OUT_W", s.out_w);
  define("STRIDE_H", s.w.stride_h);
  define("STRIDE_W", s.w.stride_w);
  define("PAD_TOP", s.w.pad_top);
  define("PAD_LEFT", s.w.pad_left);
  define("KH", s.w.kh);
  define("KW", s.w.kw);
  define("SEGMENTS", s.segments_w);     // per kernel row
  define("SEGMENT", s.segment_values);  // values
  define("STEPS", s.steps);             // dots per segment
  define("GROUP", s.isa.group);         // values per dot
  define("VALUE", raw ? 1 : s.isa.activation_bytes);
  define("STEP_H", s.step_h);  // rows and columns of the stage from one output to the next,
  define("STEP_W", s.step_w);
  define("TAP_H", s.tap_h);  // and from one tap to the next
  define("TAP_W", s.tap_w);
  define("ROW_PITCH", s.row_pitch);
  define("PIXEL_PITCH", s.pixel_pitch);
  define("STAGED_ROWS", s.staged_rows);
  define("TILE_H", s.k.tile_h);
  define("TILE_W", s.k.tile_w);
  define("TILES_H", s.tiles_h);
  define("TILES_W", s.tiles_w);
  define("BLOCKS", s.blocks);
  define("BLOCK_TILES", s.block_tiles);
  define("BLOCK_COLUMNS", s.block_columns);
  define("FULL_PANELS", s.full_panels);
  define("PANELS", s.panels());
  define("PANEL_CHANNELS", std::int64_t{s.k.tile_c} * s.isa.lanes);
  define("PANEL_BYTES", s.panel_bytes);
  define("GROUP_BYTES", s.group_bytes);
  define("WEIGHT_VECTOR", s.isa.weight_vector_bytes());
  define("CONSTANTS", kConstantVectors);
  define("HEADER", 64);
  define("PREPARED_OFFSET", ActivationOffset(s.isa, s.w));
  text +=
      "#define MIN(a, b) ((a) < (b) ? (a) : (b))\n"
      "#define MAX(a, b) ((a) > (b) ? (a) : (b))\n"
      "#define TILE_ROW(t) MIN((t) * TILE_H, OUT_H - TILE_H)\n"
      "#define TILE_COLUMN(t) MIN((t) * TILE_W, OUT_W - TILE_W)\n"
      "enum { PAD_VALUE, Y_ZERO_POINT, ACT_MIN, ACT_MAX, SUM_FACTOR };  /* header of packed */\n";
  return text;
}

// For skipped borders: the class of every output row, and the taps that classes have.
std::string ClassTables(const GemmSchedule& s) {
  std::string rows;
  for (std::int32_t oh = 0; oh < s.out_h; ++oh) {
    rows += fmt::format("{}{}", oh > 0 ? ", " : "", s.row_classes.Of(oh));
  }
  std::string columns;
  for (std::int32_t ow = 0; ow < s.out_w; ++ow) {
    columns += fmt::format("{}{}", ow > 0 ? ", " : "", s.column_classes.Of(ow));
  }
  const auto table = [](const char* name, const std::array<std::int32_t, TapClasses::kMost>& of,
                        std::int32_t count) {
    return fmt::format("static const int32_t {}[] = {{{}}};\n", name,
                       fmt::join(of.begin(), of.begin() + count, ", "));
  };
  return fmt::format("enum {{ ROW_CLASSES = {}, COLUMN_CLASSES = {} }};\n", s.row_classes.count,
                     s.column_classes.count) +
         fmt::format("static const uint8_t kRowClass[] = {{{}}};\n", rows) +
         (s.sums && s.skips_columns
              ? fmt::format("static const uint8_t kColumnClass[] = {{{}}};\n", columns)
              : "") +
         table("kRowBegin", s.row_classes.begin, s.row_classes.count) +
         table("kRowEnd", s.row_classes.end, s.row_classes.count) +
         table("kColumnBegin", s.column_classes.begin, s.column_classes.count) +
         table("kColumnEnd", s.column_classes.end, s.column_classes.count);
}

// ---- data stages
// ----------------------------------------------------------------------------------------------

// Prepares `width` columns of input row `ih`, from input column `iw` on; what lies outside is
// padding.
Function StageRow(const GemmSchedule& s) {
  Function f;
  f.signature =
      "NOINLINE void stage_row(uint8_t *to, const uint8_t *image, int32_t ih, int32_t iw, int32_t "
      "width,\n"
      "                        int32_t pad)";
  std::string text =
      "if (ih < 0 || ih >= IN_H) {\n"
      "  k_fill(to, pad, (int64_t)width * C);\n"
      "  return;\n"
      "}\n"
      "const uint8_t *row = image + (int64_t)ih * IN_W * C;\n";
  if (s.step_w == s.w.stride_w) {
    text +=
        "const int32_t left = MIN(MAX(-iw, 0), width);\n"
        "const int32_t right = MIN(MAX(iw + width - IN_W, 0), width - left);\n"
        "k_fill(to, pad, (int64_t)left * C);\n"
        "to += left * PIXEL_PITCH;\n"
        "const int32_t inside = width - left - right;\n"
        "k_prepare(to, row + (int64_t)(iw + left) * C, (int64_t)inside * C);\n"
        "k_fill(to + inside * PIXEL_PITCH, pad, (int64_t)right * C);\n";
  } else {
    text +=
        "for (int32_t j = 0; j < width; ++j, to += PIXEL_PITCH, iw += STRIDE_W) {\n"
        "  if (iw < 0 || iw >= IN_W) {\n"
        "    k_fill(to, pad, C);\n"
        "  } else {\n"
        "    k_prepare(to, row + (int64_t)iw * C, C);\n"
        "  }\n"
        "}\n";
  }
  f.body.push_back(Text(text));
  f.calls = 0;  // its work is counted where it is called
  return f;
}

// Rows of the stage back to rows of x: compact stages skip what no output reads.
const char* InputRow(const GemmSchedule& s) {
  return s.step_h == s.w.stride_h ? "- PAD_TOP" : "* STRIDE_H - PAD_TOP";
}

LoopProgram::Phase RootStage(const GemmSchedule& s) {
  const double copies = double(s.row_pitch) / s.isa.vector_bytes();
  const std::string text = fmt::format(
      "const int32_t image = (int32_t)chunk / STAGED_ROWS, row = (int32_t)chunk % STAGED_ROWS;\n"
      "stage_row((uint8_t *)shared_ws + (int64_t)chunk * ROW_PITCH, x + (int64_t)image * IN_H * "
      "IN_W * C,\n"
      "          row {}, -PAD_LEFT, {}, ((const int32_t *)packed)[PAD_VALUE]);\n",
      InputRow(s), s.StagedColumns(s.out_w));
  LoopProgram::Phase phase;
  phase.chunks = static_cast<std::uint32_t>(s.images * s.staged_rows);
  phase.body.push_back(Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", phase.chunks,
                            {Text(text, {.copies = copies})}));
  return phase;
}

// ---- loops around the micro-kernel
// ----------------------------------------------------------------------------

// Where a block's tiles read: `a` is the first pixel of the block for group 0.
std::string BlockSource(const GemmSchedule& s) {
  switch (s.k.stage) {
    case DataStage::kRaw:
      return "const uint8_t *a = x + (((int64_t)image * IN_H + oh * STRIDE_H - PAD_TOP) * IN_W + "
             "column * STRIDE_W - PAD_LEFT) * C;\n";
    case DataStage::kRoot:
      return "const uint8_t *a = (const uint8_t *)shared_ws +\n"
             "                   ((int64_t)image * STAGED_ROWS + oh * STEP_H) * ROW_PITCH +\n"
             "                   (int64_t)column * STEP_W * PIXEL_PITCH;\n";
    case DataStage::kBlock:
      break;
  }
  return fmt::format(
      "uint8_t *stage = thread_ws;\n"
      "for (int32_t row = 0; row < STAGED_ROWS; ++row) {{\n"
      "  stage_row(stage + row * ROW_PITCH, x + (int64_t)image * IN_H * IN_W * C,\n"
      "            {} {}, column * STRIDE_W - PAD_LEFT, (columns - 1) * STEP_W + {}, "
      "header[PAD_VALUE]);\n"
      "}}\n"
      "const uint8_t *a = stage;\n",
      s.step_h == s.w.stride_h ? "oh * STRIDE_H + row" : "(oh + row)", InputRow(s),
      (s.w.kw - 1) * s.tap_w + 1);
}

OpCounts BlockCounts(const GemmSchedule& s) {
  OpCounts counts;
  if (s.k.stage == DataStage::kBlock) {
    counts.copies = double(s.staged_rows) * double(s.row_pitch) / s.isa.vector_bytes();
  }
  return counts;
}

std::string BlockVariables() {
  return "const int32_t first = block * BLOCK_TILES, last = MIN(first + BLOCK_TILES, TILES_W);\n"
         "const int32_t oh = TILE_ROW(row_tile), column = TILE_COLUMN(first);\n"
         "const int32_t columns = TILE_COLUMN(last - 1) + TILE_W - column;\n"
         "uint8_t *block_y = y + (((int64_t)image * OUT_H + oh) * OUT_W + column) * O;\n"
         "(void)columns;\n";
}

Stmt TileCall(const GemmSchedule& s) {
  const std::string y = s.k.requantize == RequantizeAt::kRow
                            ? fmt::format("row_buffer + at * {} * LANES", "VECTORS(p)")
                            : "block_y + (int64_t)at * O + g * OG + p * PANEL_CHANNELS";
  return Text(
      "const int32_t at = TILE_COLUMN(t) - column;\n" +
      PanelCall(
          s, "tile",
          "a + (int64_t)at * STEP_W * PIXEL_PITCH + g * CG * VALUE, panel, sums + at, header, " +
              y + (s.skips_rows ? ", kRowClass[oh]" : "")));
}

Stmt TileLoop(const GemmSchedule& s, Stmts body) {
  return Loop("for (int32_t t = first; t < last; ++t)", double(s.tiles_w) / s.blocks,
              std::move(body));
}

constexpr char kPanelPointer[] =
    "const uint8_t *panel = (const uint8_t *)packed + HEADER + g * (int64_t)GROUP_BYTES + p * "
    "(int64_t)PANEL_BYTES;\n";

// The tiles of one block and one panel, and what follows them.
Stmts PanelBody(const GemmSchedule& s) {
  Stmts body;
  body.push_back(TileLoop(s, {TileCall(s)}));
  if (s.k.requantize == RequantizeAt::kRow) {
    body.push_back(Text(
        PanelCall(s, "requantize_row",
                  "row_buffer, panel, header, block_y + g * OG + p * PANEL_CHANNELS, columns")));
  }
  return body;
}

Stmt GroupSums(const GemmSchedule& s) {
  if (!s.sums) return Text("");
  OpCounts counts;
  counts.copies = double(s.k.tile_h) * s.block_columns * s.w.kh * s.segments_w * s.segment_values /
                  s.isa.vector_bytes();
  return Text(fmt::format("block_sums(a + g * CG * VALUE, columns, header[SUM_FACTOR], sums{});\n",
                          s.skips_rows ? ", kRowClass[oh]" : ""),
              counts);
}

Stmts BlockBody(const GemmSchedule& s) {
  Stmts body;
  body.push_back(Text(BlockVariables() + BlockSource(s), BlockCounts(s)));
  const Stmt panel_pointer = Text(kPanelPointer);
  Stmts group;
  group.push_back(GroupSums(s));
  if (s.k.order == GemmOrder::kBlockTilePanel) {
    group.push_back(TileLoop(s, {Loop("for (int32_t p = 0; p < PANELS; ++p)", s.panels(),
                                      {panel_pointer, TileCall(s)})}));
  } else {
    Stmts panel = PanelBody(s);
    panel.insert(panel.begin(), panel_pointer);
    group.push_back(Loop("for (int32_t p = 0; p < PANELS; ++p)", s.panels(), std::move(panel)));
  }
  body.push_back(Loop("for (int32_t g = 0; g < GROUPS; ++g)", s.w.groups, std::move(group)));
  return body;
}

LoopProgram::Phase ComputePhase(const GemmSchedule& s) {
  LoopProgram::Phase phase;
  phase.chunks = static_cast<std::uint32_t>(s.chunks);
  phase.body.push_back(
      Text(fmt::format("const int32_t *header = packed;\n"
                       "int32_t *sums = (int32_t *)((uint8_t *)thread_ws + {});\n"
                       "int32_t *row_buffer = (int32_t *)((uint8_t *)thread_ws + {});\n"
                       "(void)header, (void)sums, (void)row_buffer;\n",
                       s.stage_bytes, s.stage_bytes + s.sums_bytes)));
  Stmts body;
  if (s.k.order == GemmOrder::kPanelBlockTile) {
    Stmts block;
    block.push_back(Text(BlockVariables() + BlockSource(s), BlockCounts(s)));
    for (Stmt& stmt : PanelBody(s)) block.push_back(std::move(stmt));
    body.push_back(
        Text("const int32_t g = (int32_t)chunk / PANELS, p = (int32_t)chunk % PANELS;\n"));
    body.push_back(Text(kPanelPointer));
    body.push_back(
        Loop(fmt::format("for (int32_t image = 0; image < {}; ++image)", s.images), s.images,
             {Loop("for (int32_t row_tile = 0; row_tile < TILES_H; ++row_tile)", s.tiles_h,
                   {Loop("for (int32_t block = 0; block < BLOCKS; ++block)", s.blocks,
                         std::move(block))})}));
  } else {
    body.push_back(
        Text("const int32_t block = (int32_t)chunk % BLOCKS, row_tile = (int32_t)chunk / BLOCKS % "
             "TILES_H;\n"
             "const int32_t image = (int32_t)chunk / BLOCKS / TILES_H;\n"));
    for (Stmt& stmt : BlockBody(s)) body.push_back(std::move(stmt));
  }
  phase.body.push_back(
      Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", phase.chunks, std::move(body)));
  return phase;
}

}  // namespace

std::vector<std::int32_t> StoreGroups(const GemmSchedule& s, std::int32_t vectors) {
  std::vector<std::int32_t> groups;
  std::int32_t width = s.k.store == StoreForm::kNatural ? 1 : s.isa.max_store_group;
  for (; width > 0; width /= 2) {
    for (; vectors >= width; vectors -= width) groups.push_back(width);
  }
  return groups;
}

std::string PanelCall(const GemmSchedule& s, const std::string& name,
                      const std::string& arguments) {
  const std::string full = fmt::format("{}({});", name, arguments);
  const std::string tail = fmt::format("{}_tail({});", name, arguments);
  if (s.tail_channels == 0) return full + "\n";
  if (s.full_panels == 0) return tail + "\n";
  return fmt::format("if (p < FULL_PANELS) {} else {}\n", full, tail);
}

LoopProgram LowerRowGemm(const GemmSchedule& s) {
  const double tile_calls = double(s.images) * s.tiles_h * s.tiles_w * s.w.groups;
  std::vector<std::pair<Panel, double>> kinds;
  if (s.full_panels > 0) {
    kinds.push_back({{"", s.k.tile_c, s.k.tile_c * s.isa.lanes}, tile_calls * s.full_panels});
  }
  if (s.tail_channels > 0)
    kinds.push_back({{"_tail", s.tail_vectors, s.tail_channels}, tile_calls});

  LoopProgram program;
  program.isa = s.isa.required;
  program.prelude = Defines(s) + Prelude(s.isa, s.w);
  if (s.skips_rows) program.prelude += ClassTables(s);
  if (s.k.requantize == RequantizeAt::kRow) {
    program.prelude += fmt::format("#define VECTORS(p) ((p) < FULL_PANELS ? {} : {})\n", s.k.tile_c,
                                   s.tail_vectors);
  }
  if (s.k.stage != DataStage::kRaw) program.functions.push_back(StageRow(s));
  if (s.sums) {
    program.prelude += SumsSource(s);
    program.functions.push_back(BlockSums(s));
  }
  for (const auto& [panel, calls] : kinds) {
    program.functions.push_back(MicroKernel(s, panel, calls));
    if (s.k.requantize == RequantizeAt::kRow) {
      program.functions.push_back(RequantizeRow(s, panel, calls));
    }
    program.functions.push_back(PackPanel(s, panel));
  }
  program.pack = PackBody(s);
  if (s.k.stage == DataStage::kRoot) program.phases.push_back(RootStage(s));
  program.phases.push_back(ComputePhase(s));
  program.x_bytes = s.w.x_bytes();
  program.y_bytes = s.w.y_bytes();
  program.packed_bytes = s.packed_bytes;
  program.shared_bytes = s.shared_bytes;
  program.thread_bytes = s.thread_bytes;
  return program;
}

}  // namespace kiln
