#include <fmt/format.h>

#include <string>
#include <vector>

#include "kernels_templates/depthwise/depthwise_lower.h"
#include "kernels_templates/depthwise/depthwise_slide.h"

namespace kiln {
namespace {

// Which kernel tap each slot of a set multiplies: kernel row * KW + kernel column, -1 for none.
std::string SetTaps(const DepthwiseSchedule& s) {
  std::string text = "static const int16_t set_taps[SETS][K_TAPS] = {\n";
  for (std::int32_t set = 0; set < s.sets; ++set) {
    text += "    {";
    for (std::int32_t slot = 0; slot < s.il.group; ++slot) {
      std::int32_t tap = set * s.il.group + slot;
      if (s.k.group == TapGroup::kPaired) {
        tap = PairedTap(set, slot);
      } else if (s.k.group == TapGroup::kMixed && set >= s.patterns * s.w.kw) {
        const std::int32_t kx = HorizontalTap(s.w, set - s.patterns * s.w.kw, slot);
        tap = kx < 0 ? -1 : (s.w.kh - 1) * s.w.kw + kx;
      } else if (s.k.group != TapGroup::kLinear) {
        const std::int32_t ky =
            s.pattern[static_cast<std::size_t>(set / s.w.kw)][static_cast<std::size_t>(slot)];
        tap = ky < 0 ? -1 : ky * s.w.kw + set % s.w.kw;
      } else if (tap >= s.w.kh * s.w.kw) {
        tap = -1;
      }
      text += fmt::format("{}{}", slot > 0 ? ", " : "", tap);
    }
    text += "},\n";
  }
  return text + "};\n";
}

constexpr std::string_view kHeader = R"(
int32_t *header = packed;
header[ACT_MIN] = op->act_min;
header[Y_ZERO_POINT] = op->y_zp;
header[ACT_MAX] = op->act_max;
const int32_t complements = FLIPS_ALL && op->w_zp == 0;
header[FLIP] = (PREPARED_OFFSET ? 0x80 : 0) ^ (complements ? 0xff : 0);
/* Prepared activations are x ^ flip = offset + sign * x, so their dot with sign * w is the accumulator
   but for a constant. */
const int32_t sign = complements ? -1 : 1;
const int32_t offset = PREPARED_OFFSET + (complements ? 255 : 0);
const int32_t zero = offset + sign * op->x_zp;
header[PAD_VALUE] = zero;
)";

constexpr std::string_view kPadRow = R"(
for (int32_t i = 0; i < PAD_ROW_BYTES; ++i) ((uint8_t *)packed)[HEADER_BYTES + i] = (uint8_t)op->x_zp;
)";

constexpr std::string_view kBlocks = R"(
for (int32_t b = 0; b < BLOCKS; ++b) {
  uint8_t *block = (uint8_t *)packed + FIRST_BLOCK + b * BLOCK_BYTES;
  uint8_t *weights = block + CONSTANT_BYTES;
  for (int32_t i = 0; i < BLOCK_BYTES; ++i) block[i] = 0;
  for (int32_t j = 0; j < BLOCK; ++j) {
    /* The order of channels in which results are stored. */
    const int32_t vector = j % (4 * K_VECTORS) / 4, lane = j / (4 * K_VECTORS) * 4 + j % 4;
)";

constexpr std::string_view kChannel = R"(
    const int32_t channel = j < STORED ? FIRST_CHANNEL(b) + j % C : -1;
)";
// The narrow block repeats its channels for each row of a stack.
constexpr std::string_view kStackChannel = R"(
    const int32_t channel = FIRST_CHANNEL(b) + j % (b < BLOCKS - 1 ? BLOCK : TAIL);
)";

constexpr std::string_view kBlockValues = R"(
    int64_t bias = 0, low = 0, high = 0;
    if (channel >= 0) {
      int64_t sum = 0, positive = 0, negative = 0;
      for (int32_t tap = 0; tap < KH * KW; ++tap) {
        const int32_t v = ((const K_WEIGHT *)op->w)[tap * C + channel] - op->w_zp;
        sum += v;
        positive += v > 0 ? v : 0;
        negative += v < 0 ? -v : 0;
      }
      for (int32_t set = 0; set < SETS; ++set) {
        for (int32_t i = 0; i < K_TAPS; ++i) {
          const int32_t tap = set_taps[set][i];
          if (tap < 0) continue;
          const int32_t v = ((const K_WEIGHT *)op->w)[tap * C + channel] - op->w_zp;
          k_put_weight(weights + set * K_WEIGHT_SET, vector, lane, i, sign * v);
)";
constexpr std::string_view kRefuseLowest =
    "          if (v < {}) return KILN_E_CLASS;  /* the dot is not exact for it */\n";
constexpr std::string_view kMarkWide = R"(
          if (sign * v > 127 || sign * v < -128) *(int32_t *)(weights + SETS * K_WEIGHT_SET) = 1;
)";
constexpr std::string_view kChannelConstants = R"(
        }
      }
      const int64_t real = op->bias ? op->bias[channel] : 0;
      const int64_t above = X_MAX - op->x_zp, below = op->x_zp - X_MIN;
      high = real + above * positive + below * negative;
      low = real - below * positive - above * negative;
      bias = real - zero * sign * sum;
    }
    const int status = k_pack_constants(op, channel, lane, (int32_t)bias, low, high,
                                        (int32_t *)block + vector * K_CONSTANTS * LANES);
    if (status != KILN_OK) return status;
  }
}
)";

}  // namespace

Function PackFunction(const DepthwiseSchedule& s) {
  std::string text = SetTaps(s);
  text += std::string(kHeader.substr(1));
  if (s.pad_row_bytes > 0) text += std::string(kPadRow.substr(1));
  text += std::string(kBlocks.substr(1));
  text += std::string((s.stack > 1 ? kStackChannel : kChannel).substr(1));
  text += std::string(kBlockValues.substr(1));
  if (s.il.group == 4 && s.isa.lowest_weight > -128) {
    text += fmt::format(kRefuseLowest, s.isa.lowest_weight);
  }
  if (s.walks_narrow_weights()) text += kMarkWide.substr(1);
  text += std::string(kChannelConstants.substr(1));
  text += "return KILN_OK;\n";
  return {"COLD int pack_values(const kiln_op *op, void *packed)", {Text(text)}, 0};
}

std::vector<Stmt> PackBody() {
  return {
      Text("const int status = pack_values(op, packed);\nif (status != KILN_OK) return status;\n")};
}

}  // namespace kiln
