#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/integration/programs.h"
#include "tests/integration/pseudo_terminal.h"

namespace kiln {

// This is a terminal (TERM=xterm) for a program that draws on all of it, and the person in front of
// it, who sees its lines and types. Of xterm's language it understands what curses uses; anything else
// is a failure of the test.
class FullScreen {
 public:
  FullScreen(int columns, int rows);
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;

  Streams streams() const;  // its input and output, for a program
  void Type(std::string_view keys) const;
  void Resize(int columns, int rows);

  // Without the spaces at their ends.
  std::vector<std::string> lines() const;
  // All of them, for messages and for looking for words anywhere.
  std::string text() const;
  // Until the lines are so; false: they are not within kPatience.
  bool WaitUntil(const std::function<bool(const std::vector<std::string>&)>& condition) const;
  // Until a line has these words in it.
  bool Shows(const std::string& words) const;
  bool NoLongerShows(const std::string& words) const;

  bool has_colours() const;  // any was ever used
  // Nothing of the program is left: the usual screen, its cursor, its echo.
  bool is_as_it_was() const;

 private:
  using Rows = std::vector<std::vector<std::string>>;  // of characters

  void Read();
  // From here on the lock is held. Each takes what it understands off the bytes; false: it has not
  // all come yet.
  bool TakeCharacter(std::string_view& bytes);
  bool TakeEscape(std::string_view& bytes);
  void Do(char command, const std::string& parameters);
  // What ESC [ does; false: the command does something else.
  bool MoveCursor(char command, std::size_t count, const std::string& parameters);
  bool EraseCells(char command, std::size_t count, const std::string& parameters);
  bool MoveRows(char command, std::size_t count);
  void Switch(const std::string& mode, bool on);
  void NextRow();
  // The rows from there to bottom_, by one; the one that comes is empty.
  void MoveUp(std::size_t from);
  void MoveDown(std::size_t from);
  void Put(const std::string& character);
  void Erase(std::size_t row, std::size_t from, std::size_t to);
  Rows::iterator RowAt(std::size_t row);
  std::vector<std::string> LinesNow() const;

  PseudoTerminal terminal_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Rows cells_;
  std::size_t row_ = 0, column_ = 0;
  std::size_t top_ = 0, bottom_ = 0;  // of what scrolls
  std::string last_;                  // character, for repeating it
  bool is_other_screen_ = false, has_cursor_ = true, has_colours_ = false;
  std::thread reader_;  // the last: it uses the others
};

}  // namespace kiln
