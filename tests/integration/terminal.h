#pragma once

#include <string>
#include <thread>
#include <vector>

#include "tests/integration/pseudo_terminal.h"

namespace kiln {

// This is a terminal for a program under test, and the screen that a person would see on it: of what
// our programs send it understands \r, \n, cursor up, erase to the end, and styles, which it leaves out.
// Anything else is a failure of the test. Long lines go on in the next row.
class TestTerminal {
 public:
  TestTerminal(int columns, int rows);
  ~TestTerminal();
  TestTerminal(const TestTerminal&) = delete;

  const std::string& path() const { return terminal_.path(); }  // for Streams
  // To be called once, when the program has ended.
  void Finish();
  // The screen at the end, without empty lines below the last one.
  const std::vector<std::string>& screen() const { return screen_; }
  // All that was ever on a line of the screen.
  const std::vector<std::string>& seen() const { return seen_; }

 private:
  void Read();
  void Show(const std::string& bytes);
  void Put(const std::string& character);

  const int columns_;
  PseudoTerminal terminal_;
  std::vector<std::string> screen_, seen_;
  std::size_t row_ = 0, column_ = 0;
  std::thread reader_;  // the last: it uses the others
};

}  // namespace kiln
