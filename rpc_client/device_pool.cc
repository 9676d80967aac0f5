// The pool of a tracker's devices, and of the local one's, which differs in that a dead server is
// started again.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <utility>

#include "rpc_client/device_channels.h"
#include "rpc_client/device_line.h"
#include "rpc_client/local_server.h"
#include "rpc_client/random_id.h"
#include "rpc_client/remote_lease.h"
#include "rpc_client/rpc_client.h"
#include "rpc_client/tracker_client.h"

namespace kiln {
namespace {

constexpr std::chrono::seconds kConnectTime{5};

class RemoteDevicePool final : public DevicePool {
 public:
  // `local` is null for a farm.
  RemoteDevicePool(Reactor& reactor, std::unique_ptr<LocalServer> local,
                   std::shared_ptr<TrackerClient> tracker, ClientIdentity client,
                   WaitObserver observer)
      : reactor_(reactor),
        local_(std::move(local)),
        tracker_(std::move(tracker)),
        channels_(std::make_shared<DeviceChannels>(tracker_->tls())),
        farewells_(std::make_shared<Farewells>()),
        client_(std::move(client)),
        line_(*tracker_, [this] { return local_ ? local_->EnsureRunning() : absl::OkStatus(); },
              std::move(observer), {.random = RandomFraction}) {}

  StatusOr<std::unique_ptr<Lease>> Acquire(const Target& target, TimeKind kind,
                                           std::chrono::nanoseconds timeout) override {
    const AcquireRequest request{RandomId(), target.name, client_, kind};
    ASSIGN_OR_RETURN(DeviceLine::Granted granted, line_.Acquire(request, timeout));
    return std::make_unique<RemoteLease>(reactor_, tracker_, channels_, farewells_, granted.lease,
                                         std::move(granted.turn));
  }
  void StopWaiting() override { line_.Stop(); }

 private:
  Reactor& reactor_;
  const std::unique_ptr<LocalServer> local_;
  const std::shared_ptr<TrackerClient> tracker_;
  const std::shared_ptr<DeviceChannels> channels_;
  const std::shared_ptr<Farewells> farewells_;
  const ClientIdentity client_;
  DeviceLine line_;
};

}  // namespace

std::string DefaultClientName() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  const char* user = std::getenv("USER");
  const std::string who = user && *user ? user : std::to_string(getuid());
  return who + "@" + host + ":" + std::to_string(getpid());
}

StatusOr<std::unique_ptr<DevicePool>> ConnectTracker(Reactor& reactor,
                                                     const TrackerEndpoint& endpoint,
                                                     const ClientIdentity& client,
                                                     WaitObserver observer) {
  std::shared_ptr<TrackerClient> tracker = NewTrackerClient(endpoint);
  RETURN_IF_ERROR(tracker->Connect(kConnectTime));
  return std::make_unique<RemoteDevicePool>(reactor, nullptr, std::move(tracker), client,
                                            std::move(observer));
}

StatusOr<std::unique_ptr<DevicePool>> StartLocalDevice(Reactor& reactor,
                                                       const LocalDeviceOptions& options) {
  ASSIGN_OR_RETURN(std::unique_ptr<LocalServer> server, StartLocalServer(reactor, options));
  std::shared_ptr<TrackerClient> tracker = NewTrackerClient(server->address());
  return std::make_unique<RemoteDevicePool>(reactor, std::move(server), std::move(tracker),
                                            options.client, nullptr);
}

StatusOr<FarmInfo> ListDevices(const TrackerEndpoint& endpoint) {
  const auto tracker = NewTrackerClient(endpoint);
  RETURN_IF_ERROR(tracker->Connect(kConnectTime));
  return tracker->List(kConnectTime);
}

}  // namespace kiln
