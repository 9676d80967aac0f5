#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "ops/isa.h"

namespace kiln {

// This is the process that runners are forked from, and the way to it. It is small, so that a fork
// takes a fraction of a millisecond, and it has never held data of a trial: what is not in its memory
// no kernel finds there. The next runner is forked ahead, while the one before has not been timed yet.
class Zygote {
 public:
  // A runner that waits for its task (runner.h).
  struct Runner {
    int pid = -1;  // no child of this process: Reap()
    int channel = -1;
  };

  // Forks it. In a process without threads that has heard of no trial yet. nullptr: the system
  // refuses.
  static std::unique_ptr<Zygote> Start(IsaMask machine);
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;
  ~Zygote();  // and all runners end

  // Asks for the next runner; Take() need not wait for it then.
  void Prepare();
  // One runner, whose channel the caller closes; pid < 0 with errno if there is none.
  Runner Take();
  // Kills a runner with its threads and waits for its end: its wait status.
  int Reap(int pid);

 private:
  Zygote(int pid, int socket) : pid_(pid), socket_(socket) {}

  const int pid_, socket_;
  std::optional<std::int32_t> AwaitAnswer();  // empty: it has gone
  void AwaitNext();

  int next_channel_ = -1;             // of the runner that was asked for
  std::optional<std::int32_t> next_;  // its pid, or -errno; empty: not answered yet
};

}  // namespace kiln
