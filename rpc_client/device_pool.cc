// The pool of a tracker's devices, and of the local one's, which differs in that a dead server is
// started again.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/clock.h"
#include "rpc_client/local_server.h"
#include "rpc_client/random_id.h"
#include "rpc_client/remote_lease.h"
#include "rpc_client/rpc_client.h"
#include "rpc_client/tracker_client.h"

namespace kiln {
namespace {

using std::chrono::nanoseconds;

constexpr std::chrono::seconds kConnectTime{5};

class RemoteDevicePool final : public DevicePool {
 public:
  // `local` is null for a farm.
  RemoteDevicePool(Reactor& reactor, std::unique_ptr<LocalServer> local,
                   std::shared_ptr<TrackerClient> tracker, ClientIdentity client)
      : reactor_(reactor),
        local_(std::move(local)),
        tracker_(std::move(tracker)),
        client_(std::move(client)) {}

  // Goes on through restarts of the tracker: a request with the same id is the same request.
  StatusOr<std::unique_ptr<Lease>> Acquire(const Target& target, TimeKind kind,
                                           nanoseconds timeout) override {
    const SteadyTime deadline = std::chrono::steady_clock::now() + timeout;
    const AcquireRequest request{RandomId(), target.name, client_, kind};
    for (;;) {
      if (local_) RETURN_IF_ERROR(local_->EnsureRunning());
      RETURN_IF_ERROR(Reconnect(deadline));
      StatusOr<GrantedLease> grant = tracker_->Acquire(request, Left(deadline));
      if (grant.ok()) return std::make_unique<RemoteLease>(reactor_, tracker_, *grant);
      if (grant.status().code() != StatusCode::kUnavailable || Left(deadline) <= nanoseconds(0)) {
        return grant.status();
      }
      tracker_->AwaitDisconnect();
    }
  }

 private:
  static nanoseconds Left(SteadyTime deadline) {
    return deadline - std::chrono::steady_clock::now();
  }

  // In steps where there is a server of our own, which may die meanwhile.
  Status Reconnect(SteadyTime deadline) {
    if (!local_) return tracker_->Connect(Left(deadline));
    for (;;) {
      const nanoseconds step =
          std::min<nanoseconds>(std::chrono::milliseconds(500), Left(deadline));
      Status connected = tracker_->Connect(std::max(step, nanoseconds(0)));
      if (connected.ok() || Left(deadline) <= nanoseconds(0)) return connected;
      RETURN_IF_ERROR(local_->EnsureRunning());
    }
  }

  Reactor& reactor_;
  const std::unique_ptr<LocalServer> local_;
  const std::shared_ptr<TrackerClient> tracker_;
  const ClientIdentity client_;
};

class RemoteRunner final : public Runner {
 public:
  StatusOr<RunResult> Run(Lease& lease, const RunRequest& request) override {
    auto* remote = dynamic_cast<RemoteLease*>(&lease);
    if (!remote) {
      return Error(StatusCode::kInvalidArgument, "the lease of ", lease.device(),
                   " is not from a remote pool");
    }
    return remote->Run(request);
  }
};

}  // namespace

std::string DefaultClientName() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const char* user = std::getenv("USER");
  const std::string who = user && *user ? user : std::to_string(getuid());
  return who + "@" + host + ":" + std::to_string(getpid());
}

StatusOr<std::unique_ptr<DevicePool>> ConnectTracker(Reactor& reactor, const std::string& address,
                                                     const ClientIdentity& client) {
  std::shared_ptr<TrackerClient> tracker = NewTrackerClient(address);
  RETURN_IF_ERROR(tracker->Connect(kConnectTime));
  return std::make_unique<RemoteDevicePool>(reactor, nullptr, std::move(tracker), client);
}

StatusOr<std::unique_ptr<DevicePool>> StartLocalDevice(Reactor& reactor,
                                                       const LocalDeviceOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<LocalServer> server, StartLocalServer(reactor, options));
  std::shared_ptr<TrackerClient> tracker = NewTrackerClient(server->address());
  return std::make_unique<RemoteDevicePool>(reactor, std::move(server), std::move(tracker),
                                            options.client);
}

std::unique_ptr<Runner> NewRemoteRunner() { return std::make_unique<RemoteRunner>(); }

StatusOr<FarmInfo> ListDevices(const std::string& address) {
  const auto tracker = NewTrackerClient(address);
  RETURN_IF_ERROR(tracker->Connect(kConnectTime));
  return tracker->List(kConnectTime);
}

}  // namespace kiln
