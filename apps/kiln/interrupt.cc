#include "apps/kiln/interrupt.h"

#include <unistd.h>

#include <utility>

#include "apps/command_line/command_line.h"
#include "base/standard_streams.h"

namespace kiln {

Interrupt::Interrupt(Reactor& reactor) {
  reactor.OnTermination([this](int count) {
    if (count >= 3) _exit(kInterruptedStatus);
    WriteError(count == 1 ? "\nkiln: stopping; finished trials are stored (twice more: at once)\n"
                          : "\nkiln: still stopping (once more: at once)\n");
    {
      const std::lock_guard lock(mutex_);
      requested_ = true;
    }
    changed_.notify_all();
    const std::lock_guard lock(stop_mutex_);
    if (stop_) stop_();
  });
}

void Interrupt::OnRequest(std::function<void()> stop) {
  const std::lock_guard lock(stop_mutex_);
  stop_ = std::move(stop);
  if (stop_ && requested()) stop_();
}

bool Interrupt::WaitFor(std::chrono::nanoseconds time) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [&] { return requested(); });
}

}  // namespace kiln
