#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/reactor.h"
#include "daemon/daemon_config.h"
#include "daemon/job_queue.h"
#include "daemon/live_page.h"
#include "daemon/maintenance.h"
#include "telemetry/http_server.h"
#include "telemetry/metrics.h"

namespace kiln {

// What a daemon answers over HTTP, where its configuration says so: the page for browsers, and the
// metrics; one server, where they have one address.
class DaemonWeb {
 public:
  struct Parts {  // all must outlive it
    Reactor& reactor;
    const Clock& clock;
    const TemplateRegistry& registry;
    JobStore& store;
    JobQueue& queue;
    const Maintenance& maintenance;
    std::function<const DaemonConfig&()> config;  // as it is now
    Metrics* metrics = nullptr;                   // null: nobody asked for them
  };
  // Says in the log where. What is wrong with an address or the token is an error.
  static StatusOr<std::unique_ptr<DaemonWeb>> Start(const Parts& parts, const DaemonConfig& config);

 private:
  explicit DaemonWeb(const Parts& parts) : parts_(parts) {}
  Status ServePage(const DaemonConfig& config);
  Status MakePage(const DaemonConfig& config);
  StatusOr<QueueView> LookAtQueue();
  std::function<FarmView()> FarmToAsk() const;
  Status WishOf(std::int64_t id, JobWish wish);

  const Parts parts_;
  std::unique_ptr<LivePage> page_;
  std::unique_ptr<HttpServer> page_server_, metrics_server_;  // they go first
};

}  // namespace kiln
