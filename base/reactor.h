#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace kiln {

// This is the one event loop of a program: sockets to helpers, deadlines, SIGCHLD and SIGTERM are
// driven by it on a thread of its own, so that no other thread sleeps or polls. It wraps a
// boost::asio::io_context; only .cc files that include base/reactor_asio.h see that. Thread-safe.
class Reactor {
 public:
  virtual ~Reactor() = default;

  // Calls `handler` on the reactor's thread at the first SIGINT, SIGTERM or SIGHUP, then at each
  // further one, with how many came so far. One handler per program. The signals no longer end the
  // program. A SIGHUP that is ignored, as under nohup, stays so.
  virtual void OnTermination(std::function<void(int count)> handler) = 0;

  // From now on SIGHUP is no termination: it calls `handler` on the reactor's thread. Once.
  virtual void OnHangUp(std::function<void()> handler) = 0;

  // Runs `work` on the reactor's thread, soon or after `delay`.
  virtual void Post(std::function<void()> work) = 0;
  virtual void After(std::chrono::nanoseconds delay, std::function<void()> work) = 0;
};

// Starts the loop and its thread; the destructor stops both.
std::unique_ptr<Reactor> NewReactor();

}  // namespace kiln
