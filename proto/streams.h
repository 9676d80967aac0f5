#pragma once

// The two ends of a bidirectional gRPC stream, as small state machines over gRPC's callback API:
// messages are sent from any thread in order, and received one at a time. Only .cc files include
// this header: it drags in all of gRPC.
//
// Locking: gRPC may call back from within an operation, so none is started under the mutex. What
// makes that safe are the flags: whoever set writing_ is the only one to write, and nobody finishes
// while writing_ is set.

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/status.h"
#include "proto/transport.h"

namespace kiln {

// Bytes as gRPC carries them, to and from messages. Parsing is ours, and not the generated service's,
// which answers bytes that are no message with UNIMPLEMENTED.
template <typename Message>
StatusOr<Message> ParseMessage(const grpc::ByteBuffer& bytes, std::size_t most) {
  if (bytes.Length() > most) {
    return Error(StatusCode::kResourceExhausted, "a message of ", bytes.Length(),
                 " bytes; at most ", most);
  }
  Message message;
  grpc::ByteBuffer unread = bytes;  // its slices are shared
  if (!bytes.Valid() || !grpc::SerializationTraits<Message>::Deserialize(&unread, &message).ok()) {
    return Error(StatusCode::kInvalidArgument, "the request's ", bytes.Length(),
                 " bytes are no message of kiln.v1: is the client of another version?");
  }
  return message;
}

template <typename Message>
grpc::ByteBuffer SerializeMessage(const Message& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  // It fails only where no memory is left.
  (void)grpc::SerializationTraits<Message>::Serialize(message, &bytes, &own);
  return bytes;
}

// How much of a stream may lie here.
struct StreamLimits {
  std::size_t message_bytes = 0;  // of one that comes
  // Of those that go, with the one under way. The peer does not read: the stream is broken off.
  std::size_t unsent_bytes = 0;
};

// The server's end. A subclass reacts to messages; End() must be called once in the end, at the
// latest after OnClosed(). Create with std::make_shared, then Open().
template <typename In, typename Out>
class ServerStream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  ServerStream(grpc::CallbackServerContext& context, const StreamLimits& limits)
      : context_(context), limits_(limits) {}

  // Keeps `stream` alive until gRPC is done with it, and asks for the first message.
  static void Open(const std::shared_ptr<ServerStream>& stream) {
    stream->self_ = stream;
    stream->ReadNext();
  }
  // The same for a stream that is refused before its first message.
  static void OpenAndEnd(const std::shared_ptr<ServerStream>& stream, const Status& status) {
    stream->self_ = stream;
    stream->End(status);
  }

  // Queues a message. Any thread; without effect after End(). OnSent() follows.
  void Send(const Out& message) {
    grpc::ByteBuffer bytes = SerializeMessage(message);
    bool overflow = false;
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
      unsent_ += bytes.Length();
      overflow = unsent_ > limits_.unsent_bytes;
      if (!overflow) queue_.push_back(std::move(bytes));
    }
    if (overflow) {
      return Break(Error(StatusCode::kResourceExhausted, "the peer does not read what it is sent"));
    }
    Advance();
  }

  // Ends the stream with this status once what was queued is sent. Any thread; the first one
  // counts.
  void End(const Status& status) {
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
      ending_ = ToGrpc(status);
    }
    Advance();
  }

  // Ends the stream though its peer may never read: what was queued is not sent.
  void Break(const Status& status) {
    End(status);
    {
      std::lock_guard lock(mutex_);
      if (finished_) return;
      while (queue_.size() > (writing_ ? 1u : 0u)) queue_.pop_back();
      ++holds_;
    }
    context_.TryCancel();
    LetGo();
  }

 protected:
  // This object, alive as long as it is held; empty once gRPC is done with it.
  std::shared_ptr<ServerStream> shared() const { return self_; }

  // Asks for the next message: once per OnMessage(), at once or later, from any thread; without
  // effect after End().
  void ReadNext() {
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
      ++holds_;
    }
    this->StartRead(&in_);
    LetGo();
  }

  virtual void OnMessage(In message) = 0;
  virtual void OnSent() {}      // a message has left, or never will
  virtual void OnClosed() = 0;  // nothing more will come: half-closed, cancelled or broken

 private:
  void OnReadDone(bool ok) final {
    if (!ok) return OnClosed();
    StatusOr<In> message = ParseMessage<In>(in_, limits_.message_bytes);
    in_.Clear();
    if (!message.ok()) {
      End(message.status());  // before a subclass ends it as closed in order
      return OnClosed();
    }
    OnMessage(*std::move(message));
  }
  void OnWriteDone(bool ok) final {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      unsent_ -= std::min(unsent_, queue_.front().Length());
      queue_.pop_front();
      if (!ok) queue_.clear();
    }
    OnSent();
    Advance();
  }
  void OnDone() final { self_.reset(); }

  void LetGo() {
    {
      std::lock_guard lock(mutex_);
      --holds_;
    }
    Advance();
  }

  // Starts the next operation, if there is one and none is under way.
  void Advance() {
    const grpc::ByteBuffer* message = nullptr;
    std::optional<grpc::Status> last;
    {
      std::lock_guard lock(mutex_);
      if (writing_ || finished_) return;
      if (!queue_.empty()) {
        writing_ = true;
        message = &queue_.front();  // a deque does not move its elements when others come
      } else if (ending_ && holds_ == 0) {
        finished_ = true;
        last = *ending_;
      } else {
        return;
      }
    }
    if (message) {
      this->StartWrite(message);
    } else {
      this->Finish(*last);
    }
  }

  grpc::CallbackServerContext& context_;
  const StreamLimits limits_;
  std::mutex mutex_;
  std::deque<grpc::ByteBuffer> queue_;  // the front is being written if writing_
  std::size_t unsent_ = 0;              // bytes in the queue
  bool writing_ = false, finished_ = false;
  int holds_ = 0;  // calls into gRPC under way, during which it must not be done
  std::optional<grpc::Status> ending_;
  grpc::ByteBuffer in_;  // of the read under way
  std::shared_ptr<ServerStream> self_;
};

// The client's end. Let gRPC prepare the call on it with context(), then Open(). The call ends when
// the server ends it or after Cancel(); OnEnded() says how. Whoever owns the stream must
// AwaitDone() before it destroys it, and never on a thread of gRPC's: the context holds the
// channel, and the last channel to go joins those threads.
template <typename Out, typename In>
class ClientStream : public grpc::ClientBidiReactor<Out, In> {
 public:
  grpc::ClientContext& context() { return context_; }

  void Open() {
    this->AddHold();  // other threads write: gRPC must wait for them
    this->StartRead(&in_);
    this->StartCall();
    {
      std::lock_guard lock(mutex_);
      open_ = true;
    }
    Advance();
  }

  // Queues a message, also before Open(). Any thread; without effect once the stream is closing.
  void Send(Out message) {
    {
      std::lock_guard lock(mutex_);
      if (closing_) return;
      queue_.push_back(std::move(message));
    }
    Advance();
  }

  // Breaks the call off; OnEnded() follows. Any thread.
  void Cancel() {
    context_.TryCancel();
    StopWriting();
  }

  // Blocks until gRPC has called OnEnded() and will call nothing any more.
  void AwaitDone() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return done_; });
  }

 protected:
  virtual void OnMessage(In message) = 0;
  virtual void OnSent() {}  // a message has gone out, in the order of Send(): there is a connection
  virtual void OnEnded(const Status& status) = 0;

 private:
  void OnReadDone(bool ok) final {
    if (!ok) return StopWriting();
    OnMessage(std::move(in_));
    this->StartRead(&in_);
  }
  void OnWriteDone(bool ok) final {
    if (ok) OnSent();
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      queue_.pop_front();
      if (!ok) {
        closing_ = true;
        queue_.clear();
      }
    }
    Advance();
  }
  void OnDone(const grpc::Status& status) final {
    OnEnded(FromGrpc(status));
    std::lock_guard lock(mutex_);
    done_ = true;
    changed_.notify_all();
  }

  void StopWriting() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      // The front, if it is being written, belongs to gRPC until OnWriteDone().
      while (queue_.size() > (writing_ ? 1u : 0u)) queue_.pop_back();
    }
    Advance();
  }

  void Advance() {
    const Out* message = nullptr;
    {
      std::lock_guard lock(mutex_);
      if (!open_ || writing_) return;
      if (!queue_.empty()) {
        writing_ = true;
        message = &queue_.front();
      } else if (closing_ && !released_) {
        released_ = true;
      } else {
        return;
      }
    }
    if (message) {
      this->StartWrite(message);
    } else {
      this->RemoveHold();
    }
  }

  grpc::ClientContext context_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Out> queue_;
  bool open_ = false;
  bool writing_ = false;
  bool closing_ = false;   // no more messages are taken
  bool released_ = false;  // the hold is gone
  bool done_ = false;
  In in_;
};

}  // namespace kiln
