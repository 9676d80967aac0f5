#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace kiln {

// A row of requantize.csv: what TFLite's kernels make of one accumulator.
struct RequantizeRow {
  std::int32_t acc = 0, multiplier = 0, shift = 0, zero_point = 0, expected = 0, raw_double = 0;
  std::optional<std::int32_t> raw_single;  // none where it does not fit 32 bits
};

// The rows of shared/golden/requantize.csv; empty where the folder `shared` is not beside the
// checkout (or named by KILN_SHARED).
inline std::vector<RequantizeRow> ReadRequantizeRows() {
  const char* named = std::getenv("KILN_SHARED");
  const std::string shared = named != nullptr ? named : KILN_SOURCE_DIR "/../shared";
  std::ifstream file(shared + "/golden/requantize.csv");
  std::vector<RequantizeRow> rows;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::vector<std::string> cells;
    std::istringstream stream(line);
    for (std::string cell; std::getline(stream, cell, ',');) cells.push_back(cell);
    RequantizeRow row;
    row.acc = std::stoi(cells.at(0));
    row.multiplier = std::stoi(cells.at(1));
    row.shift = std::stoi(cells.at(2));
    row.zero_point = std::stoi(cells.at(3));
    row.expected = std::stoi(cells.at(4));
    row.raw_double = std::stoi(cells.at(5));
    if (!cells.at(6).empty()) row.raw_single = std::stoi(cells.at(6));
    rows.push_back(row);
  }
  return rows;
}

inline constexpr char kNoRequantizeRows[] =
    "shared/golden/requantize.csv is not here: TFLite's own vectors were not checked";

}  // namespace kiln
