#include "apps/kiln/interrupt.h"

#include <unistd.h>

#include <utility>

#include "apps/command_line/command_line.h"
#include "apps/kiln/terminal_picture.h"

namespace kiln {

Interrupt::Interrupt(Reactor& reactor, std::string words) {
  reactor.OnTermination([state = state_, words = std::move(words)](int count) {
    if (count >= 3) _exit(kInterruptedStatus);
    if (count > 1) {
      SayToPerson("\nkiln: still stopping (once more: at once)");
    } else if (!words.empty()) {
      SayToPerson(words);
    }
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
