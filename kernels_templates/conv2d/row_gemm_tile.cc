#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kernels_templates/conv2d/row_gemm_lower.h"
#include "kernels_templates/isa/requantize.h"

// The micro-kernel: everything that it keeps in registers is spelled out, because only then does
// the compiler keep it there.

namespace kiln {
namespace {

using Stmts = std::vector<Stmt>;

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

bool ReadsRaw(const GemmSchedule& s) { return s.k.stage == DataStage::kRaw; }

// Whether activations take an instruction beside their load.
bool Prepares(const GemmSchedule& s) {
  return ReadsRaw(s) && (s.isa.activation_bytes > 1 || ActivationOffset(s.isa, s.w) != 0);
}

// Where a pixel of the tile has its activations for a step.
std::int64_t PixelAt(const GemmSchedule& s, std::int32_t i, std::int32_t j, std::int32_t step) {
  const std::int32_t value_bytes = ReadsRaw(s) ? 1 : s.isa.activation_bytes;
  return std::int64_t{i} * s.step_h * s.row_pitch + std::int64_t{j} * s.step_w * s.pixel_pitch +
         std::int64_t{step} * s.isa.group * value_bytes;
}

// Where pixels overlap, the compiler would keep what one step broadcast for the next, and spill it.
constexpr char kHideActivations[] = "K_HIDE(a);\n";

// Where a dot is several instructions the compiler may take all products of a stretch of code
// before their sums, and keep more of them than a stack frame holds: found where the taps of a
// kernel row are written out and none of their steps are in a loop. There the sums of what came
// before are known before activations are loaded.
std::string BeforeActivations(const GemmSchedule& s, const Panel& panel, Columns columns) {
  constexpr std::int32_t kMostDots = 256;
  const std::int32_t pixels = s.k.tile_h * (columns.end - columns.begin);
  const bool in_loop = s.steps / s.k.unroll_k > 1;
  std::string text;
  if (s.isa.splits_groups && s.skips_columns && !in_loop &&
      s.w.kw * s.steps * pixels * panel.vectors > kMostDots) {
    for (std::int32_t i = 0; i < s.k.tile_h; ++i) {
      for (std::int32_t j = columns.begin; j < columns.end; ++j) {
        for (std::int32_t v = 0; v < panel.vectors; ++v) {
          text += fmt::format("K_UNKNOWN({});\n", Accumulator(i * s.k.tile_w + j, v));
        }
      }
    }
  }
  return text + kHideActivations;
}

// The activations of several steps, from `unrolled` on, a load per pixel.
Stmt Chunks(const GemmSchedule& s, const Panel& panel, Columns columns, std::int32_t unrolled) {
  std::string text = BeforeActivations(s, panel, columns);
  OpCounts counts;
  for (std::int32_t i = 0; i < s.k.tile_h; ++i) {
    for (std::int32_t j = columns.begin; j < columns.end; ++j) {
      text += fmt::format("const kchunk x{} = {}(a + {});\n", i * s.k.tile_w + j,
                          ReadsRaw(s) ? "k_chunk_raw" : "k_chunk", PixelAt(s, i, j, unrolled));
      counts.loads += 1;
      counts.shuffles += Prepares(s);
    }
  }
  return Text(text, counts);
}

// One step over `group` values: weights once, the activations of each pixel broadcast, by a load
// each or out of a chunk.
Stmt Step(const GemmSchedule& s, const Panel& panel, Columns columns, std::int32_t unrolled,
          bool in_chunk) {
  const char* broadcast = ReadsRaw(s) ? "k_broadcast_raw" : "k_broadcast";
  std::string text = in_chunk ? "" : BeforeActivations(s, panel, columns);
  OpCounts counts;
  for (std::int32_t v = 0; v < panel.vectors; ++v) {
    text += fmt::format("kop w{} = k_weights(w + {});\n", v,
                        (unrolled * panel.vectors + v) * s.isa.weight_vector_bytes());
    counts.loads += 1;
  }
  for (std::int32_t i = 0; i < s.k.tile_h; ++i) {
    for (std::int32_t j = columns.begin; j < columns.end; ++j) {
      if (in_chunk) {
        text += fmt::format("{{ const kop v = K_LANE(x{}, {});", i * s.k.tile_w + j,
                            unrolled % s.isa.chunk_steps);
      } else {
        text += fmt::format("{{ const kop v = {}(a + {});", broadcast, PixelAt(s, i, j, unrolled));
        counts.broadcasts += 1;
        counts.shuffles += Prepares(s);
      }
      for (std::int32_t v = 0; v < panel.vectors; ++v) {
        const std::string c = Accumulator(i * s.k.tile_w + j, v);
        text += fmt::format(" {0} = k_dot({0}, v, w{1});", c, v);
        counts.dots += 1;
      }
      text += " }\n";
    }
  }
  return Text(text, counts);
}

Stmts Steps(const GemmSchedule& s, const Panel& panel, Columns columns, std::int32_t count) {
  Stmts steps;
  const std::int32_t chunk = s.isa.chunk_steps, in_chunks = s.StepsInChunks(count);
  for (std::int32_t first = 0; first < in_chunks; first += chunk) {
    Stmts block{Chunks(s, panel, columns, first)};
    for (std::int32_t u = first; u < first + chunk; ++u) {
      block.push_back(Block({Step(s, panel, columns, u, true)}));
    }
    steps.push_back(Block(std::move(block)));
  }
  for (std::int32_t u = in_chunks; u < count; ++u) {
    steps.push_back(Block({Step(s, panel, columns, u, false)}));
  }
  steps.push_back(Text(fmt::format("a += {} * GROUP * VALUE;\nw += {} * WEIGHT_VECTOR;\n", count,
                                   count * panel.vectors)));
  return steps;
}

// All steps of a segment, and `a` back at its begin.
Stmts Segment(const GemmSchedule& s, const Panel& panel, Columns columns) {
  const std::int32_t unroll = std::min(s.k.unroll_k, s.steps), rounds = s.steps / unroll;
  Stmts segment;
  segment.push_back(Loop(fmt::format("for (int32_t k = 0; k < STEPS / {}; ++k)", unroll), rounds,
                         Steps(s, panel, columns, unroll)));
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
      text += fmt::format("kv {} = k_load(bias + {} * LANES){};\n", Accumulator(j, v),
                          (s.skips_columns ? s.column_classes.Of(j) : 0) * panel.vectors + v,
                          s.sums ? fmt::format(" + sums[{}]", j) : "");
    }
  }
  text += fmt::format(
      "const uint8_t *w = panel + {0} * (CONSTANTS + {1}) * LANES * 4 +\n"
      "                   kRowBegin[row_class] * SEGMENTS * STEPS * {0} * WEIGHT_VECTOR;\n"
      "a += kRowBegin[row_class] * TAP_H * ROW_PITCH;\n"
      "(void)a, (void)w;  /* an image that no tap reaches */\n",
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

}  // namespace

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
    f.body.push_back(Text(
        text, {.loads = double(RequantizeConstants(s.isa, s.w)), .requantizes = double(pixels)}));
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
  f.body.push_back(Text("", {.loads = double(RequantizeConstants(s.isa, s.w)) * panel.vectors}));
  f.body.push_back(
      Loop("for (int32_t i = 0; i < TILE_H; ++i)", 1,
           {Loop("for (int32_t j = 0; j < columns; ++j)", pixels, std::move(columns))}));
  f.calls = tile_calls;
  return f;
}

}  // namespace kiln
