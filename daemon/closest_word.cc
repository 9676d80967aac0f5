// The edit distance of Levenshtein, with swaps of two neighbours as single edits ("optimal string
// alignment"), by the rows of its table.
#include "daemon/closest_word.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace kiln {
namespace {

constexpr std::size_t kMostEdits = 2;

std::size_t Edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1), last, before_last;
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    before_last = std::exchange(last, row);
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      row[j + 1] = std::min({last[j] + (a[i] == b[j] ? 0 : 1), row[j] + 1, last[j + 1] + 1});
      if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j]) {
        row[j + 1] = std::min(row[j + 1], before_last[j - 1] + 1);
      }
    }
  }
  return row.back();
}

}  // namespace

std::optional<std::string_view> ClosestWord(std::string_view word,
                                            std::span<const std::string_view> known) {
  std::optional<std::string_view> closest;
  std::size_t least = kMostEdits + 1;
  for (const std::string_view each : known) {
    // Words of other lengths are further away, and what was written may be very long.
    if (word.size() > each.size() + kMostEdits || each.size() > word.size() + kMostEdits) continue;
    const std::size_t edits = Edits(word, each);
    if (edits >= least || 2 * edits >= each.size()) continue;
    least = edits;
    closest = each;
  }
  return closest;
}

}  // namespace kiln
