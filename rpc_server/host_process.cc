#include "rpc_server/host_process.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <mutex>
#include <utility>

#include "base/helper_process.h"
#include "base/status.h"

namespace kiln {
namespace {

// The host ends a trial at its time-out by itself; beyond it there is the making of the data, the
// clean-up, and a slow machine.
constexpr std::chrono::seconds kMargin{20};
constexpr int kTries = 2;

HostReply DeviceLost(const Status& why) {
  HostReply reply;
  reply.outcome = Failure{Stage::kDevice, FailureKind::kDeviceLost, Message(why)};
  return reply;
}

class RestartingHostProcess final : public HostProcess {
 public:
  RestartingHostProcess(Reactor& reactor, HelperOptions options)
      : reactor_(reactor), options_(std::move(options)) {}

  HostReply Run(const HostRequest& request, const std::stop_token& stop) override {
    const std::stop_callback kill(stop, [this] { Kill(); });
    const std::string frame = Serialize(request);
    const auto timeout = std::chrono::nanoseconds(request.plan.time_out_ns) + kMargin;
    for (int attempt = 1;; ++attempt) {
      StatusOr<HostReply> reply = Ask<HostReply>(frame, timeout, stop);
      if (reply.ok()) return *std::move(reply);
      Replace(nullptr);
      if (stop.stop_requested()) {
        return DeviceLost(Error(StatusCode::kCancelled, "the trial was broken off"));
      }
      spdlog::error("{}", Message(reply.status()));
      // One that hung would hang again, for as long.
      const bool again = reply.status().code() == StatusCode::kUnavailable && attempt < kTries;
      if (!again) return DeviceLost(reply.status());
    }
  }

  StatusOr<HostDescription> Describe() override {
    return Ask<HostDescription>(kDescribeFrame, kMargin, {});
  }

 private:
  template <typename Answer>
  StatusOr<Answer> Ask(std::string_view frame, std::chrono::nanoseconds timeout,
                       const std::stop_token& stop) {
    if (!helper_ || !helper_->alive()) {
      ASSIGN_OR_RETURN(auto helper, StartHelper(reactor_, options_));
      Replace(std::move(helper));
    }
    // What is requested from here on kills the helper.
    if (stop.stop_requested()) return Error(StatusCode::kCancelled, "broken off");
    ASSIGN_OR_RETURN(const std::string bytes, helper_->Call(frame, timeout));
    Answer answer;
    if (!Deserialize(bytes, answer)) {
      return Error(StatusCode::kUnavailable, options_.name, ": an answer that cannot be read");
    }
    return answer;
  }

  void Kill() {
    std::lock_guard lock(mutex_);
    if (helper_) helper_->Kill();
  }
  // The former one's end is waited for without the lock.
  void Replace(std::unique_ptr<HelperProcess> helper) {
    std::lock_guard lock(mutex_);
    helper_.swap(helper);
  }

  Reactor& reactor_;
  const HelperOptions options_;
  std::mutex mutex_;                       // guards what follows
  std::unique_ptr<HelperProcess> helper_;  // replaced by whoever runs, and so read by it without
};

}  // namespace

std::unique_ptr<HostProcess> NewHostProcess(Reactor& reactor, std::string program,
                                            std::vector<std::string> arguments) {
  return std::make_unique<RestartingHostProcess>(
      reactor, HelperOptions{std::move(program), std::move(arguments), "kiln-host"});
}

}  // namespace kiln
