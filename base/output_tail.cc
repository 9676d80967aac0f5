#include "base/output_tail.h"

#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <utility>

#include "base/await_readable.h"
#include "base/child_end.h"

namespace kiln {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

struct OutputTail::Pipe {
  Pipe(asio::io_context& io, int output) : end(io, output) {
    ErrorCode ignored;
    end.non_blocking(true, ignored);
  }

  ErrorCode ReadSome() {
    ErrorCode error;
    const std::size_t size = end.read_some(asio::buffer(chunk), error);
    KeepTail(printed, {chunk.data(), size});
    return error;
  }

  asio::posix::stream_descriptor end;
  std::string printed;
  std::array<char, 1024> chunk;
};

OutputTail::OutputTail(asio::io_context& io, int output)
    : pipe_(std::make_unique<Pipe>(io, output)) {}
OutputTail::~OutputTail() = default;

// Waits first and reads then: what a read in flight had taken would come after what Finish() finds.
void OutputTail::Read(std::shared_ptr<void> owner) {
  AwaitReadable(pipe_->end, [this, owner = std::move(owner)](const ErrorCode& error) {
    if (error) return;
    const ErrorCode read = pipe_->ReadSome();
    if (read && read != asio::error::would_block) return;
    Read(owner);
  });
}

void OutputTail::Finish() {
  while (!pipe_->ReadSome()) {
  }
  ErrorCode ignored;
  pipe_->end.close(ignored);
}

std::string OutputTail::last_line() const { return LastLine(pipe_->printed); }

}  // namespace kiln
