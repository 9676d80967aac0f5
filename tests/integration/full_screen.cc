#include "tests/integration/full_screen.h"

#include <gtest/gtest.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/utf8.h"

namespace kiln {
namespace {

constexpr char kEscape = '\033';
constexpr char kEnd = '\x04';  // nothing that a program sends

// The first number of "3;4"; `otherwise` where there is none.
std::size_t First(const std::string& parameters, std::size_t otherwise) {
  const int number = std::atoi(parameters.c_str());
  return number > 0 ? static_cast<std::size_t>(number) : otherwise;
}

std::size_t Second(const std::string& parameters) {
  const std::size_t separator = parameters.find(';');
  return separator == std::string::npos ? 1 : First(parameters.substr(separator + 1), 1);
}

bool SetsColour(const std::string& parameters) {
  std::string all = ";" + parameters + ";";
  for (const char* colour : {";31;", ";32;", ";33;", ";34;", ";35;", ";36;"}) {
    if (all.find(colour) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

FullScreen::FullScreen(int columns, int rows) : terminal_(columns, rows) {
  cells_.assign(static_cast<std::size_t>(rows),
                std::vector<std::string>(static_cast<std::size_t>(columns), " "));
  bottom_ = cells_.size() - 1;
  reader_ = std::thread([this] { Read(); });
}

FullScreen::~FullScreen() {
  EXPECT_EQ(write(terminal_.keeper(), &kEnd, 1), 1);
  reader_.join();
}

Streams FullScreen::streams() const { return {.in = terminal_.path(), .out = terminal_.path()}; }

void FullScreen::Type(std::string_view keys) const {
  EXPECT_EQ(write(terminal_.master(), keys.data(), keys.size()), std::ssize(keys));
}

void FullScreen::Resize(int columns, int rows) {
  const std::lock_guard lock(mutex_);
  cells_.resize(static_cast<std::size_t>(rows));
  for (auto& row : cells_) row.resize(static_cast<std::size_t>(columns), " ");
  row_ = std::min(row_, cells_.size() - 1);
  top_ = 0;
  bottom_ = cells_.size() - 1;
  terminal_.Resize(columns, rows);
}

std::vector<std::string> FullScreen::LinesNow() const {
  std::vector<std::string> lines;
  for (const auto& row : cells_) {
    std::string& line = lines.emplace_back();
    for (const std::string& cell : row) line += cell;
    line.resize(line.find_last_not_of(' ') + 1);
  }
  return lines;
}

std::vector<std::string> FullScreen::lines() const {
  const std::lock_guard lock(mutex_);
  return LinesNow();
}

std::string FullScreen::text() const {
  std::string text;
  for (const std::string& line : lines()) text += line + "\n";
  return text;
}

bool FullScreen::WaitUntil(
    const std::function<bool(const std::vector<std::string>&)>& condition) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return condition(LinesNow()); });
}

bool FullScreen::Shows(const std::string& words) const {
  return WaitUntil([&](const std::vector<std::string>& lines) {
    return std::ranges::any_of(
        lines, [&](const std::string& line) { return line.find(words) != std::string::npos; });
  });
}

bool FullScreen::NoLongerShows(const std::string& words) const {
  return WaitUntil([&](const std::vector<std::string>& lines) {
    return std::ranges::none_of(
        lines, [&](const std::string& line) { return line.find(words) != std::string::npos; });
  });
}

bool FullScreen::has_colours() const {
  const std::lock_guard lock(mutex_);
  return has_colours_;
}

bool FullScreen::is_as_it_was() const {
  termios now{};
  EXPECT_EQ(tcgetattr(terminal_.keeper(), &now), 0);
  const bool echoes = (now.c_lflag & ECHO) != 0 && (now.c_lflag & ICANON) != 0;
  // What was written before the program ended may still be on its way.
  std::unique_lock lock(mutex_);
  return echoes &&
         changed_.wait_for(lock, kPatience, [&] { return !is_other_screen_ && has_cursor_; });
}

void FullScreen::Read() {
  std::string unread;
  char bytes[4096];
  for (ssize_t size = 0; (size = read(terminal_.master(), bytes, sizeof bytes)) > 0;) {
    unread.append(bytes, static_cast<std::size_t>(size));
    const std::lock_guard lock(mutex_);
    std::string_view rest = unread;
    while (!rest.empty()) {
      if (rest.front() == kEnd) return;
      if (!(rest.front() == kEscape ? TakeEscape(rest) : TakeCharacter(rest))) break;
    }
    unread = std::string(rest);
    changed_.notify_all();
  }
}

bool FullScreen::TakeCharacter(std::string_view& bytes) {
  const Utf8Character first = FirstUtf8(bytes);
  if (!first.valid && bytes.size() < 4) return false;
  const std::string character(bytes.substr(0, first.bytes));
  bytes.remove_prefix(first.bytes);
  if (character == "\r") {
    column_ = 0;
  } else if (character == "\n") {
    NextRow();
  } else if (character == "\b") {
    column_ -= std::min<std::size_t>(column_, 1);
  } else {
    EXPECT_GE(first.code, U' ') << "a control character";
    Put(character);
  }
  return true;
}

// ESC [ ? parameters command; ESC ( set; ESC command.
bool FullScreen::TakeEscape(std::string_view& bytes) {
  if (bytes.size() < 2) return false;
  const char kind = bytes[1];
  if (kind != '[') {
    const std::size_t size = kind == '(' ? 3 : 2;
    if (bytes.size() < size) return false;
    EXPECT_TRUE(std::string_view("(=>M").find(kind) != std::string_view::npos) << "ESC " << kind;
    if (kind == 'M') row_ == top_ ? MoveDown(top_) : void(row_ -= std::min<std::size_t>(row_, 1));
    bytes.remove_prefix(size);
    return true;
  }
  const std::size_t end = bytes.find_first_not_of("0123456789;?", 2);
  if (end == std::string_view::npos) return false;
  const std::string parameters(bytes.substr(2, end - 2));
  const char command = bytes[end];
  bytes.remove_prefix(end + 1);
  if (parameters.starts_with('?')) {
    Switch(parameters.substr(1), command == 'h');
  } else {
    Do(command, parameters);
  }
  return true;
}

void FullScreen::Switch(const std::string& mode, bool on) {
  if (mode == "1049") is_other_screen_ = on;
  if (mode == "25") has_cursor_ = on;
}

void FullScreen::Do(char command, const std::string& parameters) {
  const std::size_t count = First(parameters, 1);
  const bool known = MoveCursor(command, count, parameters) ||
                     EraseCells(command, count, parameters) || MoveRows(command, count);
  if (known) return;
  if (command == 'm') has_colours_ = has_colours_ || SetsColour(parameters);
  if (command == 'b') {
    for (std::size_t i = 0; i < count; ++i) Put(std::string(last_));
  }
  // l and h: modes; t: the window's title.
  EXPECT_TRUE(std::string_view("mblht").find(command) != std::string_view::npos)
      << "ESC [ " << parameters << command;
}

bool FullScreen::MoveCursor(char command, std::size_t count, const std::string& parameters) {
  const auto row = [&](std::size_t number) { return std::min(number, cells_.size()) - 1; };
  const auto column = [&](std::size_t number) { return std::min(number, cells_[0].size()) - 1; };
  switch (command) {
    case 'H':
      row_ = row(count);
      column_ = column(Second(parameters));
      return true;
    case 'A':
      row_ -= std::min(row_, count);
      return true;
    case 'B':
      row_ = row(row_ + count + 1);
      return true;
    case 'C':
      column_ = column(column_ + count + 1);
      return true;
    case 'D':
      column_ -= std::min(column_, count);
      return true;
    case 'G':
      column_ = column(count);
      return true;
    case 'd':
      row_ = row(count);
      return true;
    case 'r':  // what scrolls
      top_ = row(count);
      bottom_ = row(Second(parameters));
      row_ = column_ = 0;
      return true;
    default:
      return false;
  }
}

bool FullScreen::EraseCells(char command, std::size_t count, const std::string& parameters) {
  std::vector<std::string>& line = cells_[row_];
  const std::size_t width = line.size();
  const auto here = [&] { return line.begin() + static_cast<std::ptrdiff_t>(column_); };
  switch (command) {
    case 'K':
      parameters == "1" ? Erase(row_, 0, column_ + 1) : Erase(row_, column_, width);
      return true;
    case 'J':
      Erase(row_, parameters == "2" ? 0 : column_, width);
      for (std::size_t i = parameters == "2" ? 0 : row_ + 1; i < cells_.size(); ++i) {
        Erase(i, 0, width);
      }
      return true;
    case 'X':
      Erase(row_, column_, column_ + count);
      return true;
    case 'P':
      line.erase(here(), here() + static_cast<std::ptrdiff_t>(std::min(count, width - column_)));
      line.resize(width, " ");
      return true;
    case '@':
      line.insert(here(), count, " ");
      line.resize(width, " ");
      return true;
    default:
      return false;
  }
}

bool FullScreen::MoveRows(char command, std::size_t count) {
  const std::size_t from = command == 'L' || command == 'M' ? row_ : top_;
  const bool up = command == 'S' || command == 'M';
  if (!up && command != 'T' && command != 'L') return false;
  for (std::size_t i = 0; i < count; ++i) up ? MoveUp(from) : MoveDown(from);
  return true;
}

// What scrolls is between top_ and bottom_.
void FullScreen::NextRow() {
  if (row_ == bottom_) return MoveUp(top_);
  row_ = std::min(row_ + 1, cells_.size() - 1);
}

void FullScreen::MoveUp(std::size_t from) {
  std::rotate(RowAt(from), RowAt(from + 1), RowAt(bottom_ + 1));
  Erase(bottom_, 0, cells_[0].size());
}

void FullScreen::MoveDown(std::size_t from) {
  std::rotate(RowAt(from), RowAt(bottom_), RowAt(bottom_ + 1));
  Erase(from, 0, cells_[0].size());
}

FullScreen::Rows::iterator FullScreen::RowAt(std::size_t row) {
  return cells_.begin() + static_cast<std::ptrdiff_t>(row);
}

void FullScreen::Put(const std::string& character) {
  if (column_ >= cells_[row_].size()) {  // it goes on in the next row
    column_ = 0;
    NextRow();
  }
  cells_[row_][column_++] = last_ = character;
}

void FullScreen::Erase(std::size_t row, std::size_t from, std::size_t to) {
  for (std::size_t i = from; i < std::min(to, cells_[row].size()); ++i) cells_[row][i] = " ";
}

}  // namespace kiln
