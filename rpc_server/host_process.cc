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
    int deaths = 0;
    for (int attempt = 1;; ++attempt) {
      bool died = false;
      StatusOr<HostReply> reply = Ask<HostReply>(frame, timeout, stop, &died);
      if (reply.ok()) return *std::move(reply);
      deaths += died;
      Replace(nullptr);
      if (stop.stop_requested()) return BrokenOff();
      spdlog::error("{}", Message(reply.status()));
      // One that hung would hang again, for as long.
      const bool again = reply.status().code() == StatusCode::kUnavailable && attempt < kTries;
      if (again) continue;
      if (deaths < kTries) return DeviceLost(reply.status());
      return Blamed(reply.status(), stop);
    }
  }

  StatusOr<HostDescription> Describe() override {
    return Ask<HostDescription>(kDescribeFrame, kMargin, {});
  }

 private:
  static HostReply BrokenOff() {
    return DeviceLost(Error(StatusCode::kCancelled, "the trial was broken off"));
  }

  // Whose doing it was that every host has died: the kernel's, if one without it is well.
  HostReply Blamed(const Status& death, const std::stop_token& stop) {
    const Status well = Ask<HostDescription>(kDescribeFrame, kMargin, stop).status();
    if (!well.ok()) Replace(nullptr);
    if (stop.stop_requested()) return BrokenOff();
    if (!well.ok()) {
      spdlog::error("{}", Message(well));
      return DeviceLost(death);
    }
    std::string how = Message(death);
    if (how.starts_with(options_.name + ": ")) how.erase(0, options_.name.size() + 2);
    HostReply reply;
    reply.outcome = Failure{Stage::kRun, FailureKind::kHostKilled,
                            "took down " + options_.name + " twice: " + how};
    return reply;
  }

  template <typename Answer>
  StatusOr<Answer> Ask(std::string_view frame, std::chrono::nanoseconds timeout,
                       const std::stop_token& stop, bool* died = nullptr) {
    if (!helper_ || !helper_->alive()) {
      ASSIGN_OR_RETURN(auto helper, StartHelper(reactor_, options_));
      Replace(std::move(helper));
    }
    // What is requested from here on kills the helper.
    if (stop.stop_requested()) return Error(StatusCode::kCancelled, "broken off");
    const StatusOr<std::string> bytes = helper_->Call(frame, timeout);
    if (died) *died = bytes.status().code() == StatusCode::kUnavailable;
    RETURN_IF_ERROR(bytes.status());
    Answer answer;
    if (!Deserialize(*bytes, answer)) {
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
