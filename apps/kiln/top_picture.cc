#include "apps/kiln/top_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <utility>

namespace kiln {
namespace {

using Kind = TopLine::Kind;
using Row = TopSection::Row;

constexpr std::size_t kWideColumns = 120;  // from here on sparklines are long

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

void Filter(const std::string& filter, TopSection& section) {
  if (filter.empty() || section.rows.empty()) return;
  const std::string wanted = Lower(filter);
  std::erase_if(section.rows, [&](const Row& row) {
    return std::ranges::none_of(row.cells, [&](const std::string& cell) {
      return Lower(cell).find(wanted) != std::string::npos;
    });
  });
  section.empty = "none has `" + filter + "` in it";
}

void Sort(TopSort sort, std::vector<Row>& rows) {
  switch (sort) {
    case TopSort::kUsual:
      break;
    case TopSort::kName:
      std::ranges::stable_sort(rows, {}, &Row::name);
      break;
    case TopSort::kState:
      std::ranges::stable_sort(rows, {}, &Row::state);
      break;
    case TopSort::kTrials:
      std::ranges::stable_sort(rows, std::greater(), &Row::trials);
      break;
  }
}

// The section as lines: what stands above its rows, and the rows. An empty one has one row, which
// says so.
struct Lines {
  std::vector<TopLine> above, rows;
};

Lines LinesOf(TopSection section, const Canvas& canvas) {
  Lines lines;
  lines.above.push_back({section.heading, Kind::kHeading});
  for (TopLine& note : section.notes) lines.above.push_back({"  " + note.text, note.kind});
  if (section.rows.empty()) {
    if (!section.empty.empty()) lines.rows.push_back({"  " + section.empty});
    return lines;
  }
  std::vector<std::vector<std::string>> cells;
  for (Row& row : section.rows) {
    for (std::string& cell : row.cells) cell = Printable(cell, canvas.unicode);
    cells.push_back(std::move(row.cells));
  }
  std::vector<std::string> table = LayOut(section.columns, cells, canvas.columns);
  lines.above.push_back({std::move(table[0]), Kind::kColumns});
  for (std::size_t i = 0; i < section.rows.size(); ++i) {
    lines.rows.push_back({std::move(table[i + 1]), section.rows[i].kind});
  }
  return lines;
}

// How many rows each section gets of `room`: what it needs, or an equal share and what others leave.
std::vector<std::size_t> Shares(const std::vector<Lines>& sections, std::size_t room) {
  std::vector<std::size_t> shares(sections.size(), 0);
  for (bool given = true; room > 0 && std::exchange(given, false);) {
    for (std::size_t i = 0; i < sections.size() && room > 0; ++i) {
      if (shares[i] >= sections[i].rows.size()) continue;
      ++shares[i], --room;
      given = true;
    }
  }
  return shares;
}

// `room` rows from `first` on; where some are left out, the last line counts them instead.
void AddRows(std::vector<TopLine> rows, std::size_t first, std::size_t room,
             std::vector<TopLine>& lines) {
  const std::size_t count = rows.size();
  const bool all = room >= count;
  const std::size_t shown = all ? count : room - std::min<std::size_t>(room, 1);
  for (std::size_t i = 0; i < shown; ++i) lines.push_back(std::move(rows[first + i]));
  if (all || room == 0) return;
  lines.push_back({shown == 0
                       ? fmt::format("  ... none of {} shown", count)
                       : fmt::format("  ... {}-{} of {} shown", first + 1, first + shown, count)});
}

std::vector<TopLine> Help() {
  return {{"kiln top: what the farm, the queue and the tuners do", Kind::kHeading},
          {"  1 2 3    devices, queue, tasks: show or hide"},
          {"  /        only rows with a word in them; Enter: done, Esc: all rows again"},
          {"  s        sort: as usual, by name, by trials, by state"},
          {"  up down  further rows of the last section (PgUp, PgDn: ten)"},
          {"  r        ask again now"},
          {"  q        end"},
          {"  ?        this help; any other key goes back"},
          {"What columns mean", Kind::kHeading},
          {"  temp, load  at the device's latest measurement, by the database"},
          {"  hour        trials of the last hour; failed: of devices in it, of tasks ever"},
          {"  last        since the latest trial"},
          {"  left        until the job is done: its trials left at its pace, in its window"},
          {"  gain/h      how many times as fast as an hour ago (or as its first time)"},
          {"  best so far higher is faster; flat: trials since the last gain"},
          {"  -           not known"},
          {"`kiln top --once` prints it and ends; NO_COLOR=1 leaves colours out"}};
}

// All that is chosen, of each section its share.
TopPicture Sections(const TopFacts& facts, const TopChoice& choice, const Canvas& canvas) {
  const SparkStyle sparks{.width = canvas.columns >= kWideColumns ? 24u : 10u,
                          .unicode = canvas.unicode};
  std::vector<TopSection> chosen{VerdictSection(facts)};
  if (choice.devices) chosen.push_back(DeviceSection(facts));
  if (choice.queue) chosen.push_back(QueueSection(facts));
  if (choice.tasks) chosen.push_back(TaskSection(facts, sparks));
  if (chosen.size() == 1) chosen[0].empty = "all else is hidden: 1, 2 and 3 show it";
  std::vector<Lines> sections;
  std::size_t above = 0;
  for (TopSection& section : chosen) {
    Filter(choice.filter, section);
    Sort(choice.sort, section.rows);
    sections.push_back(LinesOf(std::move(section), canvas));
    above += sections.back().above.size();
  }
  const auto shares = Shares(sections, canvas.rows > above ? canvas.rows - above : 0);
  TopPicture picture;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    Lines& section = sections[i];
    std::ranges::move(section.above, std::back_inserter(picture.lines));
    std::size_t first = 0;
    if (i + 1 == sections.size() && shares[i] < section.rows.size()) {
      picture.furthest = section.rows.size() - (shares[i] - std::min<std::size_t>(shares[i], 1));
      first = std::min(choice.scroll, picture.furthest);
    }
    AddRows(std::move(section.rows), first, shares[i], picture.lines);
  }
  return picture;
}

}  // namespace

const char* Name(TopSort sort) {
  static constexpr const char* kNames[kTopSorts] = {"usual", "name", "trials", "state"};
  return kNames[static_cast<int>(sort)];
}

TopPicture DrawTop(const TopFacts& facts, const TopChoice& choice, const Canvas& canvas) {
  TopPicture picture = choice.help ? TopPicture{Help()} : Sections(facts, choice, canvas);
  if (picture.lines.size() > canvas.rows) picture.lines.resize(canvas.rows);
  for (TopLine& line : picture.lines) {
    line.text = CutOff(Printable(line.text, canvas.unicode), canvas.columns);
  }
  return picture;
}

}  // namespace kiln
