#pragma once

#include <functional>
#include <future>

#include "base/reactor.h"

namespace kiln {

// Does the work on the reactor's thread, and waits for it.
inline void RunOn(Reactor& reactor, const std::function<void()>& work) {
  std::promise<void> done;
  reactor.Post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace kiln
