#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "kernels_templates/conv2d/row_gemm_lower.h"

// Sums of activations over the taps of a pixel, which a weight zero point is multiplied by: dots
// with ones, once per block for all its panels.

namespace kiln {
namespace {

// Weights 1 for so many values of a group, 0 for the others.
std::uint32_t OnesFor(const GemmSchedule& s, std::int32_t values) {
  return 0x01010101U >> 8 * (s.isa.group - values);
}

// What makes prepared values of those that are read: where a tile reads x in place.
const char* Prepared(const GemmSchedule& s) {
  return s.k.stage == DataStage::kRaw && ActivationOffset(s.isa, s.w) != 0 ? "k_flip" : "";
}

// Bytes that are summed by dots of whole vectors, and what is left of a segment.
std::string SegmentSum(const GemmSchedule& s) {
  const char* prepared = Prepared(s);
  const std::int32_t vector = s.isa.vector_bytes(), whole = s.segment_values / vector * vector;
  const std::int32_t rest = s.segment_values - whole;
  std::string text = fmt::format(
      "INLINE int32_t few(const uint8_t *p, __SIZE_TYPE__ n) {{\n"
      "  int32_t values = 0;\n  __builtin_memcpy(&values, p, n);\n  return values;\n}}\n"
      "INLINE kv segment_sum(kv acc, const uint8_t *p) {{\n"
      "  const kop ones = (kop)k_splat(0x01010101);\n"
      "  for (int32_t k = 0; k < {0}; k += {1}) acc = k_dot(acc, (kop){2}(k_load(p + k)), ones);\n",
      whole, vector, prepared);
  if (rest > 0 && whole > 0) {
    // The last vector overlaps: what it has again counts 0.
    std::vector<int> weights(static_cast<std::size_t>(vector), 1);
    std::fill_n(weights.begin(), vector - rest, 0);
    text += fmt::format(
        "  static const int8_t last[{}] = {{{}}};\n"
        "  acc = k_dot(acc, (kop){}(k_load(p + {})), k_weights(last));\n",
        vector, fmt::join(weights, ", "), prepared, s.segment_values - vector);
  }
  for (std::int32_t k = 0; whole == 0 && k < rest; k += s.isa.group) {
    const std::int32_t values = std::min(s.isa.group, rest - k);
    text +=
        fmt::format("  acc = k_dot(acc, (kop){}((kv){{few(p + {}, {})}}), (kop)(kv){{{:#x}}});\n",
                    prepared, k, values, OnesFor(s, values));
  }
  return text + "  return acc;\n}\n";
}

// The sums of four vectors' lanes: two rounds of transposing within 128-bit blocks, then the
// blocks.
std::string FourSums(const VectorIsa& isa) {
  const auto shuffle = [&isa](const char* name, std::array<std::int32_t, 4> picks) {
    std::string text = fmt::format("#define {}(a, b) __builtin_shufflevector(a, b", name);
    for (std::int32_t i = 0; i < isa.lanes; ++i) {
      const std::int32_t pick = picks[static_cast<std::size_t>(i % 4)];
      text += fmt::format(", {}", i / 4 * 4 + pick % 4 + pick / 4 * isa.lanes);
    }
    return text + ")\n";
  };
  std::string text = shuffle("K_LOW_DWORDS", {0, 4, 1, 5}) +
                     shuffle("K_HIGH_DWORDS", {2, 6, 3, 7}) + shuffle("K_LOW_PAIRS", {0, 1, 4, 5}) +
                     shuffle("K_HIGH_PAIRS", {2, 3, 6, 7});
  text +=
      "INLINE void four_sums(int32_t *sums, kv a, kv b, kv c, kv d) {\n"
      "  const kv ab = K_LOW_DWORDS(a, b) + K_HIGH_DWORDS(a, b);\n"
      "  const kv cd = K_LOW_DWORDS(c, d) + K_HIGH_DWORDS(c, d);\n" +
      fmt::format("  const kv of{} = K_LOW_PAIRS(ab, cd) + K_HIGH_PAIRS(ab, cd);\n", isa.lanes);
  std::int32_t width = isa.lanes;
  for (; width > 4; width /= 2) {
    std::vector<std::int32_t> lanes(static_cast<std::size_t>(width));
    std::iota(lanes.begin(), lanes.end(), 0);
    const auto middle = lanes.begin() + width / 2;
    text += fmt::format(
        "  const __auto_type of{1} = __builtin_shufflevector(of{0}, of{0}, {2}) +\n"
        "                            __builtin_shufflevector(of{0}, of{0}, {3});\n",
        width, width / 2, fmt::join(lanes.begin(), middle, ", "),
        fmt::join(middle, lanes.end(), ", "));
  }
  text += "  for (int32_t i = 0; i < 4; ++i) sums[i] = of4[i];\n}\n";
  return text;
}

// The taps of a pixel that are summed: all, or those of its classes.
std::string SumLoops(const GemmSchedule& s, const std::string& pixel) {
  const std::string rows =
      s.skips_rows ? "kRowBegin[row_class]; tap_row < kRowEnd[row_class]" : "0; tap_row < KH";
  const std::string columns =
      s.skips_columns
          ? fmt::format("kColumnBegin[kColumnClass[{0}]]; segment < kColumnEnd[kColumnClass[{0}]]",
                        pixel)
          : "0; segment < SEGMENTS";
  return fmt::format(
      "    for (int32_t tap_row = {}; ++tap_row)\n    for (int32_t segment = {}; ++segment)\n",
      rows, columns);
}

// One pixel after the other, four at a time, the last four overlapping their neighbours.
std::string SumsOfLongSegments(const GemmSchedule& s) {
  return "for (int32_t j = 0; j < columns; j += 4) {\n"
         "  const int32_t first = MAX(0, MIN(j, columns - 4));\n"
         "  kv acc[4] = {{0}};\n"
         "  for (int32_t q = 0; q < 4; ++q) {\n"
         "    const int32_t pixel = MIN(first + q, columns - 1);\n" +
         SumLoops(s, "pixel") +
         "    acc[q] = segment_sum(acc[q], row + pixel * STEP_W * PIXEL_PITCH + tap_row * TAP_H * "
         "ROW_PITCH +\n"
         "                                     segment * TAP_W * PIXEL_PITCH);\n"
         "  }\n"
         "  int32_t four[4];\n"
         "  four_sums(four, acc[0], acc[1], acc[2], acc[3]);\n"
         "  for (int32_t q = 0; q < MIN(4, columns); ++q) {\n"
         "    to[first + q] = (int32_t)((uint32_t)four[q] * (uint32_t)factor);\n"
         "  }\n"
         "}\n";
}

// From a lane's pixel to the next lane's.
std::int32_t LaneStep(const GemmSchedule& s) {
  return static_cast<std::int32_t>(s.step_w * s.pixel_pitch);
}

// The bytes that the lanes of one tap are in.
std::int32_t LaneSpan(const GemmSchedule& s) {
  return (s.isa.lanes - 1) * LaneStep(s) + s.segment_values;
}

bool SumsLanePerPixel(const GemmSchedule& s) {
  return s.segment_values < s.isa.vector_bytes() && !s.skips_columns;
}

bool PicksWords(const GemmSchedule& s) {
  return SumsLanePerPixel(s) && !s.isa.partial_load.empty() && LaneStep(s) % 2 == 0 &&
         LaneSpan(s) <= 2 * s.isa.vector_bytes();
}

// Groups that are made of words of two vectors.
std::string StepsOfPickedWords(const GemmSchedule& s) {
  const std::int32_t vector = s.isa.vector_bytes();
  std::string steps =
      fmt::format("      const kh low = (kh)k_load_n(p, {0}), high = (kh)k_load_n(p + {1}, {2});\n",
                  std::min(LaneSpan(s), vector), std::min(LaneSpan(s), vector),
                  std::max(LaneSpan(s) - vector, 0));
  for (std::int32_t k = 0; k < s.segment_values; k += s.isa.group) {
    const std::int32_t values = std::min(s.isa.group, s.segment_values - k);
    std::vector<std::int32_t> words;
    for (std::int32_t lane = 0; lane < s.isa.lanes; ++lane) {
      const std::int32_t first = (lane * LaneStep(s) + k) / 2;
      words.push_back(first);
      words.push_back(values > 2 ? first + 1 : first);
    }
    steps += fmt::format(
        "      acc = k_dot(acc, (kop)__builtin_shufflevector(low, high, {}), "
        "(kop)k_splat({:#x}));\n",
        fmt::join(words, ", "), OnesFor(s, values));
  }
  return steps;
}

// Groups that are loaded one by one.
std::string StepsOfLoads(const GemmSchedule& s) {
  std::string steps;
  for (std::int32_t k = 0; k < s.segment_values; k += s.isa.group) {
    const std::int32_t values = std::min(s.isa.group, s.segment_values - k);
    std::string lanes;
    for (std::int32_t lane = 0; lane < s.isa.lanes; ++lane) {
      lanes += fmt::format("{}few(p + {} * STEP_W * PIXEL_PITCH + {}, {})", lane > 0 ? ", " : "",
                           lane, k, values);
    }
    steps += fmt::format("      acc = k_dot(acc, (kop){}((kv){{{}}}), (kop)k_splat({:#x}));\n",
                         Prepared(s), lanes, OnesFor(s, values));
  }
  return steps;
}

// A lane for each pixel: short segments are summed a group of values at a time.
std::string SumsOfShortSegments(const GemmSchedule& s) {
  const std::string steps = PicksWords(s) ? StepsOfPickedWords(s) : StepsOfLoads(s);
  return "if (columns >= LANES) {\n"
         "  for (int32_t j = 0; j < columns; j += LANES) {\n"
         "    const int32_t first = MIN(j, columns - LANES);\n"
         "    kv acc = {0};\n" +
         SumLoops(s, "") +
         "    {\n"
         "      const uint8_t *p = row + first * STEP_W * PIXEL_PITCH + tap_row * TAP_H * "
         "ROW_PITCH +\n"
         "                         segment * TAP_W * PIXEL_PITCH;\n" +
         steps +
         "    }\n"
         "    k_spill(to + first, (kv)((kvu)acc * (uint32_t)factor));\n"
         "  }\n"
         "  continue;\n"
         "}\n";
}

}  // namespace

std::string SumsSource(const GemmSchedule& s) {
  std::string text = SegmentSum(s) + FourSums(s.isa);
  if (PicksWords(s)) text += s.isa.partial_load;
  return text;
}

Function BlockSums(const GemmSchedule& s) {
  Function f;
  f.signature = fmt::format(
      "NOINLINE void block_sums(const uint8_t *a, int32_t columns, int32_t factor, int32_t "
      "*restrict sums{})",
      s.skips_rows ? ", int32_t row_class" : "");
  f.body.push_back(
      Loop("for (int32_t i = 0; i < TILE_H; ++i)", s.k.tile_h,
           {Text("const uint8_t *row = a + i * STEP_H * ROW_PITCH;\n"
                 "int32_t *to = sums + i * BLOCK_COLUMNS;\n" +
                 (SumsLanePerPixel(s) ? SumsOfShortSegments(s) : "") + SumsOfLongSegments(s))}));
  f.calls = 0;
  return f;
}

}  // namespace kiln
