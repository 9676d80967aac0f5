#include "apps/kiln/interrupt.h"

#include <unistd.h>

#include <cstdio>

namespace kiln {

Interrupt::Interrupt(Reactor& reactor) {
  reactor.OnTermination([this](int count) {
    if (count >= 3) _exit(kInterruptedStatus);
    std::fprintf(stderr,
                 count == 1 ? "\nkiln: stopping; finished trials are stored (twice more: at once)\n"
                            : "\nkiln: still stopping (once more: at once)\n");
    {
      const std::lock_guard lock(mutex_);
      requested_ = true;
    }
    changed_.notify_all();
  });
}

bool Interrupt::WaitFor(std::chrono::nanoseconds time) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [&] { return requested(); });
}

}  // namespace kiln
