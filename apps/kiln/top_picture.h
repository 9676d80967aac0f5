#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "apps/kiln/terminal_picture.h"
#include "apps/kiln/top_facts.h"
#include "apps/kiln/top_sections.h"

namespace kiln {

enum class TopSort : unsigned char { kUsual, kName, kTrials, kState };
inline constexpr int kTopSorts = 4;
const char* Name(TopSort sort);  // "name"

// What a person has chosen to see.
struct TopChoice {
  bool devices = true, queue = true, tasks = true;
  std::string filter;  // rows that have this somewhere in them, in any case
  TopSort sort = TopSort::kUsual;
  std::size_t scroll = 0;  // rows of the last section that are passed over
  bool help = false;
};

struct TopPicture {
  std::vector<TopLine> lines;
  std::size_t furthest = 0;  // the largest scroll that still shows more
};

// What fits on the canvas: the verdict, then devices, queue and running tasks, each its share. What
// is left out is counted.
TopPicture DrawTop(const TopFacts& facts, const TopChoice& choice, const Canvas& canvas);

}  // namespace kiln
