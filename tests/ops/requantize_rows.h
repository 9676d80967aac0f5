#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

namespace kiln {

// What TFLite's kernels make of one accumulator.
struct RequantizeRow {
  std::int32_t acc = 0, multiplier = 0, shift = 0, zero_point = 0;
  std::int32_t raw_double = 0, raw_single = 0;  // scaled, before the zero point is added
  std::int32_t expected = 0;                    // the output, from raw_double
};

// The recorded rows of tests/data/requantize.bin (its README has the form), which has so many.
inline constexpr std::size_t kRequantizeRows = 15'008;
inline std::vector<RequantizeRow> ReadRequantizeRows() {
  constexpr std::size_t kRowBytes = 15;
  std::ifstream file(KILN_SOURCE_DIR "/tests/data/requantize.bin", std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)),
                                std::istreambuf_iterator<char>());
  std::vector<RequantizeRow> rows;
  for (std::size_t at = 0; at + kRowBytes <= bytes.size(); at += kRowBytes) {
    const auto word = [&](std::size_t offset) {
      std::int32_t value = 0;
      std::memcpy(&value, &bytes[at + offset], sizeof value);
      return value;
    };
    const auto byte = [&](std::size_t offset) {
      return static_cast<std::int32_t>(static_cast<std::int8_t>(bytes[at + offset]));
    };
    RequantizeRow row{.acc = word(0),
                      .multiplier = word(4),
                      .shift = byte(8),
                      .zero_point = byte(9),
                      .raw_double = word(10)};
    row.raw_single = row.raw_double + byte(14);
    const std::int64_t sum = std::int64_t{row.raw_double} + row.zero_point;
    row.expected = static_cast<std::int32_t>(std::clamp<std::int64_t>(sum, -128, 127));
    rows.push_back(row);
  }
  return rows;
}

}  // namespace kiln
