// The curve is drawn on a grid of dots, which characters are cut out of: 2 by 4 dots make a Braille
// pattern (U+2800 and a bit for each dot), 1 by 1 a star. Ticks and marks are characters of their
// own. Rows count from the top, as they are printed.

#include "dashboard/terminal_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

namespace kiln {
namespace {

// What the parts look like.
struct Glyphs {
  const char *side, *tick, *corner, *bottom, *bottom_tick, *mark, *more;
  int dots_x, dots_y;  // of a character
};
constexpr Glyphs kAsciiGlyphs{"|", "+", "+", "-", "+", "o", "...", 1, 1};
constexpr Glyphs kUnicodeGlyphs{"│", "┤", "└", "─", "┬", "◆", "…", 2, 4};

constexpr const char* kCurveColour = "\033[36m";
constexpr const char* kMarkColour = "\033[1;32m";
constexpr const char* kNoColour = "\033[0m";

// The bit of each dot of a Braille pattern, by row and column.
constexpr unsigned kBrailleBits[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};

std::string Braille(unsigned bits) {
  // U+2800 to U+28FF in UTF-8.
  return {'\xE2', static_cast<char>(0xA0 | (bits >> 6)), static_cast<char>(0x80 | (bits & 0x3F))};
}

bool BeginsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

int CharactersIn(std::string_view utf8) {
  return static_cast<int>(std::ranges::count_if(utf8, BeginsCharacter));
}

// Cut to so many characters.
std::string Fitted(std::string_view text, int width, const Glyphs& glyphs) {
  if (CharactersIn(text) <= width) return std::string(text);
  std::string cut;
  int left = width - CharactersIn(glyphs.more);
  for (const char c : text) {
    if (BeginsCharacter(c) && left-- == 0) break;
    cut += c;
  }
  return cut + glyphs.more;
}

// This is the area between the axes.
class Canvas {
 public:
  Canvas(int columns, int rows, const Glyphs& glyphs)
      : columns_(columns),
        rows_(rows),
        glyphs_(glyphs),
        dots_(static_cast<std::size_t>(columns * glyphs.dots_x * rows * glyphs.dots_y), false),
        marks_(static_cast<std::size_t>(columns * rows), false) {}

  void DrawSteps(const std::vector<CurvePoint>& curve, const CurveAxes& axes) {
    std::optional<Dot> previous;
    for (const CurvePoint& point : curve) {
      const Dot dot = DotAt(axes.x.At(point.x), axes.y.At(point.y));
      const Dot from = previous.value_or(dot);
      for (int x = from.x; x <= dot.x; ++x) Set({x, from.y});
      const auto [low, high] = std::minmax(from.y, dot.y);
      for (int y = low; y <= high; ++y) Set({dot.x, y});
      previous = dot;
    }
  }

  void Mark(double x, double y) {
    const Dot dot = DotAt(x, y);
    marks_[CellIndex(dot.x / glyphs_.dots_x, dot.y / glyphs_.dots_y)] = true;
  }

  int RowAt(double y) const { return DotAt(0, y).y / glyphs_.dots_y; }
  int ColumnAt(double x) const { return DotAt(x, 0).x / glyphs_.dots_x; }

  std::string Line(int row, PlotInk ink) const {
    std::string line;
    int last = columns_ - 1;
    while (last >= 0 && IsEmpty(last, row)) --last;
    for (int column = 0; column <= last; ++column) {
      const bool is_mark = marks_[CellIndex(column, row)];
      const std::string glyph = is_mark ? glyphs_.mark : Glyph(column, row);
      const bool is_coloured = ink == PlotInk::kColour && glyph != " ";
      line += is_coloured ? (is_mark ? kMarkColour : kCurveColour) + glyph + kNoColour : glyph;
    }
    return line;
  }

 private:
  struct Dot {
    int x = 0, y = 0;
  };

  Dot DotAt(double x, double y) const {
    const auto place = [](double position, int count) {
      return static_cast<int>(std::lround(position * (count - 1)));
    };
    return {place(x, columns_ * glyphs_.dots_x), place(1 - y, rows_ * glyphs_.dots_y)};
  }
  std::size_t CellIndex(int column, int row) const {
    return static_cast<std::size_t>(row * columns_ + column);
  }
  std::size_t Index(Dot dot) const {
    return static_cast<std::size_t>(dot.y * columns_ * glyphs_.dots_x + dot.x);
  }
  void Set(Dot dot) { dots_[Index(dot)] = true; }

  unsigned Bits(int column, int row) const {
    unsigned bits = 0;
    for (int y = 0; y < glyphs_.dots_y; ++y) {
      for (int x = 0; x < glyphs_.dots_x; ++x) {
        const Dot dot{column * glyphs_.dots_x + x, row * glyphs_.dots_y + y};
        if (dots_[Index(dot)]) bits |= kBrailleBits[y][x];
      }
    }
    return bits;
  }
  bool IsEmpty(int column, int row) const {
    return !marks_[CellIndex(column, row)] && Bits(column, row) == 0;
  }
  std::string Glyph(int column, int row) const {
    const unsigned bits = Bits(column, row);
    if (bits == 0) return " ";
    return glyphs_.dots_x == 1 ? "*" : Braille(bits);
  }

  const int columns_, rows_;
  const Glyphs& glyphs_;
  std::vector<bool> dots_, marks_;
};

// Numbers below their ticks, none over another; those that have no room are left out.
std::string TickLine(const std::vector<double>& ticks, const std::vector<int>& columns, int width) {
  std::string line;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const std::string text = TickText(ticks[i]);
    const int size = static_cast<int>(text.size());
    const int begin = std::clamp(columns[i] - size / 2, 0, std::max(0, width - size));
    const int used = static_cast<int>(line.size());
    if (used > 0 && begin <= used) continue;
    line += std::string(static_cast<std::size_t>(begin - used), ' ') + text;
  }
  return line;
}

}  // namespace

std::string PlotCurve(const CurveChart& chart, const PlotStyle& style) {
  const Glyphs& glyphs = style.charset == PlotCharset::kUnicode ? kUnicodeGlyphs : kAsciiGlyphs;
  const int width = std::max(30, style.width), rows = std::max(4, style.height);
  std::string out = Fitted(chart.title, width, glyphs) + "\n";
  if (chart.curve.empty()) return out + "no point yet\n";

  const CurveAxes axes = AxesOf(chart, std::max(3, width / 10), (rows + 1) / 2);
  std::size_t label = 0;
  for (const double tick : axes.y_ticks) label = std::max(label, TickText(tick).size());
  const std::string indent(label + 1, ' ');
  const int columns = width - static_cast<int>(label) - 2;
  Canvas canvas(columns, rows, glyphs);
  canvas.DrawSteps(chart.curve, axes);
  for (const CurvePoint& mark : chart.marks) canvas.Mark(axes.x.At(mark.x), axes.y.At(mark.y));

  std::vector<std::string> labels(static_cast<std::size_t>(rows));
  for (const double tick : axes.y_ticks) {
    labels[static_cast<std::size_t>(canvas.RowAt(axes.y.At(tick)))] = TickText(tick);
  }
  out += Fitted(fmt::format("{:>{}} {}", "", label, chart.y_label), width, glyphs) + "\n";
  for (int row = 0; row < rows; ++row) {
    const std::string& text = labels[static_cast<std::size_t>(row)];
    out += fmt::format("{:>{}} {}{}\n", text, label, text.empty() ? glyphs.side : glyphs.tick,
                       canvas.Line(row, style.ink));
  }

  std::vector<int> tick_columns;
  for (const double tick : axes.x_ticks) tick_columns.push_back(canvas.ColumnAt(axes.x.At(tick)));
  out += indent + glyphs.corner;
  for (int column = 0; column < columns; ++column) {
    out += std::ranges::count(tick_columns, column) > 0 ? glyphs.bottom_tick : glyphs.bottom;
  }
  out += "\n" + indent + " " + TickLine(axes.x_ticks, tick_columns, columns) + "\n";
  std::string legend = indent + " " + chart.x_label;
  if (!chart.marks.empty()) legend += fmt::format("   {} {}", glyphs.mark, chart.mark_label);
  return out + Fitted(legend, width, glyphs) + "\n";
}

}  // namespace kiln
