#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "base/reactor.h"

namespace kiln {

// This is Ctrl-C (and SIGTERM) for a long-running subcommand: the first asks it to stop, which it
// does when what is under way is stored; a third ends the program on the spot. One per program.
class Interrupt {
 public:
  explicit Interrupt(Reactor& reactor);
  Interrupt(const Interrupt&) = delete;

  bool requested() const { return requested_.load(); }
  // Until it is requested (true) or the time is over (false).
  bool WaitFor(std::chrono::nanoseconds time) const;

 private:
  std::atomic<bool> requested_ = false;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
};

// 128 + SIGINT, as shells have it.
inline constexpr int kInterruptedStatus = 130;

}  // namespace kiln
