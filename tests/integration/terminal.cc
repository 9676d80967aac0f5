#include "tests/integration/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/utf8.h"

namespace kiln {
namespace {

constexpr char kEnd[] = "\x04 the end \x04";  // nothing that a program sends

}  // namespace

TestTerminal::TestTerminal(int columns, int rows)
    : columns_(columns), master_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
  EXPECT_GE(master_, 0);
  EXPECT_EQ(grantpt(master_), 0);
  EXPECT_EQ(unlockpt(master_), 0);
  char name[64] = "";
  EXPECT_EQ(ptsname_r(master_, name, sizeof name), 0);
  path_ = name;
  keeper_ = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  EXPECT_GE(keeper_, 0);
  winsize size{};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = static_cast<unsigned short>(rows);
  EXPECT_EQ(ioctl(master_, TIOCSWINSZ, &size), 0);
  reader_ = std::thread([this] { Read(); });
}

TestTerminal::~TestTerminal() {
  Finish();
  close(master_);
}

void TestTerminal::Finish() {
  if (!reader_.joinable()) return;
  EXPECT_EQ(write(keeper_, kEnd, sizeof kEnd - 1), static_cast<ssize_t>(sizeof kEnd - 1));
  reader_.join();
  close(keeper_);
  while (!screen_.empty() && screen_.back().empty()) screen_.pop_back();
}

void TestTerminal::Read() {
  std::string all;
  char bytes[4096];
  for (ssize_t size = 0; (size = read(master_, bytes, sizeof bytes)) > 0;) {
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
