#pragma once

// The two ends of a bidirectional gRPC stream, as small state machines over gRPC's callback API:
// messages are sent from any thread in order, received one at a time, and the object lives until
// gRPC is done with it. Only .cc files include this header: it drags in all of gRPC.
//
// Locking: gRPC may call back from within an operation, so none is started under the mutex. What
// makes that safe are the flags: whoever set writing_ is the only one to write, and nobody finishes
// while writing_ is set.

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/status.h"
#include "proto/transport.h"

namespace kiln {

// The server's end. A subclass reacts to messages; End() must be called once in the end, at the
// latest after OnClosed(). Create with std::make_shared, then Open().
template <typename In, typename Out>
class ServerStream : public grpc::ServerBidiReactor<In, Out> {
 public:
  // Keeps `stream` alive until gRPC is done with it, and asks for the first message.
  static void Open(const std::shared_ptr<ServerStream>& stream) {
    stream->self_ = stream;
    stream->ReadNext();
  }

  // Queues a message. Any thread; without effect after End().
  void Send(Out message) {
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
      queue_.push_back(std::move(message));
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

 protected:
  // This object, alive as long as it is held; empty once gRPC is done with it.
  std::shared_ptr<ServerStream> shared() const { return self_; }

  // Asks for the next message: once per OnMessage(), at once or later, from any thread; without
  // effect after End().
  void ReadNext() {
    {
      std::lock_guard lock(mutex_);
      if (ending_) return;
      starting_read_ = true;  // gRPC must not be done before StartRead() has returned
    }
    this->StartRead(&in_);
    {
      std::lock_guard lock(mutex_);
      starting_read_ = false;
    }
    Advance();
  }

  virtual void OnMessage(In message) = 0;
  virtual void OnClosed() = 0;  // nothing more will come: half-closed, cancelled or broken

 private:
  void OnReadDone(bool ok) final {
    if (ok) {
      OnMessage(std::move(in_));
    } else {
      OnClosed();
    }
  }
  void OnWriteDone(bool ok) final {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      queue_.pop_front();
      if (!ok) queue_.clear();
    }
    Advance();
  }
  void OnDone() final { self_.reset(); }

  // Starts the next operation, if there is one and none is under way.
  void Advance() {
    const Out* message = nullptr;
    std::optional<grpc::Status> last;
    {
      std::lock_guard lock(mutex_);
      if (writing_ || finished_) return;
      if (!queue_.empty()) {
        writing_ = true;
        message = &queue_.front();  // a deque does not move its elements when others come
      } else if (ending_ && !starting_read_) {
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

  std::mutex mutex_;
  std::deque<Out> queue_;  // the front is being written if writing_
  bool writing_ = false, starting_read_ = false, finished_ = false;
  std::optional<grpc::Status> ending_;
  In in_;  // of the read under way
  std::shared_ptr<ServerStream> self_;
};

// The client's end. Create with std::make_shared, let gRPC prepare the call on it with context(),
// then Open(). It ends when the server ends it or after Close() or Cancel(); OnEnded() says how.
template <typename Out, typename In>
class ClientStream : public grpc::ClientBidiReactor<Out, In> {
 public:
  grpc::ClientContext& context() { return context_; }

  static void Open(const std::shared_ptr<ClientStream>& stream) {
    stream->self_ = stream;
    stream->AddHold();  // other threads write: gRPC must wait for them
    stream->StartRead(&stream->in_);
    stream->StartCall();
    {
      std::lock_guard lock(stream->mutex_);
      stream->open_ = true;
    }
    stream->Advance();
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

  // Says that nothing more will be sent; answers still come.
  void Close() {
    {
      std::lock_guard lock(mutex_);
      if (closing_) return;
      closing_ = half_close_ = true;
    }
    Advance();
  }

  // Breaks the stream off; OnEnded() follows.
  void Cancel() {
    context_.TryCancel();
    Abandon();
  }

 protected:
  virtual void OnMessage(In message) = 0;
  virtual void OnEnded(const Status& status) = 0;

 private:
  void OnReadDone(bool ok) final {
    if (!ok) return Abandon();
    OnMessage(std::move(in_));
    this->StartRead(&in_);
  }
  void OnWriteDone(bool ok) final {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      if (!queue_.empty()) queue_.pop_front();
      if (!ok) {
        closing_ = true;
        half_close_ = false;
        queue_.clear();
      }
    }
    Advance();
  }
  void OnWritesDoneDone(bool) final {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
    }
    Advance();
  }
  void OnDone(const grpc::Status& status) final {
    OnEnded(FromGrpc(status));
    self_.reset();
  }

  void Abandon() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
      half_close_ = false;
      // The front, if it is being written, belongs to gRPC until OnWriteDone().
      while (queue_.size() > (writing_ ? 1u : 0u)) queue_.pop_back();
    }
    Advance();
  }

  void Advance() {
    const Out* message = nullptr;
    bool half_close = false;
    {
      std::lock_guard lock(mutex_);
      if (!open_ || writing_) return;
      if (!queue_.empty()) {
        writing_ = true;
        message = &queue_.front();
      } else if (half_close_) {
        half_close_ = false;
        writing_ = half_close = true;
      } else if (closing_ && !released_) {
        released_ = true;
      } else {
        return;
      }
    }
    if (message) {
      this->StartWrite(message);
    } else if (half_close) {
      this->StartWritesDone();
    } else {
      this->RemoveHold();
    }
  }

  grpc::ClientContext context_;
  std::mutex mutex_;
  std::deque<Out> queue_;
  bool open_ = false;
  bool writing_ = false;     // a write or the half-close is under way
  bool closing_ = false;     // no more messages are taken
  bool half_close_ = false;  // to be sent after the queue
  bool released_ = false;    // the hold is gone
  In in_;
  std::shared_ptr<ClientStream> self_;
};

}  // namespace kiln
