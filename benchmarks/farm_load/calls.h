#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <utility>

#include "base/status.h"
#include "benchmarks/farm_load/channel.h"
#include "benchmarks/farm_load/h2_call.h"

namespace kiln::load {

// The calls of a service in its messages, protobuf's classes.

template <typename Message>
Status Parse(std::string_view bytes, Message& message) {
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return absl::OkStatus();
  return Error(StatusCode::kInternal, "the answer is no ", message.GetTypeName());
}

// One unary method, called again and again, one call at a time.
template <typename Request, typename Reply>
class RepeatedCall final : public Call {
 public:
  RepeatedCall(Channel& channel, const char* path, std::function<void()> done)
      : Call(channel, path, Sends::kOne), done_(std::move(done)) {}

  Request& request() { return request_; }
  const Reply& reply() const { return reply_; }
  const Status& status() const { return status_; }

  void Start() {
    answered_ = false;
    status_ = absl::OkStatus();
    request_.SerializeWithCachedSizesToArray(AddMessage(request_.ByteSizeLong()));
    Call::Start();
  }

 private:
  void OnMessage(std::string_view bytes) override {
    answered_ = true;
    status_ = Parse(bytes, reply_);
  }
  void OnEnd(const Status& status) override {
    if (!status.ok()) {
      status_ = status;
    } else if (!answered_) {
      status_ = Error(StatusCode::kInternal, "the answer has no message");
    }
    done_();
  }

  const std::function<void()> done_;
  Request request_;
  Reply reply_;
  Status status_;
  bool answered_ = false;
};

// A method with a stream in each direction; the client never ends its own.
template <typename Request, typename Reply>
class DuplexCall : public Call {
 public:
  void Start(const Request& first) {
    Add(first);
    Call::Start();
  }

 protected:
  DuplexCall(Channel& channel, const char* path) : Call(channel, path, Sends::kMany) {}

  // While it is under way.
  void Write(const Request& request) {
    Add(request);
    Resume();
  }
  virtual void OnReply(const Reply& reply) = 0;

 private:
  void Add(const Request& request) {
    request.SerializeWithCachedSizesToArray(AddMessage(request.ByteSizeLong()));
  }
  // What is no message ends the call.
  void OnMessage(std::string_view bytes) override {
    if (!Parse(bytes, reply_).ok()) return Cancel();
    OnReply(reply_);
  }

  Reply reply_;
};

}  // namespace kiln::load
