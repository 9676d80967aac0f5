#include "base/child_program.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "base/child_end.h"
#include "base/frame.h"
#include "base/output_tail.h"
#include "base/reactor_asio.h"
#include "base/readable_descriptor.h"
#include "base/spawn.h"

namespace kiln {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

constexpr std::uint32_t kMostBytes = 16 << 20;         // of a frame
constexpr std::chrono::milliseconds kLastFrames{500};  // to be read once the program has ended

// The handlers that are pending keep it alive; all on the reactor's thread.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(asio::io_context& io, const Child& child, ChildProgram::Observer observer)
      : observer_(std::move(observer)),
        pid_(child.pid),
        socket_(io, stream_protocol(), child.socket),
        end_(io, child.pidfd),
        output_(io, child.output),
        patience_(io) {}

  void Start() {
    end_.Await([self = shared_from_this()](bool) { self->Reap(); });
    output_.Read(shared_from_this());
    ReadSize();
  }

  void Send(const std::string& frame) {
    if (end_of_program_) return;
    const auto size = static_cast<std::uint32_t>(frame.size());
    std::string bytes(reinterpret_cast<const char*>(&size), sizeof size);
    sent_.push_back(bytes + frame);
    if (sent_.size() == 1) Write();
  }

  void Signal(int signal) {
    if (!end_of_program_) kill(pid_, signal);
  }
  void Kill() {
    if (!end_of_program_) kill(-pid_, SIGKILL);
  }
  int pid() const { return pid_; }
  void Forget() { observer_ = {}; }

 private:
  void Write() {
    asio::async_write(socket_, asio::buffer(sent_.front()),
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        self->sent_.pop_front();
                        if (!error && !self->sent_.empty()) self->Write();
                      });
  }

  void ReadSize() {
    asio::async_read(socket_, asio::buffer(&size_, sizeof size_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       error || self->size_ > kMostBytes ? self->SocketEnds() : self->ReadBytes();
                     });
  }

  void ReadBytes() {
    frame_.resize(size_);
    asio::async_read(socket_, asio::buffer(frame_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       if (error) return self->SocketEnds();
                       self->Tell(std::move(self->frame_));
                       self->ReadSize();
                     });
  }

  // The program's object may go while its observer is told, and takes that along.
  void Tell(std::string frame) {
    if (const auto tell = observer_.frame) tell(std::move(frame));
  }

  void SocketEnds() {
    socket_has_ended_ = true;
    Conclude();
  }

  void Reap() {
    end_of_program_ = EndGroup(pid_);
    output_.Finish();
    end_.Close();
    // Somebody who has left the group may still hold the other end.
    patience_.expires_after(kLastFrames);
    patience_.async_wait([self = shared_from_this()](const ErrorCode& error) {
      ErrorCode closed;
      if (!error) self->socket_.close(closed);
    });
    Conclude();
  }

  void Conclude() {
    if (!end_of_program_ || !socket_has_ended_) return;
    patience_.cancel();
    const auto ended = std::exchange(observer_, {}).ended;
    if (ended) ended({end_of_program_->status, end_of_program_->how, output_.last_line()});
  }

  ChildProgram::Observer observer_;
  const pid_t pid_;
  stream_protocol::socket socket_;
  ReadableDescriptor end_;  // a pidfd
  OutputTail output_;
  asio::steady_timer patience_;
  std::deque<std::string> sent_;
  std::uint32_t size_ = 0;
  std::string frame_;
  bool socket_has_ended_ = false;
  std::optional<ChildEnd> end_of_program_;
};

class SpawnedProgram final : public ChildProgram {
 public:
  explicit SpawnedProgram(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  ~SpawnedProgram() override {
    session_->Forget();
    session_->Kill();
  }
  void Send(std::string frame) override { session_->Send(frame); }
  void Signal(int signal) override { session_->Signal(signal); }
  void Kill() override { session_->Kill(); }
  int pid() const override { return session_->pid(); }

 private:
  const std::shared_ptr<Session> session_;
};

}  // namespace

StatusOr<std::unique_ptr<ChildProgram>> StartProgram(Reactor& reactor,
                                                     const ChildProgramOptions& options,
                                                     ChildProgram::Observer observer) {
  ASSIGN_OR_RETURN(const Child child, Spawn(options.program, options.arguments, options.input));
  auto session = std::make_shared<Session>(IoContext(reactor), child, std::move(observer));
  session->Start();
  return std::make_unique<SpawnedProgram>(std::move(session));
}

}  // namespace kiln
