#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/reactor.h"
#include "daemon/job_queue.h"
#include "daemon/night_daemon.h"
#include "db/job_store.h"
#include "proto/peer.h"

namespace grpc {
class Service;
}

namespace kiln {

// This is a NightDaemon and its queue behind the gRPC service kiln.v1.Daemon. Requests are checked on
// gRPC's threads and answered on the reactor's. Give service() to Listen(); the server must go before
// this object, and the reactor after both.
class DaemonService {
 public:
  struct Collaborators {
    Reactor& reactor;
    const Clock& clock;
    PeerCheck& peers;
    NightDaemon& night;
    JobStore& store;
    JobQueue& queue;
    std::function<std::string()> maintenance_trouble;  // empty: none
  };
  virtual ~DaemonService() = default;
  virtual grpc::Service& service() = 0;
};

std::unique_ptr<DaemonService> NewDaemonService(const DaemonService::Collaborators& with);

}  // namespace kiln
