#include "apps/kiln/interrupt.h"

#include <unistd.h>

#include <utility>

#include "apps/command_line/command_line.h"
#include "apps/kiln/terminal_picture.h"

namespace kiln {

Interrupt::Interrupt(Reactor& reactor) {
  reactor.OnTermination([state = state_](int count) {
    if (count >= 3) _exit(kInterruptedStatus);
    SayToPerson(count == 1 ? "\nkiln: stopping; finished trials are stored (twice more: at once)"
                           : "\nkiln: still stopping (once more: at once)");
    {
      const std::lock_guard lock(state->mutex);
      state->requested = true;
    }
    state->changed.notify_all();
    const std::lock_guard lock(state->stop_mutex);
    if (state->stop) state->stop();
  });
}

void Interrupt::OnRequest(std::function<void()> stop) {
  const std::lock_guard lock(state_->stop_mutex);
  state_->stop = std::move(stop);
  if (state_->stop && requested()) state_->stop();
}

bool Interrupt::WaitFor(std::chrono::nanoseconds time) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, time, [&] { return requested(); });
}

}  // namespace kiln
