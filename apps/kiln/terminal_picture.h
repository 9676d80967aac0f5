#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace kiln {

// How much room a picture has, and what may be in it.
struct Canvas {
  std::size_t columns = 80, rows = 24;
  bool unicode = false;  // the locale's characters are UTF-8
  bool styles = false;   // bold; not with NO_COLOR
};

// This is a few lines at the end of a terminal that are drawn again in place, while others may be
// said above them. What the log says meanwhile goes above too. Thread-safe.
class TerminalPicture {
 public:
  // Null: standard error is no terminal, or one that cannot go back to a line (TERM=dumb).
  static std::unique_ptr<TerminalPicture> OnStandardError();
  // Takes the picture away.
  ~TerminalPicture();
  TerminalPicture(const TerminalPicture&) = delete;

  Canvas canvas() const;  // as the terminal is now
  // Lines without control characters but for styles; longer ones are cut off.
  void Draw(std::vector<std::string> lines);
  void Say(const std::string& line);  // above it; stays

 private:
  class LogSink;
  TerminalPicture();
  std::string Erasure() const;  // the lock is held, as by the next
  std::string Lines() const;

  mutable std::mutex mutex_;
  std::vector<std::string> lines_;  // as drawn
  struct Log;                       // where it went before
  std::unique_ptr<Log> log_;
};

// A line on standard error, above the picture if there is one. Thread-safe.
void SayToPerson(const std::string& line);

// Whether the characters of the terminal, by the environment, are UTF-8.
bool TerminalSpeaksUtf8();

// The first `columns` characters of a line; control sequences of styles take none.
std::string CutOff(const std::string& line, std::size_t columns);

}  // namespace kiln
