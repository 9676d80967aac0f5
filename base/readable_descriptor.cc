#include "base/readable_descriptor.h"

#include <poll.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <utility>

namespace kiln {
namespace {

using boost::asio::posix::stream_descriptor;
using ErrorCode = boost::system::error_code;

bool IsReadable(int fd) {
  pollfd state{fd, POLLIN, 0};
  return poll(&state, 1, 0) != 0;  // an end or an error is for the reader to find
}

}  // namespace

struct ReadableDescriptor::State : std::enable_shared_from_this<State> {
  State(boost::asio::io_context& io, int fd) : descriptor(io, fd) {}

  void Await(std::function<void(bool)> handler) {
    descriptor.async_wait(
        stream_descriptor::wait_read,
        [self = shared_from_this(), handler = std::move(handler)](const ErrorCode& error) mutable {
          if (error || !self->descriptor.is_open()) return handler(false);
          if (!IsReadable(self->descriptor.native_handle())) return self->Await(std::move(handler));
          handler(true);
        });
  }

  void Close() {
    ErrorCode ignored;
    descriptor.close(ignored);
  }

  stream_descriptor descriptor;
};

ReadableDescriptor::ReadableDescriptor(boost::asio::io_context& io, int fd)
    : state_(std::make_shared<State>(io, fd)) {}
ReadableDescriptor::~ReadableDescriptor() { Close(); }

int ReadableDescriptor::fd() const {
  return state_->descriptor.is_open() ? state_->descriptor.native_handle() : -1;
}
void ReadableDescriptor::Await(std::function<void(bool)> handler) {
  state_->Await(std::move(handler));
}
void ReadableDescriptor::Close() { state_->Close(); }

}  // namespace kiln
