#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "kernels_templates/conv2d/row_gemm_lower.h"

namespace kiln {
namespace {

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
    "        by_tap[t / SEGMENTS][t % SEGMENTS] += (uint32_t)real;\n";
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

}  // namespace

Function PackPanel(const GemmSchedule& s, const Panel& panel) {
  const bool skips = s.skips_rows;
  const char* weight_type = s.isa.weight_bytes == 1 ? "int8_t" : "int16_t";
  const bool unsigned_weights = s.w.type == DataType::kU8;
  const std::string refuses =
      s.isa.lowest_weight > -128
          ? fmt::format(
                "        if (stored < {}) return KILN_E_CLASS;  /* the dot is not exact for "
                "it */\n",
                s.isa.lowest_weight)
          : "";
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
      "        w[(((int64_t)t * STEPS + k / GROUP) * vectors + vector) * LANES * GROUP +\n"
      "          K_PLACE(lane, k % GROUP, GROUP)] = ({2})stored;\n"
      "{14}"
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
      s.sums ? " +\n           (uint32_t)(KH * KW * CG) * (uint32_t)(op->x_zp + PREPARED_OFFSET) * "
               "(uint32_t)(op->w_zp - 128)"
             : "",
      s.biases(), skips ? kCountTap : "", skips ? kClassBiases : "",
      skips ? "  uint32_t by_tap[KH][SEGMENTS] = {{0}};\n" : "", refuses)));
  return f;
}

std::vector<Stmt> PackBody(const GemmSchedule& s) {
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

}  // namespace kiln
