#include "kernels_templates/depthwise/depthwise_lower.h"

#include <fmt/format.h>

#include <algorithm>

namespace kiln {
namespace {

std::string Defines(const DepthwiseSchedule& s) {
  std::string text;
  const auto define = [&](const char* name, std::int64_t value) {
    text += fmt::format("#define {} {}\n", name, value);
  };
  define("H", s.w.h);
  define("W", s.w.w);
  define("CHANNELS_IN", s.w.c);
  define("MULTIPLIER", s.w.multiplier);
  define("C", s.channels);  // as the tiles see them: of the output
  define("OUT_H", s.w.out_h());
  define("OUT_W", s.w.out_w());
  define("KH", s.w.kh);
  define("KW", s.w.kw);
  define("STRIDE_H", s.w.stride_h);
  define("STRIDE_W", s.w.stride_w);
  define("PAD_TOP", s.w.pad_top);
  define("PAD_LEFT", s.w.pad_left);
  define("PADDED_H", s.padded_h);
  define("PADDED_W", s.padded_w);
  define("ROW_BYTES", s.row_bytes);  // between rows of a pad stage
  define("WINDOW", s.window);        // rows that one row of tiles spans
  define("ROWS", s.rows);            // of them, those with taps
  define("GROUPS", s.groups);
  define("TILE_H", s.k.tile_h);
  define("TILE_COLUMNS", s.tile_columns);
  define("OUTPUTS", s.outputs);  // of a tile, in blocks
  define("TILES_H", s.tiles_h);
  define("BLOCK", s.il.channels());
  define("BLOCKS", s.blocks);
  if (s.stack > 1) {
    define("TAIL", s.tail_channels);  // of the last block
    define("STACK", s.stack);         // rows of it that are computed at once
    define("STACKS", s.stacks);       // of an image
    define("STACK_WINDOW", s.stack_window());
    text +=
        "#define STACK_OF(chunk) ((chunk) / OUT_H * STACKS + (chunk) % OUT_H / STACK)\n"
        "#define ENDS_STACK(chunk) \\\n"
        "  ((chunk) % OUT_H % STACK == STACK - 1 || (chunk) % OUT_H == OUT_H - 1)\n";
  }
  define("STORED", s.stored);
  define("SETS", s.sets);
  define("HEADER_BYTES", 64);
  define("PAD_ROW_BYTES", s.pad_row_bytes);
  define("FIRST_BLOCK", 64 + s.pad_row_bytes);
  define("CONSTANT_BYTES", s.constant_bytes);
  define("BLOCK_BYTES", s.block_bytes);  // of packed constants and weights
  if (s.walks_narrow_weights()) {
    text +=
        "#define IS_WIDE(b) /* some weight is two numbers */ \\\n"
        "  (*(const int32_t *)((const uint8_t *)packed + FIRST_BLOCK + (b) * BLOCK_BYTES + \\\n"
        "                      CONSTANT_BYTES + SETS * K_WEIGHT_SET))\n";
  }
  define("K_BLOCK_BYTES", s.il.taps_bytes());  // of operands or sums
  define("RING_BYTES", s.ring_bytes);
  define("TAPS_BYTES", s.taps_bytes);
  define("X_MIN", s.w.qmin());
  define("X_MAX", s.w.qmax());
  define("PREPARED_OFFSET", s.il.flips ? ActivationOffset(s.isa, s.w) : 0);
  define("FLIPS_ALL", s.il.flips && s.w.weight_zero_point);
  text += fmt::format("#define K_WEIGHT {}\n", s.w.type == DataType::kU8 ? "uint8_t" : "int8_t");
  text += "#define MIN(a, b) ((a) < (b) ? (a) : (b))\n";
  text += s.channels < s.il.channels()        ? "#define FIRST_CHANNEL(b) (0 * (b))\n"
          : s.channels % s.il.channels() == 0 ? "#define FIRST_CHANNEL(b) ((b) * BLOCK)\n"
          : s.stack > 1 ? "#define FIRST_CHANNEL(b) MIN((b) * BLOCK, C - TAIL)\n"
                        : "#define FIRST_CHANNEL(b) MIN((b) * BLOCK, C - BLOCK)\n";
  text += "enum { PAD_VALUE, FLIP, Y_ZERO_POINT, ACT_MIN, ACT_MAX };  /* header of packed */\n";
  return text;
}

}  // namespace

TileRuns::TileRuns(const DepthwiseSchedule& s) {
  const auto same = [](const TileRun& a, const TileRun& b) {
    return a.inside_begin == b.inside_begin && a.inside_end == b.inside_end;
  };
  for (std::int32_t first = 0; first < s.tiles_w; first += runs.back().count) {
    runs.push_back(s.RunFrom(first));
    const auto known = std::find_if(variants.begin(), variants.end(),
                                    [&](const TileRun& v) { return same(v, runs.back()); });
    variant.push_back(static_cast<std::size_t>(known - variants.begin()));
    if (known == variants.end()) variants.push_back(runs.back());
  }
}

LoopProgram LowerDepthwise(const DepthwiseSchedule& s) {
  LoopProgram program;
  program.isa = s.isa.required;
  program.prelude = Prelude(s.isa, s.w) + InterleaveSource(s.isa, s.w, s.k.method);
  if (s.stack > 1) program.prelude += StackSource(s.il, s.stack);
  program.prelude += Defines(s);
  program.functions = StageFunctions(s, TileRuns(s));
  program.functions.push_back(PackFunction(s));
  program.pack = PackBody();
  program.phases = Phases(s);
  program.x_bytes = s.w.x_bytes();
  program.y_bytes = s.w.y_bytes();
  program.packed_bytes = s.packed_bytes;
  program.shared_bytes = s.shared_bytes;
  program.thread_bytes = s.thread_bytes;
  return program;
}

}  // namespace kiln
