#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "benchmarks/farm_load/load_loop.h"

namespace kiln::load {

class Call;
class Channel;

// Who has a call under way: its channel until there is a connection, then the connection.
class CallHost {
 public:
  // Forgets the call; the server hears that it is cancelled.
  virtual void Abandon(Call& call) = 0;
  // The call has more to send.
  virtual void Resume(Call& call) = 0;

 protected:
  ~CallHost() = default;
};

// This is one gRPC call after the other, in bytes; it keeps its memory from one to the next. A message
// goes over HTTP/2 with five bytes before it: a flag, 0 for "not compressed", and its length, the highest
// byte first.
class Call {
 public:
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  bool under_way() const { return host_ != nullptr; }
  // It ends soon, with kCancelled if it does not end by itself before.
  void Cancel() {
    if (under_way() && !ending_.posted()) EndSoon(Status(StatusCode::kCancelled, "cancelled"));
  }

 protected:
  // How many messages the client sends.
  enum class Sends { kOne, kMany };

  // The channel outlives the call; `path` is "/package.Service/Method", for as long as that.
  Call(Channel& channel, const char* path, Sends sends);
  // At once, if it is under way: nothing is told any more.
  virtual ~Call();

  // Not while it is under way. The first message has been added.
  void Start();
  // Where to put a message of so many bytes, at once: it goes out at the end of the batch.
  std::uint8_t* AddMessage(std::size_t size);
  void Resume() { host_->Resume(*this); }

  // In these two the call may be cancelled, not destroyed. It is on a connection; again, if one that
  // ends has not taken it.
  virtual void OnStarted() {}
  virtual void OnMessage(std::string_view bytes) = 0;
  // The last one. The call may be started again, or destroyed.
  virtual void OnEnd(const Status& status) = 0;

 private:
  friend class Channel;
  friend class H2Connection;

  void EndSoon(Status status);
  // Off its host.
  void Detach();
  // From its host: takes what has come of the messages. False: it is not gRPC.
  bool TakeData(std::string_view bytes);
  void TakeHeader(std::string_view name, std::string_view value);
  // What the server's headers and trailers say.
  Status ServerStatus() const;

  Channel& channel_;
  const char* const path_;
  const Sends sends_;
  CallHost* host_ = nullptr;
  Deferred ending_;
  Status end_;  // of `ending_`

  // Of its host.
  std::size_t place_ = 0;
  std::int32_t stream_ = 0;
  bool paused_ = false;    // has had nothing to send
  bool all_sent_ = false;  // the server knows that nothing more comes

  std::string out_;           // messages to be sent
  std::size_t out_sent_ = 0;  // of them
  std::string in_;            // the beginning of a message
  int http_status_ = 0;
  int grpc_status_ = -1;  // -1: not said
  std::string grpc_message_;
};

}  // namespace kiln::load
