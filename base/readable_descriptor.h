#pragma once

#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace kiln {

// This is a file descriptor of ours that is waited for on a reactor's loop (base/reactor_asio.h), on
// whose thread all of it happens.
//
// Asio's own wait may end early. What epoll reported for a descriptor that a handler of the same
// round closes is taken for the one that is opened next, since they share a record (Boost 1.74,
// epoll_reactor: a descriptor_state is given to the next while it is still queued). A read then
// finds nothing and waits on; whoever waits only, as for the end of a process, must ask again, and
// this does.
class ReadableDescriptor {
 public:
  ReadableDescriptor(boost::asio::io_context& io, int fd);
  ~ReadableDescriptor();  // closes it
  ReadableDescriptor(const ReadableDescriptor&) = delete;
  ReadableDescriptor& operator=(const ReadableDescriptor&) = delete;

  int fd() const;  // -1: it is closed

  // Calls `handler` with true once there is something to read, or nothing any more; with false if
  // it is closed before, or cannot be waited for.
  void Await(std::function<void(bool is_readable)> handler);
  void Close();

 private:
  struct State;
  const std::shared_ptr<State> state_;  // a wait that has ended but was not told yet holds it too
};

}  // namespace kiln
