#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/system/error_code.hpp>
#include <functional>

namespace kiln {

// Calls `handler` once there is something to read, or nothing any more; on the descriptor's loop,
// and only if it was not called off (an error then). The descriptor must outlive the wait: `handler`
// holds what owns it.
//
// Asio's own wait may end early. What epoll reported for a descriptor that a handler of the same
// round closes is taken for the one that is opened next, since they share a record (Boost 1.74,
// epoll_reactor: a descriptor_state is given to the next while it is still queued). A read then
// finds nothing and waits on; whoever waits only, as for the end of a process, must ask again.
void AwaitReadable(boost::asio::posix::stream_descriptor& descriptor,
                   std::function<void(const boost::system::error_code&)> handler);

}  // namespace kiln
