#include "apps/serving/serving.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdio>
#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "base/frame.h"
#include "base/reactor_asio.h"

namespace kiln {
namespace {

namespace asio = boost::asio;

// The reactor's handlers hold it too.
class ReactorServingLife final : public ServingLife,
                                 public std::enable_shared_from_this<ReactorServingLife> {
 public:
  explicit ReactorServingLife(Reactor& reactor) : reactor_(reactor) {}

  void HearSignals() {
    reactor_.OnTermination([self = shared_from_this()](int count) {
      if (count > 1) _exit(1);
      spdlog::info("asked to end");
      self->End();
    });
  }

  void FollowParent(int socket, const std::string& address) override {
    parent_.emplace(IoContext(reactor_), socket);
    AwaitFrame(address);
  }

  void AwaitEnd() override { ended_.get_future().wait(); }

  void LimitEnding(std::chrono::nanoseconds time) override {
    reactor_.After(time, [] { _exit(0); });
  }

 private:
  // A frame is small and sent at once, so reading it does not block.
  void AwaitFrame(const std::string& address) {
    parent_->async_wait(
        asio::posix::stream_descriptor::wait_read,
        [self = shared_from_this(), address](const boost::system::error_code& error) {
          std::string frame;
          const int socket = self->parent_->native_handle();
          if (error || !ReadFrame(socket, frame) || !WriteFrame(socket, address)) {
            return self->End();
          }
          self->AwaitFrame(address);
        });
  }

  void End() {
    std::call_once(once_, [this] { ended_.set_value(); });
  }

  Reactor& reactor_;
  std::optional<asio::posix::stream_descriptor> parent_;
  std::once_flag once_;
  std::promise<void> ended_;
};

}  // namespace

void LogToStandardError() {
  spdlog::set_default_logger(spdlog::stderr_color_mt("kiln"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
}

void AnnounceAddress(const std::string& address) {
  std::printf("listening on %s\n", address.c_str());
  std::fflush(stdout);
}

std::shared_ptr<ServingLife> NewServingLife(Reactor& reactor) {
  auto life = std::make_shared<ReactorServingLife>(reactor);
  life->HearSignals();
  return life;
}

int ReportFailure(const char* program, const Status& status) {
  std::fprintf(stderr, "%s: %s\n", program, Message(status).c_str());
  const bool wrong = status.code() == StatusCode::kInvalidArgument ||
                     status.code() == StatusCode::kNotFound ||
                     status.code() == StatusCode::kPermissionDenied;
  return wrong ? 2 : 1;
}

}  // namespace kiln
