#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/reactor.h"

namespace kiln {

// This is Ctrl-C (and SIGTERM, SIGHUP) for a long-running subcommand: the first asks it to stop,
// which it does when what is under way is stored; a third ends the program on the spot. One per
// program.
class Interrupt {
 public:
  static constexpr char kTrialsAreStored[] =
      "\nkiln: stopping; finished trials are stored (twice more: at once)";
  // `words`: what is said of the first on standard error; empty: nothing.
  explicit Interrupt(Reactor& reactor, std::string words = kTrialsAreStored);
  Interrupt(const Interrupt&) = delete;

  bool requested() const { return state_->requested.load(); }
  // Until it is requested (true) or the time is over (false).
  bool WaitFor(std::chrono::nanoseconds time) const;
  // Calls `stop` when it is requested, at once if it has been; instead of what was given before.
  // Null: nothing more is called, and what was is over.
  void OnRequest(std::function<void()> stop);

 private:
  // The reactor's, too: a signal may be under way on its thread when this goes.
  struct State {
    std::atomic<bool> requested = false;
    std::mutex mutex;
    std::condition_variable changed;
    std::mutex stop_mutex;  // guards what follows
    std::function<void()> stop;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace kiln
