#include "tests/integration/terminal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/utf8.h"

namespace kiln {
namespace {

constexpr char kEnd[] = "\x04 the end \x04";  // nothing that a program sends

}  // namespace

TestTerminal::TestTerminal(int columns, int rows)
    : columns_(columns), terminal_(columns, rows), reader_([this] { Read(); }) {}

TestTerminal::~TestTerminal() { Finish(); }

void TestTerminal::Finish() {
  if (!reader_.joinable()) return;
  EXPECT_EQ(write(terminal_.keeper(), kEnd, sizeof kEnd - 1),
            static_cast<ssize_t>(sizeof kEnd - 1));
  reader_.join();
  while (!screen_.empty() && screen_.back().empty()) screen_.pop_back();
}

void TestTerminal::Read() {
  std::string all;
  char bytes[4096];
  for (ssize_t size = 0; (size = read(terminal_.master(), bytes, sizeof bytes)) > 0;) {
    all.append(bytes, static_cast<std::size_t>(size));
    const std::size_t end = all.find(kEnd);
    if (end == std::string::npos) continue;
    return Show(all.substr(0, end));
  }
}

void TestTerminal::Put(const std::string& character) {
  if (column_ >= static_cast<std::size_t>(columns_)) {  // it goes on in the next row
    column_ = 0;
    ++row_;
  }
  if (screen_.size() <= row_) screen_.resize(row_ + 1);
  std::string& line = screen_[row_];
  // What was there is gone when it is drawn again: lines only grow at their end.
  if (column_ == 0) line.clear();
  line += character;
  ++column_;
}

void TestTerminal::Show(const std::string& bytes) {
  std::string_view rest = bytes;
  while (!rest.empty()) {
    if (rest.front() == '\033') {
      const std::size_t end = rest.find_first_not_of("0123456789;", 2);
      ASSERT_TRUE(rest.size() > 2 && rest[1] == '[' && end != rest.npos) << "an odd sequence";
      const int number = std::atoi(std::string(rest.substr(2, end - 2)).c_str());
      const char command = rest[end];
      if (command == 'A') row_ -= std::min(row_, static_cast<std::size_t>(std::max(1, number)));
      if (command == 'J') screen_.resize(std::min(screen_.size(), row_));
      EXPECT_TRUE(command == 'A' || command == 'J' || command == 'm') << "ESC [ " << command;
      rest.remove_prefix(end + 1);
      continue;
    }
    const std::size_t size = FirstUtf8(rest).bytes;
    const std::string character(rest.substr(0, size));
    rest.remove_prefix(size);
    if (character == "\r" || character == "\n") {
      if (screen_.size() > row_) seen_.push_back(screen_[row_]);
      column_ = 0;
      if (character == "\n") ++row_;
      continue;
    }
    Put(character);
  }
}

}  // namespace kiln
