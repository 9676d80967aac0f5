#include "base/await_readable.h"

#include <poll.h>

#include <utility>

namespace kiln {
namespace {

bool IsReadable(int fd) {
  pollfd state{fd, POLLIN, 0};
  return poll(&state, 1, 0) != 0;  // an end or an error is for the reader to find
}

}  // namespace

void AwaitReadable(boost::asio::posix::stream_descriptor& descriptor,
                   std::function<void(const boost::system::error_code&)> handler) {
  descriptor.async_wait(
      boost::asio::posix::stream_descriptor::wait_read,
      [&descriptor, handler = std::move(handler)](const boost::system::error_code& error) mutable {
        if (!error && !IsReadable(descriptor.native_handle())) {
          return AwaitReadable(descriptor, std::move(handler));
        }
        handler(error);
      });
}

}  // namespace kiln
