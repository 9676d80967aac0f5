#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "apps/kiln/table.h"

namespace kiln {

// A column of a table that is made to fit.
struct TopColumn {
  std::string title;
  Table::Align align = Table::Align::kLeft;
  // Where there is no room, columns of the least worth are left out first: those below kCutBefore
  // while others are still whole, the rest only when nothing more can be cut.
  int worth = 9;
  std::size_t least = 0;  // it may be cut down to so many characters; 0: it may not be cut
};
inline constexpr int kCutBefore = 5;

// The titles, then a line for each row, none wider than `width` characters. Cells are Printable().
std::vector<std::string> LayOut(const std::vector<TopColumn>& columns,
                                const std::vector<std::vector<std::string>>& rows,
                                std::size_t width);

// The text as one line that a terminal takes for text: control characters are escaped; bytes that
// are no UTF-8, and without `unicode` all that is not ASCII, are question marks.
std::string Printable(std::string_view text, bool unicode);

}  // namespace kiln
