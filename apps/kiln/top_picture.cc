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
constexpr std::size_t kHighRows = 40;      // from here on words may take more lines

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

// The section as lines: what stands above its rows, and the rows. Those of an empty one say so.
struct Lines {
  std::vector<TopLine> above, rows;
};

// A text in a few lines between words, indented. What does not fit is cut off later on.
void AddWrapped(const TopLine& text, const Canvas& canvas, std::vector<TopLine>& lines) {
  const std::size_t most = canvas.rows < kHighRows ? 2 : 4;
  const std::size_t width = canvas.columns > 2 ? canvas.columns - 2 : 1;
  std::string rest = Printable(text.text, canvas.unicode);
  for (std::size_t i = 1; i < most && WidthOf(rest) > width; ++i) {
    const std::size_t end = CutOff(rest, width).rfind(' ');
    if (end == std::string::npos) break;
    lines.push_back({"  " + rest.substr(0, end), text.kind});
    rest.erase(0, end + 1);
  }
  lines.push_back({"  " + rest, text.kind});
}

Lines LinesOf(TopSection section, const Canvas& canvas) {
  Lines lines;
  lines.above.push_back({section.heading, Kind::kHeading});
  for (const TopLine& note : section.notes) AddWrapped(note, canvas, lines.above);
  if (section.rows.empty()) {
    if (!section.empty.empty()) AddWrapped({section.empty}, canvas, lines.rows);
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

// How many rows are shown where there is room for so many: of the last line, it is said how many are
// left out, unless it is the only one.
std::size_t ShownOf(std::size_t count, std::size_t room) {
  return room >= count || room < 2 ? std::min(count, room) : room - 1;
}

void AddRows(std::vector<TopLine> rows, std::size_t first, std::size_t room,
             std::vector<TopLine>& lines) {
  const std::size_t count = rows.size(), shown = ShownOf(count, room);
  for (std::size_t i = 0; i < shown; ++i) lines.push_back(std::move(rows[first + i]));
  if (shown == count || shown == room) return;
  lines.push_back({fmt::format("  ... {}-{} of {} shown", first + 1, first + shown, count)});
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

std::vector<TopSection> Chosen(const TopFacts& facts, const TopChoice& choice,
                               const Canvas& canvas) {
  const SparkStyle sparks{.width = canvas.columns >= kWideColumns ? 24u : 10u,
                          .unicode = canvas.unicode};
  std::vector<TopSection> chosen{VerdictSection(facts)};
  if (choice.devices) chosen.push_back(DeviceSection(facts));
  if (choice.queue) chosen.push_back(QueueSection(facts));
  if (choice.tasks) chosen.push_back(TaskSection(facts, sparks));
  if (chosen.size() == 1) chosen[0].empty = "all else is hidden: 1, 2 and 3 show it";
  for (TopSection& section : chosen) {
    Filter(choice.filter, section);
    Sort(choice.sort, section.rows);
  }
  return chosen;
}

// Where rows would find no room, what is said above them gives way: what is no trouble first.
void MakeRoom(const Canvas& canvas, std::vector<TopSection>& sections) {
  for (const bool all : {false, true}) {
    std::size_t least = 0;  // the heading each, then titles and a row
    for (const TopSection& section : sections) {
      least += 1 + section.notes.size() + (section.rows.empty() ? 1 : 2);
    }
    if (least <= canvas.rows) return;
    for (TopSection& section : sections) {
      std::erase_if(section.notes,
                    [all](const TopLine& note) { return all || note.kind != Kind::kBad; });
    }
  }
}

// All that is chosen, of each section its share.
TopPicture Sections(const TopFacts& facts, const TopChoice& choice, const Canvas& canvas) {
  std::vector<TopSection> chosen = Chosen(facts, choice, canvas);
  MakeRoom(canvas, chosen);
  std::vector<Lines> sections;
  std::size_t above = 0;
  for (TopSection& section : chosen) {
    sections.push_back(LinesOf(std::move(section), canvas));
    above += sections.back().above.size();
  }
  const auto shares = Shares(sections, canvas.rows > above ? canvas.rows - above : 0);
  TopPicture picture;
  for (std::size_t i = 0; i < sections.size(); ++i) {
    Lines& section = sections[i];
    std::ranges::move(section.above, std::back_inserter(picture.lines));
    std::size_t first = 0;
    if (i + 1 == sections.size()) {
      picture.furthest = section.rows.size() - ShownOf(section.rows.size(), shares[i]);
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
