#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace kiln::load {

// What a completion queue hands back: the end of one operation.
class Tag {
 public:
  virtual void Done(bool ok) = 0;

 protected:
  ~Tag() = default;
};

// A tag that calls a method of its owner.
template <auto kMethod>
class MethodTag;
template <typename Owner, void (Owner::*kMethod)(bool)>
class MethodTag<kMethod> final : public Tag {
 public:
  explicit MethodTag(Owner* owner) : owner_(owner) {}
  void Done(bool ok) override { (owner_->*kMethod)(ok); }

 private:
  Owner* const owner_;
};

// This is the one thread of the load generator: one completion queue and its timers, so nothing in
// it needs a lock. The thread that waits for the queue polls the sockets itself; with gRPC's
// callback interface every event would be handed from a polling thread to another one.
class LoadLoop {
 public:
  LoadLoop();
  ~LoadLoop();
  LoadLoop(const LoadLoop&) = delete;
  LoadLoop& operator=(const LoadLoop&) = delete;

  grpc::CompletionQueue* queue() { return &queue_; }
  static SteadyTime Now() { return std::chrono::steady_clock::now(); }

  void After(std::chrono::nanoseconds delay, std::function<void()> work) {
    timers_.push({Now() + delay, ++last_timer_, std::move(work)});
  }

  // Both return early, with false, when the user wants the program to end.
  bool RunFor(std::chrono::nanoseconds time);
  // False as well if `done` is not true within `patience`.
  bool RunUntil(const std::function<bool()>& done, std::chrono::nanoseconds patience);

  // From then on Run...() goes on in spite of the user's signal: to leave in order.
  void BeginLeaving() { leaving_ = true; }
  static bool interrupted() { return interrupted_ != 0; }
  // The first SIGINT, SIGTERM or SIGHUP is remembered, the second one ends the program.
  static void CatchSignals();

 private:
  struct Timer {
    SteadyTime due;
    std::uint64_t number = 0;
    std::function<void()> work;
    bool operator<(const Timer& other) const {  // the queue's top is the largest
      return std::pair(due, number) > std::pair(other.due, other.number);
    }
  };
  bool Step(SteadyTime until);
  static void OnSignal(int);

  static std::atomic<int> interrupted_;
  grpc::CompletionQueue queue_;
  std::priority_queue<Timer> timers_;
  std::uint64_t last_timer_ = 0;
  bool leaving_ = false;
};

// One unary method of a stub, called again and again, one call at a time.
template <auto kMethod>
class RepeatedCall;
template <typename Stub, typename Request, typename Reply,
          std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> (Stub::*kMethod)(
              grpc::ClientContext*, const Request&, grpc::CompletionQueue*)>
class RepeatedCall<kMethod> final : public Tag {
 public:
  explicit RepeatedCall(std::function<void()> done) : done_(std::move(done)) {}

  Request& request() { return request_; }
  const Reply& reply() const { return reply_; }
  const grpc::Status& status() const { return status_; }
  bool under_way() const { return under_way_; }

  void Start(Stub& stub, LoadLoop& loop) {
    reader_.reset();
    context_.emplace();
    under_way_ = true;
    reader_ = (stub.*kMethod)(&*context_, request_, loop.queue());
    reader_->Finish(&reply_, &status_, this);
  }
  void Cancel() {
    if (under_way_) context_->TryCancel();
  }
  void Done(bool) override {
    under_way_ = false;
    done_();
  }

 private:
  const std::function<void()> done_;
  Request request_;
  Reply reply_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Reply>> reader_;
  bool under_way_ = false;
};

// PEM texts; without `ca` plaintext.
struct Credential {
  std::string ca, cert, key;
};

// Where the tracker is and how a connection proves itself. `tls_name`: the name that the tracker's
// certificate must have, if not that of the address.
struct Endpoint {
  std::string address;
  std::string tls_name;
};

// A channel with a connection of its own, kept alive as Kiln's programs keep theirs.
std::shared_ptr<grpc::Channel> MakeChannel(const Endpoint& endpoint, const Credential& credential);

}  // namespace kiln::load
