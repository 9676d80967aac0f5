#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "apps/serving/log_limiter.h"

namespace kiln {

struct LogWriterOptions {
  // What waits for a reader: beyond either the oldest lines are lost, since what a program said last
  // is what one wants to know when something is wrong.
  std::size_t most_lines = 8192;
  std::size_t most_bytes = 1 << 20;
  LogLimiter::Options limits;
  std::chrono::nanoseconds ending = std::chrono::seconds(1);  // how long the destructor waits
};

// This is the way of a log's lines to a descriptor of which nothing is known: a file, a terminal
// that somebody has stopped, a pipe that nobody reads, has closed, or shares with us. No call waits
// for it. Lines go into a bounded queue, and a thread of its own writes them in their order.
//
// That thread polls, then writes whole lines in at most PIPE_BUF bytes: a pipe that is ready takes
// so much at once, and unmixed with the lines of others. Where a write may block all the same (a
// terminal, a socket, a pipe that another writer fills in between) only the thread is held up. The
// descriptor is not made O_NONBLOCK: it is shared with whoever started the program. Lost lines are
// counted, and a line in their place says how many once there is a next one: "217 lines lost:
// nobody read the log". The thread takes no signals, SIGPIPE least of all.
//
// Thread-safe. Once only a thread that cannot be interrupted is left of it, the destructor does not
// wait for that thread; it ends with its write.
class LogWriter {
 public:
  virtual ~LogWriter() = default;  // Flush(ending)

  // Whether a line is to be written, or to be left out and summed up later (log_limiter.h).
  virtual bool Admit(LogClass kind, std::string_view text) = 0;
  // `line` ends with its newline, and is not longer than PIPE_BUF.
  virtual void Write(std::string line) = 0;
  // Sums up what was left out, and waits until all that has been said is written or lost, or the
  // time is over: whether it was in time.
  virtual bool Flush(std::chrono::nanoseconds time) = 0;
  // Nothing is left to be written. For signal handlers too.
  virtual bool is_idle() const noexcept = 0;
};

// Makes a line of the writer's own words. Called under its lock: it must not call the writer.
using LogRemark = std::function<std::string(LogClass kind, std::string_view text)>;

// Writes to a duplicate of the descriptor, so that it may be closed.
std::shared_ptr<LogWriter> NewLogWriter(int descriptor, LogRemark remark,
                                        const LogWriterOptions& options);

}  // namespace kiln
