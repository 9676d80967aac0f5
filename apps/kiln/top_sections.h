#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/kiln/top_facts.h"
#include "apps/kiln/top_table.h"

namespace kiln {

// A line of the picture; faces with colours know what to stress. Words say it too.
struct TopLine {
  enum class Kind : unsigned char { kPlain, kHeading, kColumns, kBusy, kBad };
  std::string text;
  Kind kind = Kind::kPlain;
};

// A part of the picture that answers one question: a heading, what there is to say about all of it,
// and a table. Texts may be of other machines: they are not Printable() yet.
struct TopSection {
  struct Row {
    std::vector<std::string> cells;
    std::string name, state;  // what it is sorted by
    std::int64_t trials = 0;
    TopLine::Kind kind = TopLine::Kind::kPlain;
  };
  std::string heading;
  std::vector<TopLine> notes;
  std::vector<TopColumn> columns;
  std::vector<Row> rows;
  std::string empty;  // what is said where there are no rows; where this is empty too, nothing is
};

// Sparklines: how many characters, and whether they may be blocks.
struct SparkStyle {
  std::size_t width = 10;
  bool unicode = false;
};

// Did it work of late, what do the devices do, what waits and why, what is being tuned. Nothing is
// blank: what is not known says why, what is old says of when it is.
TopSection VerdictSection(const TopFacts& facts);
TopSection DeviceSection(const TopFacts& facts);
TopSection QueueSection(const TopFacts& facts);
TopSection TaskSection(const TopFacts& facts, const SparkStyle& sparks);

}  // namespace kiln
