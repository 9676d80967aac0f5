#include "apps/kiln/top_table.h"

#include <algorithm>

#include "apps/kiln/terminal_picture.h"
#include "base/utf8.h"

namespace kiln {
namespace {

constexpr std::size_t kGap = 2;

using Rows = std::vector<std::vector<std::string>>;

// A column that is shown: which one, and how wide.
struct Shown {
  std::size_t column = 0, width = 0;
};

std::size_t WidestOf(const std::string& title, const Rows& rows, std::size_t column) {
  std::size_t widest = WidthOf(title);
  for (const auto& row : rows) widest = std::max(widest, WidthOf(row[column]));
  return widest;
}

std::size_t TotalOf(const std::vector<Shown>& shown) {
  std::size_t total = 0;
  for (const Shown& each : shown) total += each.width + (total > 0 ? kGap : 0);
  return total;
}

// Takes characters from what may be cut, the widest first; false: that is not enough.
bool Narrow(const std::vector<TopColumn>& columns, std::size_t width, std::vector<Shown>& shown) {
  while (TotalOf(shown) > width) {
    Shown* widest = nullptr;
    for (Shown& each : shown) {
      const std::size_t least = columns[each.column].least;
      if (least == 0 || each.width <= least) continue;
      if (widest == nullptr || each.width > widest->width) widest = &each;
    }
    if (widest == nullptr) return false;
    --widest->width;
  }
  return true;
}

std::vector<Shown> Choose(const std::vector<TopColumn>& columns, const Rows& rows,
                          std::size_t width) {
  std::vector<Shown> whole;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    whole.push_back({i, WidestOf(columns[i].title, rows, i)});
  }
  const auto worth = [&](const Shown& each) { return columns[each.column].worth; };
  while (true) {
    const auto least = std::ranges::min_element(whole, {}, worth);
    std::vector<Shown> shown = whole;
    const bool rather_cut = TotalOf(whole) <= width || worth(*least) >= kCutBefore;
    if ((rather_cut && Narrow(columns, width, shown)) || whole.size() == 1) return shown;
    whole.erase(least);
  }
}

// In this width, with a mark where something is missing.
std::string Fitted(const std::string& cell, const Shown& shown, Table::Align align) {
  if (WidthOf(cell) <= shown.width) return Padded(cell, shown.width, align);
  return shown.width == 0 ? "" : CutOff(cell, shown.width - 1) + "~";
}

}  // namespace

std::vector<std::string> LayOut(const std::vector<TopColumn>& columns, const Rows& rows,
                                std::size_t width) {
  const std::vector<Shown> shown = Choose(columns, rows, width);
  const auto line = [&](const auto& cell) {
    std::string text;
    for (const Shown& each : shown) {
      if (!text.empty()) text.append(kGap, ' ');
      text += Fitted(cell(each.column), each, columns[each.column].align);
    }
    text.resize(text.find_last_not_of(' ') + 1);
    return CutOff(text, width);
  };
  std::vector<std::string> lines{line([&](std::size_t i) { return columns[i].title; })};
  for (const auto& row : rows) lines.push_back(line([&](std::size_t i) { return row[i]; }));
  return lines;
}

std::string Printable(std::string_view text, bool unicode) {
  const std::string escaped = EscapeControls(text);
  std::string printable;
  for (std::string_view rest = escaped; !rest.empty();) {
    const Utf8Character first = FirstUtf8(rest);
    const bool is_control = first.code >= 0x80 && first.code < 0xA0;  // C1: of terminals, too
    const bool shown = first.valid && !is_control && (unicode || first.code < 0x80);
    printable += shown ? rest.substr(0, first.bytes) : "?";
    rest.remove_prefix(first.bytes);
  }
  return printable;
}

}  // namespace kiln
