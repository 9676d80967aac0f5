#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels_templates/conv2d/row_gemm.h"
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
  define("PANEL_CHANNELS", s.k.tile_c * s.isa.lanes);
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
  const auto table = [](const char* name, const std::array<std::int32_t, TapClasses::kMost>& of,
                        std::int32_t count) {
    return fmt::format("static const int32_t {}[] = {{{}}};\n", name,
                       fmt::join(of.begin(), of.begin() + count, ", "));
  };
  return fmt::format("enum {{ ROW_CLASSES = {}, COLUMN_CLASSES = {} }};\n", s.row_classes.count,
                     s.column_classes.count) +
         fmt::format("static const uint8_t kRowClass[] = {{{}}};\n", rows) +
         table("kRowBegin", s.row_classes.begin, s.row_classes.count) +
         table("kRowEnd", s.row_classes.end, s.row_classes.count) +
         table("kColumnBegin", s.column_classes.begin, s.column_classes.count) +
         table("kColumnEnd", s.column_classes.end, s.column_classes.count);
}

// The widths of the stores that write so many vectors of a pixel, in order.
std::vector<std::int32_t> StoreGroups(const GemmSchedule& s, std::int32_t vectors) {
  std::vector<std::int32_t> groups;
  std::int32_t width = s.k.store == StoreForm::kNatural ? 1 : s.isa.max_store_group;
  for (; width > 0; width /= 2) {
    for (; vectors >= width; vectors -= width) groups.push_back(width);
  }
  return groups;
}

// ---- the micro-kernel
// -----------------------------------------------------------------------------------------

// What the two kinds of panel differ in.
struct Panel {
  std::string suffix;  // of function names
  std::int32_t vectors = 1;
  std::int32_t channels = 1;  // that exist
};

std::string Accumulator(std::int32_t pixel, std::int32_t vector) {
  return fmt::format("c{}_{}", pixel, vector);
}

// Saturates, clamps and stores the vectors of one pixel; `value` names the result of a vector.
template <typename Value>
Stmt StorePixel(const GemmSchedule& s, const Panel& panel, const std::string& y, Value value) {
  std::string text;
  double stores = 0;
  std::int32_t first = 0;
  for (const std::int32_t width : StoreGroups(s, panel.vectors)) {
    const std::int32_t offset = first * s.isa.lanes;
    const std::int32_t channels = std::min(panel.channels - offset, width * s.isa.lanes);
    const bool whole = channels == width * s.isa.lanes;
    if (channels > 0) {
      text += fmt::format("k_store{}{}({} + {}, range{}", width, whole ? "" : "_n", y, offset,
                          whole ? "" : fmt::format(", {}", channels));
      for (std::int32_t v = first; v < first + width; ++v) text += ", " + value(v);
      text += ");\n";
    }
    ++stores;
    first += width;
  }
  return Text(text, {.stores = stores});
}

Stmt DeclareRange() {
  return Text("const k_range range = {header[ACT_MIN], header[ACT_MAX], header[Y_ZERO_POINT]};\n");
}

// The columns of a tile that a step is for.
struct Columns {
  std::int32_t begin = 0, end = 0;
};

// One step over `group` values: weights once, a broadcast per pixel.
Stmt Step(const GemmSchedule& s, const Panel& panel, Columns columns, std::int32_t unrolled) {
  const std::int32_t value_bytes = s.k.stage == DataStage::kRaw ? 1 : s.isa.activation_bytes;
  const char* broadcast = s.k.stage == DataStage::kRaw ? "k_broadcast_raw" : "k_broadcast";
  const bool prepares = s.k.stage == DataStage::kRaw &&
                        (s.isa.activation_bytes > 1 || ActivationOffset(s.isa, s.w) != 0);
  // Where pixels overlap, the compiler would keep what one step broadcast for the next, and spill
  // it.
  std::string text = "K_HIDE(a);\n";
  OpCounts counts;
  for (std::int32_t v = 0; v < panel.vectors; ++v) {
    text += fmt::format("kop w{} = k_weights(w + {});\n", v,
                        (unrolled * panel.vectors + v) * s.isa.weight_vector_bytes());
    counts.loads += 1;
  }
  for (std::int32_t i = 0; i < s.k.tile_h; ++i) {
    for (std::int32_t j = columns.begin; j < columns.end; ++j) {
      const std::int64_t at = i * s.step_h * s.row_pitch + j * s.step_w * s.pixel_pitch +
                              std::int64_t{unrolled} * s.isa.group * value_bytes;
      text += fmt::format("{{ const kop v = {}(a + {});", broadcast, at);
      for (std::int32_t v = 0; v < panel.vectors; ++v) {
        const std::string c = Accumulator(i * s.k.tile_w + j, v);
        text += fmt::format(" {0} = k_dot({0}, v, w{1});", c, v);
        counts.dots += 1;
      }
      text += " }\n";
      counts.broadcasts += 1;
      counts.shuffles += prepares;
    }
  }
  return Text(text, counts);
}

Stmts Steps(const GemmSchedule& s, const Panel& panel, Columns columns, std::int32_t count) {
  Stmts steps;
  for (std::int32_t u = 0; u < count; ++u) steps.push_back(Block({Step(s, panel, columns, u)}));
  steps.push_back(Text(fmt::format("a += {} * GROUP * VALUE;\nw += {} * WEIGHT_VECTOR;\n", count,
                                   count * panel.vectors)));
  return steps;
}

// All steps of a segment, and `a` back at its begin.
Stmts Segment(const GemmSchedule& s, const Panel& panel, Columns columns) {
  const std::int32_t unroll = std::min(s.k.unroll_k, s.steps);
  Stmts segment;
  segment.push_back(Loop(fmt::format("for (int32_t k = 0; k < STEPS / {}; ++k)", unroll),
                         s.steps / unroll, Steps(s, panel, columns, unroll)));
  if (s.steps % unroll > 0) {
    segment.push_back(Block(Steps(s, panel, columns, s.steps % unroll)));
  }
  segment.push_back(Text("a -= STEPS * GROUP * VALUE;\n"));
  return segment;
}

// The output columns for which kernel column `kw` lies inside of the image.
Columns ColumnsOfTap(const GemmSchedule& s, std::int32_t kw) {
  const TapAxis& axis = s.column_classes.axis;
  Columns columns{s.k.tile_w, 0};
  for (std::int32_t j = 0; j < s.k.tile_w; ++j) {
    if (kw < axis.Begin(j) || kw >= axis.End(j)) continue;
    columns = {std::min(columns.begin, j), j + 1};
  }
  return columns;
}

Stmt Segments(const GemmSchedule& s, const Panel& panel) {
  const Columns all{0, s.k.tile_w};
  Stmts row;
  if (s.skips_columns) {
    for (std::int32_t kw = 0; kw < s.w.kw; ++kw) {
      const Columns columns = ColumnsOfTap(s, kw);
      if (columns.begin < columns.end) {
        row.push_back(Block(Segment(s, panel, columns)));
      } else {
        row.push_back(Text(fmt::format("w += STEPS * {} * WEIGHT_VECTOR;\n", panel.vectors)));
      }
      row.push_back(Text("a += TAP_W * PIXEL_PITCH;\n"));
    }
    row.push_back(Text("a += TAP_H * ROW_PITCH - KW * TAP_W * PIXEL_PITCH;\n"));
  } else if (s.segments_w == 1) {
    row = Segment(s, panel, all);
    row.push_back(Text("a += TAP_H * ROW_PITCH;\n"));
  } else {
    Stmts segment = Segment(s, panel, all);
    segment.push_back(Text("a += TAP_W * PIXEL_PITCH;\n"));
    row.push_back(
        Loop("for (int32_t kw = 0; kw < SEGMENTS; ++kw)", s.segments_w, std::move(segment)));
    row.push_back(Text("a += TAP_H * ROW_PITCH - SEGMENTS * TAP_W * PIXEL_PITCH;\n"));
  }
  if (!s.skips_rows) return Loop("for (int32_t kh = 0; kh < KH; ++kh)", s.w.kh, std::move(row));
  return Loop("for (int32_t kh = kRowBegin[row_class]; kh < kRowEnd[row_class]; ++kh)",
              double(s.row_classes.taps) / s.out_h, std::move(row));
}

// Accumulators begin with the bias of their classes, weights and activations with the first kernel
// row inside of the image.
Stmt StartSkipping(const GemmSchedule& s, const Panel& panel) {
  std::string text = fmt::format(
      "const int32_t *constants = (const int32_t *)panel;\n"
      "const int32_t *bias = constants + ({0} * CONSTANTS + row_class * COLUMN_CLASSES * {0}) * "
      "LANES;\n",
      panel.vectors);
  for (std::int32_t j = 0; j < s.k.tile_w; ++j) {
    for (std::int32_t v = 0; v < panel.vectors; ++v) {
      text += fmt::format("kv {} = k_load(bias + {} * LANES);\n", Accumulator(j, v),
                          (s.skips_columns ? s.column_classes.Of(j) : 0) * panel.vectors + v);
    }
  }
  text += fmt::format(
      "const uint8_t *w = panel + {0} * (CONSTANTS + {1}) * LANES * 4 +\n"
      "                   kRowBegin[row_class] * SEGMENTS * STEPS * {0} * WEIGHT_VECTOR;\n"
      "a += kRowBegin[row_class] * TAP_H * ROW_PITCH;\n",
      panel.vectors, s.biases());
  return Text(text, {.loads = double(s.column_classes.count) * panel.vectors, .calls = 1});
}

Stmt StartAccumulators(const GemmSchedule& s, const Panel& panel) {
  if (s.skips_rows) return StartSkipping(s, panel);
  std::string text = "const int32_t *constants = (const int32_t *)panel;\n";
  OpCounts counts;
  for (std::int32_t v = 0; v < panel.vectors; ++v) {
    text += fmt::format("const kv bias{0} = k_load(constants + {0} * CONSTANTS * LANES);\n", v);
    counts.loads += 1;
  }
  for (std::int32_t p = 0; p < s.k.tile_h * s.k.tile_w; ++p) {
    const std::string sum =
        s.sums ? fmt::format(" + sums[{}]", p / s.k.tile_w * s.block_columns + p % s.k.tile_w) : "";
    for (std::int32_t v = 0; v < panel.vectors; ++v) {
      text += fmt::format("kv {} = bias{}{};\n", Accumulator(p, v), v, sum);
    }
  }
  text += fmt::format("const uint8_t *w = panel + {} * CONSTANTS * LANES * 4;\n", panel.vectors);
  counts.calls = 1;
  return Text(text, counts);
}

Function MicroKernel(const GemmSchedule& s, const Panel& panel, double calls) {
  const bool to_row = s.k.requantize == RequantizeAt::kRow;
  const std::int32_t pixels = s.k.tile_h * s.k.tile_w;
  Function f;
  f.calls = calls;
  f.signature = fmt::format(
      "NOINLINE void tile{}(const uint8_t *a, const uint8_t *restrict panel, const int32_t "
      "*restrict sums,\n"
      "                   const int32_t *restrict header, {} *restrict y{})",
      panel.suffix, to_row ? "int32_t" : "uint8_t", s.skips_rows ? ", int32_t row_class" : "");
  f.body.push_back(Text("(void)sums, (void)header;\n"));
  f.body.push_back(StartAccumulators(s, panel));
  f.body.push_back(Segments(s, panel));
  if (to_row) {
    std::string text;
    for (std::int32_t p = 0; p < pixels; ++p) {
      const std::int32_t at = p / s.k.tile_w * s.block_columns + p % s.k.tile_w;
      for (std::int32_t v = 0; v < panel.vectors; ++v) {
        text += fmt::format("k_spill(y + {} * LANES, {});\n", at * panel.vectors + v,
                            Accumulator(p, v));
      }
    }
    f.body.push_back(Text(text, {.stores = double(pixels) * panel.vectors}));
    return f;
  }
  f.body.push_back(DeclareRange());
  for (std::int32_t v = 0; v < panel.vectors; ++v) {
    std::string text;
    for (std::int32_t p = 0; p < pixels; ++p) {
      text += fmt::format("{0} = k_requantize({0}, constants + {1} * CONSTANTS * LANES);\n",
                          Accumulator(p, v), v);
    }
    f.body.push_back(Text(text, {.loads = kConstantVectors - 1.0, .requantizes = double(pixels)}));
  }
  for (std::int32_t p = 0; p < pixels; ++p) {
    const std::string at = fmt::format("y + ({} * OUT_W + {}) * O", p / s.k.tile_w, p % s.k.tile_w);
    f.body.push_back(StorePixel(s, panel, at, [&](std::int32_t v) { return Accumulator(p, v); }));
  }
  return f;
}

// RequantizeAt::kRow: the accumulators of a block and panel come from memory.
Function RequantizeRow(const GemmSchedule& s, const Panel& panel, double tile_calls) {
  const double pixels = double(s.k.tile_h) * s.k.tile_w;
  Function f;
  f.signature = fmt::format(
      "NOINLINE void requantize_row{}(const int32_t *restrict row, const uint8_t *restrict panel,\n"
      "                             const int32_t *restrict header, uint8_t *restrict y, int32_t "
      "columns)",
      panel.suffix);
  Stmts pixel;
  std::string text;
  for (std::int32_t v = 0; v < panel.vectors; ++v) {
    text += fmt::format(
        "const kv r{0} = k_requantize(k_load(c + {0} * LANES), constants + {0} * CONSTANTS * "
        "LANES);\n",
        v);
  }
  pixel.push_back(
      Text(text, {.loads = double(panel.vectors), .requantizes = double(panel.vectors)}));
  pixel.push_back(StorePixel(s, panel, "y + (i * OUT_W + j) * O",
                             [](std::int32_t v) { return fmt::format("r{}", v); }));
  Stmts columns;
  columns.push_back(Text(fmt::format(
      "const int32_t *c = row + (i * BLOCK_COLUMNS + j) * {} * LANES;\n", panel.vectors)));
  for (Stmt& stmt : pixel) columns.push_back(std::move(stmt));
  f.body.push_back(Text("const int32_t *constants = (const int32_t *)panel;\n"));
  f.body.push_back(DeclareRange());
  // Counted per tile: a block's pixels are those of its tiles.
  f.body.push_back(Text("", {.loads = (kConstantVectors - 1.0) * panel.vectors}));
  f.body.push_back(
      Loop("for (int32_t i = 0; i < TILE_H; ++i)", 1,
           {Loop("for (int32_t j = 0; j < columns; ++j)", pixels, std::move(columns))}));
  f.calls = tile_calls;
  return f;
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

// Sums over the taps of every pixel of a block, for the weight zero point.
Function BlockSums() {
  Function f;
  f.signature =
      "NOINLINE void block_sums(const uint8_t *a, int32_t columns, int32_t factor, int32_t "
      "*restrict sums)";
  f.body.push_back(
      Text("for (int32_t i = 0; i < TILE_H; ++i) {\n"
           "  for (int32_t j = 0; j < columns; ++j) {\n"
           "    int32_t sum = 0;\n"
           "    for (int32_t kh = 0; kh < KH; ++kh) {\n"
           "      for (int32_t kw = 0; kw < SEGMENTS; ++kw) {\n"
           "        const uint8_t *p = a + (i * STEP_H + kh * TAP_H) * ROW_PITCH +\n"
           "                           (j * STEP_W + kw * TAP_W) * PIXEL_PITCH;\n"
           "        for (int32_t k = 0; k < SEGMENT; ++k) sum += p[k];\n"
           "      }\n"
           "    }\n"
           "    sums[i * BLOCK_COLUMNS + j] = (int32_t)((uint32_t)sum * (uint32_t)factor);\n"
           "  }\n"
           "}\n"));
  f.calls = 0;
  return f;
}

// ---- loops around the micro-kernel
// ----------------------------------------------------------------------------

std::string PanelCall(const GemmSchedule& s, const std::string& name,
                      const std::string& arguments) {
  const std::string full = fmt::format("{}({});", name, arguments);
  const std::string tail = fmt::format("{}_tail({});", name, arguments);
  if (s.tail_channels == 0) return full + "\n";
  if (s.full_panels == 0) return tail + "\n";
  return fmt::format("if (p < FULL_PANELS) {} else {}\n", full, tail);
}

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

const char* kPanelPointer =
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
  return Text("block_sums(a + g * CG * VALUE, columns, header[SUM_FACTOR], sums);\n", counts);
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

// ---- packing
// --------------------------------------------------------------------------------------------------

// For each channel of a panel the vector and lane that hold it: stores pack lanes of several
// vectors.
std::string ChannelTable(const GemmSchedule& s, const Panel& panel) {
  std::string table;
  std::int32_t first = 0;
  for (const std::int32_t width : StoreGroups(s, panel.vectors)) {
    for (std::int32_t c = 0; c < width * s.isa.lanes; ++c) {
      const VectorLane at = LaneOfChannel(c, width);
      table += fmt::format("{}{},", (table.size() % 96 < 4) ? "\n  " : " ",
                           (first + at.vector) * s.isa.lanes + at.lane);
    }
    first += width;
  }
  return fmt::format("static const uint8_t kSlot{}[] = {{{}\n}};\n", panel.suffix, table);
}

// Packing for skipped borders: outputs have the zero point's share of the taps that they have.
constexpr std::string_view kCountTap =
    "        by_tap[t / SEGMENTS][t % SEGMENTS] += (uint32_t)stored;\n";
constexpr std::string_view kClassBiases =
    R"(  const int32_t *constants = (const int32_t *)panel + vector * CONSTANTS * LANES;
  int32_t *biases = (int32_t *)panel + (vectors * CONSTANTS + vector) * LANES;
  for (int32_t r = 0; r < ROW_CLASSES; ++r) {
    for (int32_t k = 0; k < COLUMN_CLASSES; ++k) {
      uint32_t outside = 0;
      for (int32_t kh = 0; kh < KH; ++kh) {
        for (int32_t kw = 0; kw < SEGMENTS; ++kw) {
          const int inside = kh >= kRowBegin[r] && kh < kRowEnd[r] && kw >= kColumnBegin[k] && kw < kColumnEnd[k];
          outside += inside ? 0 : by_tap[kh][kw];
        }
      }
      biases[(r * COLUMN_CLASSES + k) * vectors * LANES + lane] =
          (int32_t)((uint32_t)constants[lane] + outside * (uint32_t)(op->x_zp + PREPARED_OFFSET));
    }
  }
)";

Function PackPanel(const GemmSchedule& s, const Panel& panel) {
  const bool skips = s.skips_rows;
  const char* weight_type = s.isa.weight_bytes == 1 ? "int8_t" : "int16_t";
  const bool unsigned_weights = s.w.type == DataType::kU8;
  Function f;
  f.calls = 0;
  f.signature =
      ChannelTable(s, panel) +
      fmt::format("COLD int pack_panel{}(const kiln_op *op, int32_t first, uint8_t *panel)",
                  panel.suffix);
  f.body.push_back(Text(fmt::format(
      "const int32_t vectors = {0}, channels = {1};\n"
      "{2} *w = ({2} *)(panel + vectors * (CONSTANTS + {10}) * LANES * 4);\n"
      "__builtin_memset(panel, 0, {3});\n"
      "for (int32_t i = 0; i < vectors * LANES; ++i) {{\n"
      "  const int32_t channel = i < channels ? first + i : -1;\n"
      "  const int32_t vector = kSlot{4}[i] / LANES, lane = kSlot{4}[i] % LANES;\n"
      "  uint32_t bias = 0;\n"
      "  int64_t low = 0, high = 0;\n"
      "{13}"
      "  if (channel >= 0) {{\n"
      "    const {5} *from = (const {5} *)op->w + (int64_t)channel * KH * KW * CG;\n"
      "    low = high = op->bias ? op->bias[channel] : 0;\n"
      "    int32_t total = 0;\n"
      "    for (int32_t t = 0; t < KH * SEGMENTS; ++t) {{\n"
      "      for (int32_t k = 0; k < SEGMENT; ++k) {{\n"
      "        const int32_t value = *from++, real = value - op->w_zp, stored = value - {6};\n"
      "        const int32_t a = ({7} - op->x_zp) * real, b = ({8} - op->x_zp) * real;\n"
      "        low += MIN(a, b);\n"
      "        high += MAX(a, b);\n"
      "        total += stored;\n"
      "{11}"
      "        w[((((int64_t)t * STEPS + k / GROUP) * vectors + vector) * LANES + lane) * GROUP + "
      "k % GROUP] =\n"
      "            ({2})stored;\n"
      "      }}\n"
      "    }}\n"
      "    bias = (uint32_t)(op->bias ? op->bias[channel] : 0) -\n"
      "           (uint32_t)(op->x_zp + PREPARED_OFFSET) * (uint32_t)total{9};\n"
      "  }}\n"
      "  const int error = k_pack_constants(op, channel, lane, (int32_t)bias, low, high,\n"
      "                                     (int32_t *)panel + vector * CONSTANTS * LANES);\n"
      "  if (error != KILN_OK) return error;\n"
      "{12}"
      "}}\n"
      "return KILN_OK;\n",
      panel.vectors, panel.channels, weight_type, s.PanelBytes(panel.vectors), panel.suffix,
      unsigned_weights ? "uint8_t" : "int8_t",
      s.isa.subtracts_weight_zero_point ? "op->w_zp" : (unsigned_weights ? "128" : "0"), s.w.qmin(),
      s.w.qmax(),
      s.sums ? " +\n           (uint32_t)(KH * KW * CG) * (uint32_t)op->x_zp * (uint32_t)(op->w_zp "
               "- 128)"
             : "",
      s.biases(), skips ? kCountTap : "", skips ? kClassBiases : "",
      skips ? "  uint32_t by_tap[KH][SEGMENTS] = {{0}};\n" : "")));
  return f;
}

Stmts PackBody(const GemmSchedule& s) {
  return {Text(
      fmt::format("int32_t *header = packed;\n"
                  "__builtin_memset(packed, 0, HEADER);\n"
                  "header[PAD_VALUE] = op->x_zp + {};\n"
                  "header[Y_ZERO_POINT] = op->y_zp;\n"
                  "header[ACT_MIN] = op->act_min;\n"
                  "header[ACT_MAX] = op->act_max;\n"
                  "header[SUM_FACTOR] = 128 - op->w_zp;\n"
                  "for (int32_t g = 0; g < GROUPS; ++g) {{\n"
                  "  for (int32_t p = 0; p < PANELS; ++p) {{\n"
                  "    uint8_t *panel = (uint8_t *)packed + HEADER + g * (int64_t)GROUP_BYTES + p "
                  "* (int64_t)PANEL_BYTES;\n"
                  "    int error;\n"
                  "    {}"
                  "    if (error != KILN_OK) return error;\n"
                  "  }}\n"
                  "}}\n",
                  ActivationOffset(s.isa, s.w),
                  PanelCall(s, "error = pack_panel", "op, g * OG + p * PANEL_CHANNELS, panel")))};
}

}  // namespace

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
  if (s.sums) program.functions.push_back(BlockSums());
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
