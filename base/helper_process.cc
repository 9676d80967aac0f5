// All state of a helper lives in a Session that only the reactor's thread touches. A call is a
// chain of asynchronous steps, write, read the length, read the bytes, of which one is pending at a
// time; whatever goes wrong (the deadline, a broken socket, the helper's end) makes the pending
// step fail, and the call is answered when the helper has been reaped, so that the error can say
// how it died.
#include "base/helper_process.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cassert>
#include <csignal>
#include <cstdint>
#include <future>
#include <utility>

#include "base/child_end.h"
#include "base/frame.h"
#include "base/output_tail.h"
#include "base/processor_time.h"
#include "base/reactor_asio.h"
#include "base/readable_descriptor.h"
#include "base/spawn.h"

namespace kiln {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using ErrorCode = boost::system::error_code;

constexpr int kStarvedPatience = 10;                 // times the time-out, by the wall
constexpr std::chrono::milliseconds kLeastWait{10};  // before the processor time is read again

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Answer = std::promise<StatusOr<std::string>>;

  Session(asio::io_context& io, std::string name, const Child& child)
      : name_(std::move(name)),
        pid_(child.pid),
        socket_(io, stream_protocol(), child.socket),
        end_(io, child.pidfd),
        output_(io, child.output),
        deadline_(io) {}

  int pid() const { return pid_; }
  bool alive() const { return alive_; }
  std::shared_future<void> ended() const { return ended_; }

  // Watches for the end and for output. The handlers keep the session alive until the end.
  void Start() {
    end_.Await([self = shared_from_this()](bool) { self->Reap(); });
    output_.Read(shared_from_this());
  }

  void Call(std::string request, std::chrono::nanoseconds timeout, HelperProcess::Clock clock,
            Answer answer) {
    answer_ = std::move(answer);
    if (!alive_) return Fail();
    busy_ = true;
    const bool by_wall = clock == HelperProcess::Clock::kWall;
    last_moment_ = std::chrono::steady_clock::now() + (by_wall ? 1 : kStarvedPatience) * timeout;
    processor_limit_ = ProcessorTime(pid_) + timeout;
    AwaitDeadline(timeout);
    Send(std::move(request));
  }

  void Kill() {
    if (alive_) kill(-pid_, SIGKILL);
  }

 private:
  void AwaitDeadline(std::chrono::nanoseconds time) {
    deadline_.expires_after(time);
    deadline_.async_wait([self = shared_from_this()](const ErrorCode& error) {
      if (!error) self->TimeOut();
    });
  }

  void Send(std::string request) {
    frame_ = std::move(request);
    size_ = static_cast<std::uint32_t>(frame_.size());
    const std::array<asio::const_buffer, 2> parts{asio::buffer(&size_, sizeof size_),
                                                  asio::buffer(frame_)};
    asio::async_write(socket_, parts,
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        error ? self->Break() : self->ReceiveSize();
                      });
  }

  void ReceiveSize() {
    asio::async_read(socket_, asio::buffer(&size_, sizeof size_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       error || self->size_ > kMaxFrame ? self->Break() : self->ReceiveBytes();
                     });
  }

  void ReceiveBytes() {
    frame_.resize(size_);
    asio::async_read(socket_, asio::buffer(frame_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       error ? self->Break() : self->Succeed();
                     });
  }

  void TimeOut() {
    // A call may have ended and another begun while this was on its way.
    const auto now = std::chrono::steady_clock::now();
    if (!busy_ || deadline_.expiry() > now) return;
    const std::chrono::nanoseconds left = std::min<std::chrono::nanoseconds>(
        processor_limit_ - ProcessorTime(pid_), last_moment_ - now);
    if (left > std::chrono::nanoseconds::zero()) {
      return AwaitDeadline(std::max<std::chrono::nanoseconds>(left, kLeastWait));
    }
    timed_out_ = true;
    Kill();
  }

  // The pending step failed: the helper has ended, or must.
  void Break() {
    broken_ = true;
    if (!alive_) return Fail();
    Kill();
  }

  // The helper has ended. What it forked dies with it, while its pid, a zombie's, still names the
  // group; an answer that it sent before is still read.
  void Reap() {
    how_it_ended_ = EndGroup(pid_).how;
    alive_ = false;
    ErrorCode ignored;
    output_.Finish();
    end_.Close();
    socket_.shutdown(stream_protocol::socket::shutdown_both, ignored);
    if (busy_ && broken_) Fail();
    ended_promise_.set_value();
  }

  void Succeed() {
    if (timed_out_) return Break();
    Finish(std::move(frame_));
  }

  void Fail() {
    if (timed_out_) {
      return Finish(Error(StatusCode::kDeadlineExceeded, name_, ": no answer in time; killed"));
    }
    const std::string line = output_.last_line();
    Finish(Error(StatusCode::kUnavailable, name_, ": ", how_it_ended_, line.empty() ? "" : ": ",
                 line));
  }

  void Finish(StatusOr<std::string> result) {
    busy_ = false;
    deadline_.cancel();
    frame_ = {};
    answer_.set_value(std::move(result));
  }

  const std::string name_;
  const pid_t pid_;
  std::atomic<bool> alive_{true};
  std::promise<void> ended_promise_;
  const std::shared_future<void> ended_{ended_promise_.get_future()};

  // Only on the reactor's thread.
  stream_protocol::socket socket_;
  ReadableDescriptor end_;  // a pidfd
  OutputTail output_;
  asio::steady_timer deadline_;
  std::chrono::steady_clock::time_point last_moment_;  // of the pending call
  std::chrono::nanoseconds processor_limit_{};         // that it may have used by then
  Answer answer_;
  std::uint32_t size_ = 0;
  std::string frame_;  // of the pending step: the request, then the answer
  bool busy_ = false, broken_ = false, timed_out_ = false;
  std::string how_it_ended_;
};

class SpawnedHelper final : public HelperProcess {
 public:
  SpawnedHelper(asio::io_context& io, std::shared_ptr<Session> session)
      : io_(io), session_(std::move(session)) {}

  ~SpawnedHelper() override {
    assert(!io_.get_executor().running_in_this_thread());
    SpawnedHelper::Kill();
    session_->ended().wait();
  }

  StatusOr<std::string> Call(std::string_view request, std::chrono::nanoseconds timeout,
                             Clock clock) override {
    assert(!io_.get_executor().running_in_this_thread());
    if (request.size() > kMaxFrame) {
      return Error(StatusCode::kInvalidArgument, "a frame of ", request.size(), " bytes; at most ",
                   kMaxFrame);
    }
    Session::Answer answer;
    auto result = answer.get_future();
    asio::post(io_, [session = session_, request = std::string(request), timeout, clock,
                     answer = std::move(answer)]() mutable {
      session->Call(std::move(request), timeout, clock, std::move(answer));
    });
    return result.get();
  }

  void Kill() override {
    asio::post(io_, [session = session_] { session->Kill(); });
  }
  int pid() const override { return session_->pid(); }
  bool alive() const override { return session_->alive(); }

 private:
  asio::io_context& io_;
  const std::shared_ptr<Session> session_;
};

}  // namespace

StatusOr<std::unique_ptr<HelperProcess>> StartHelper(Reactor& reactor,
                                                     const HelperOptions& options) {
  asio::io_context& io = IoContext(reactor);
  std::promise<StatusOr<std::shared_ptr<Session>>> promise;
  auto result = promise.get_future();
  // On the reactor's thread, because the child dies with the thread that started it.
  asio::dispatch(io, [&io, &options, started = std::move(promise)]() mutable {
    StatusOr<Child> child = Spawn(options.program, options.arguments);
    if (!child.ok()) return started.set_value(child.status());
    auto session = std::make_shared<Session>(io, options.name, *child);
    session->Start();
    started.set_value(std::move(session));
  });
  ASSIGN_OR_RETURN(std::shared_ptr<Session> session, result.get());
  return std::make_unique<SpawnedHelper>(io, std::move(session));
}

}  // namespace kiln
