#include "base/output_tail.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/child_end.h"
#include "base/readable_descriptor.h"

namespace kiln {

struct OutputTail::Pipe {
  Pipe(boost::asio::io_context& io, int output) : end(io, output) {
    fcntl(output, F_SETFL, fcntl(output, F_GETFL) | O_NONBLOCK);
  }

  enum class Found { kSome, kNothingYet, kEnd };
  Found ReadSome() {
    std::array<char, 1024> chunk;
    const ssize_t size = read(end.fd(), chunk.data(), chunk.size());
    if (size > 0) {
      KeepTail(printed, {chunk.data(), static_cast<std::size_t>(size)});
      return Found::kSome;
    }
    const bool is_open = size < 0 && (errno == EAGAIN || errno == EINTR);
    return is_open ? Found::kNothingYet : Found::kEnd;
  }

  ReadableDescriptor end;
  std::string printed;
};

OutputTail::OutputTail(boost::asio::io_context& io, int output)
    : pipe_(std::make_unique<Pipe>(io, output)) {}
OutputTail::~OutputTail() = default;

// Waits first and reads then: what a read in flight had taken would come after what Finish() finds.
void OutputTail::Read(std::shared_ptr<void> owner) {
  pipe_->end.Await([this, owner = std::move(owner)](bool is_readable) {
    if (is_readable && pipe_->ReadSome() != Pipe::Found::kEnd) Read(owner);
  });
}

void OutputTail::Finish() {
  while (pipe_->ReadSome() == Pipe::Found::kSome) {
  }
  pipe_->end.Close();
}

std::string OutputTail::last_line() const { return LastLine(pipe_->printed); }

}  // namespace kiln
