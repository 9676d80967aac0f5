#pragma once

#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <memory>
#include <string>
#include <utility>

#include "base/child_end.h"

namespace kiln {

// This reads what a child prints, to know its last line; for .cc files that use Asio. All on the
// reactor's thread.
class OutputTail {
 public:
  OutputTail(boost::asio::io_context& io, int output) : output_(io, output) {
    boost::system::error_code ignored;
    output_.non_blocking(true, ignored);
  }

  // Until the end; `owner`, which has this object, is kept until then. Waits first and reads then:
  // what a read in flight had taken would come after what Finish() finds.
  void Read(std::shared_ptr<void> owner) {
    output_.async_wait(Descriptor::wait_read, [this, owner = std::move(owner)](
                                                  const boost::system::error_code& error) mutable {
      if (error) return;
      const boost::system::error_code read = ReadSome();
      if (read && read != boost::asio::error::would_block) return;
      Read(std::move(owner));
    });
  }

  // The child has ended: takes what is left in the pipe, without waiting for those who may still
  // hold its other end, and closes it.
  void Finish() {
    while (!ReadSome()) {
    }
    boost::system::error_code ignored;
    output_.close(ignored);
  }

  std::string last_line() const { return LastLine(printed_); }

 private:
  using Descriptor = boost::asio::posix::stream_descriptor;

  boost::system::error_code ReadSome() {
    boost::system::error_code error;
    const std::size_t size = output_.read_some(boost::asio::buffer(chunk_), error);
    KeepTail(printed_, {chunk_.data(), size});
    return error;
  }

  Descriptor output_;
  std::string printed_;
  std::array<char, 1024> chunk_;
};

}  // namespace kiln
