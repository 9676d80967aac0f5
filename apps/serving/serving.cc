#include "apps/serving/serving.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <future>
#include <mutex>
#include <optional>
#include <utility>

#include "apps/command_line/command_line.h"
#include "base/frame.h"
#include "base/reactor_asio.h"
#include "base/readable_descriptor.h"
#include "base/standard_streams.h"
#include "proto/certificates.h"

namespace kiln {
namespace {

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
    parent_->Await([self = shared_from_this(), address](bool is_readable) {
      std::string frame;
      const int socket = self->parent_->fd();
      if (!is_readable || !ReadFrame(socket, frame) || !WriteFrame(socket, address)) {
        return self->End();
      }
      self->AwaitFrame(address);
    });
  }

  void End() {
    std::call_once(once_, [this] { ended_.set_value(); });
  }

  Reactor& reactor_;
  std::optional<ReadableDescriptor> parent_;
  std::once_flag once_;
  std::promise<void> ended_;
};

}  // namespace

StatusOr<std::unique_ptr<RpcServer>> ListenAsAsked(const ListenOptions& options,
                                                   const std::vector<grpc::Service*>& services) {
  StatusOr<std::unique_ptr<RpcServer>> server = Listen(options, services);
  LogGrpc();
  const bool wrong = server.status().code() == StatusCode::kInvalidArgument ||
                     server.status().code() == StatusCode::kPermissionDenied;
  return wrong ? AsUsageError(std::move(server)) : std::move(server);
}

StatusOr<std::unique_ptr<PeerCheck>> CheckPeers(const ListenOptions& options, Role role,
                                                const Clock& clock, const CallRate& rate) {
  // The directory of a Unix socket decides who reaches it.
  const bool used = options.tls.enabled() && !IsUnixAddress(options.address);
  if (used) RETURN_IF_ERROR(CheckTlsFiles(options.tls, role, clock.Today()));
  return NewPeerCheck(used ? options.tls : TlsFiles(), clock, rate);
}

void WarnIfOpen(const ListenOptions& options, const std::string& address, const char* harm) {
  if (options.tls.enabled() || IsLocalAddress(address)) return;
  spdlog::warn("INSECURE: {} is open to the network without TLS: whoever reaches it can {}",
               address, harm);
}

void AnnounceAddress(const std::string& address) {
  WriteOutputLine("listening on " + address);
  if (!FlushOutput()) spdlog::warn("listening on {}: standard output does not take it", address);
}

int EndServing(const std::string& program, const Status& status) {
  if (!status.ok()) LogPlainLine(program + ": " + Message(status));
  return ExitStatus(status);
}

std::shared_ptr<ServingLife> NewServingLife(Reactor& reactor) {
  auto life = std::make_shared<ReactorServingLife>(reactor);
  life->HearSignals();
  return life;
}

}  // namespace kiln
