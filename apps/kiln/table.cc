#include "apps/kiln/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace kiln {

std::string Table::Print() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(column.title.size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto line = [&](const auto& cell) {
    std::string text;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const bool left = columns_[i].align == Align::kLeft;
      text += i ? "  " : "";
      text += left ? fmt::format("{:<{}}", cell(i), widths[i])
                   : fmt::format("{:>{}}", cell(i), widths[i]);
    }
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text + "\n";
  };
  std::string out = line([&](std::size_t i) { return columns_[i].title; });
  out += line([&](std::size_t i) { return std::string(widths[i], '-'); });
  for (const auto& row : rows_) {
    out += line([&](std::size_t i) { return i < row.size() ? row[i] : std::string(); });
  }
  return out;
}

std::string Plot(const std::vector<double>& values, int width, int height) {
  if (values.empty()) return "";
  const auto columns = std::min<std::size_t>(static_cast<std::size_t>(width), values.size());
  std::vector<double> points;
  for (std::size_t c = 0; c < columns; ++c) {
    const std::size_t from = c * values.size() / columns, to = (c + 1) * values.size() / columns;
    points.push_back(
        *std::max_element(values.begin() + static_cast<std::ptrdiff_t>(from),
                          values.begin() + static_cast<std::ptrdiff_t>(std::max(to, from + 1))));
  }
  const double top = *std::max_element(points.begin(), points.end());
  static constexpr const char* kEighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string out;
  for (int row = height - 1; row >= 0; --row) {
    out += row == height - 1 ? fmt::format("{:>9.1f} |", top)
           : row == 0        ? fmt::format("{:>9.1f} |", 0.0)
                             : fmt::format("{:>9} |", "");
    for (const double point : points) {
      const double eighths = top > 0 ? point / top * height * 8 - row * 8 : 0;
      out += kEighths[static_cast<int>(std::clamp(std::round(eighths), 0.0, 8.0))];
    }
    out += "\n";
  }
  return out;
}

}  // namespace kiln
