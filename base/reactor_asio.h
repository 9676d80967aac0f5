#pragma once

#include "base/reactor.h"

namespace boost::asio {
class io_context;
}

namespace kiln {

// The loop behind a Reactor, for .cc files that put sockets or timers of their own on it; never
// included by a header. The context has one thread, so handlers need no strand.
boost::asio::io_context& IoContext(Reactor& reactor);

}  // namespace kiln
