#pragma once

#include <string>
#include <vector>

namespace kiln {

// A table for a terminal: columns as wide as their widest cell, numbers to the right, a rule below
// the header.
class Table {
 public:
  enum class Align : unsigned char { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kRight;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void Add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  std::string Print() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// A curve in `height` lines of Unicode blocks, the y axis labelled: values from left to right, at
// most `width` columns (the best of neighbours, if there are more).
std::string Plot(const std::vector<double>& values, int width, int height);

}  // namespace kiln
