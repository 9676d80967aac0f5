#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kiln {

// A table for a terminal: columns as wide as their widest cell, numbers to the right, a rule below
// the header. Text is UTF-8. Names come from files and other machines: what would break a line or
// speak to the terminal is shown escaped.
class Table {
 public:
  enum class Align : unsigned char { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kRight;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string Print() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// The text with control characters as \n, \t, \x1b: one line that a terminal takes for text.
std::string EscapeControls(std::string_view text);

// How many characters a terminal shows, for text without wide ones.
std::size_t WidthOf(std::string_view utf8);

// The cell with spaces up to this width.
std::string Padded(const std::string& cell, std::size_t width, Table::Align align);

}  // namespace kiln
