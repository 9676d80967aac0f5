#include "apps/kiln/daemon_web.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <utility>

#include "apps/kiln/device_trouble.h"
#include "apps/serving/metrics_page.h"
#include "proto/address.h"
#include "rpc_client/rpc_client.h"

namespace kiln {
namespace {

FarmView LookAtFarm(const TrackerEndpoint& tracker) {
  FarmView view{.tracker = tracker.address};
  StatusOr<FarmInfo> farm = ListDevices(tracker);
  if (!farm.ok()) {
    view.trouble = Message(farm.status());
    return view;
  }
  view.waiting = farm->waiting;
  for (const DeviceInfo& device : farm->devices) {
    view.rows.push_back(
        {device.name, device.target, device.state, device.client, TroubleOf(device)});
  }
  return view;
}

}  // namespace

StatusOr<std::unique_ptr<DaemonWeb>> DaemonWeb::Start(const Parts& parts,
                                                      const DaemonConfig& config) {
  std::unique_ptr<DaemonWeb> web(new DaemonWeb(parts));
  if (!config.page.empty()) {
    RETURN_IF_ERROR(web->ServePage(config));
  }
  if (config.page.empty() || config.page != config.metrics) {
    // An address that others reach is asked for by being written down.
    ASSIGN_OR_RETURN(web->metrics_server_,
                     ServeMetrics(parts.reactor, {config.metrics, true}, parts.metrics));
  }
  return web;
}

Status DaemonWeb::ServePage(const DaemonConfig& config) {
  RETURN_IF_ERROR(MakePage(config));
  std::vector<HttpRoute> routes = page_->routes();
  if (config.page == config.metrics && parts_.metrics != nullptr) {
    routes.push_back(MetricsRoute(*parts_.metrics));
  }
  HttpOptions http;
  http.address = config.page;
  http.allow_remote = true;  // likewise
  StatusOr<std::unique_ptr<HttpServer>> server =
      StartHttpServer(parts_.reactor, http, RouteHttp(std::move(routes)));
  if (!server.ok()) return Error(server.status().code(), "page: ", Message(server.status()));
  page_server_ = *std::move(server);
  spdlog::info("page on http://{}/", page_server_->address());
  if (IsLocalAddress(page_server_->address())) return {};
  spdlog::warn("INSECURE: the page is open to the network: whoever reaches {} can read it{}",
               page_server_->address(),
               config.token_file.empty() ? "" : ", and tokens are sent in the clear");
  return {};
}

Status DaemonWeb::MakePage(const DaemonConfig& config) {
  std::string token;
  if (!config.token_file.empty()) {
    ASSIGN_OR_RETURN(token, ReadToken(config.token_file));
  }
  page_ = NewLivePage({.clock = parts_.clock,
                       .database = config.database,
                       .registry = parts_.registry,
                       .token = token,
                       .queue = [this] { return LookAtQueue(); },
                       .wish = [this](std::int64_t job, JobWish wish) { return WishOf(job, wish); },
                       .last_backup = [this] { return parts_.maintenance.standing().last_backup; },
                       .farm = [this] { return FarmToAsk(); }});
  return {};
}

StatusOr<QueueView> DaemonWeb::LookAtQueue() {
  ASSIGN_OR_RETURN(QueueView view, parts_.queue.Look({}));
  const std::string& trouble = parts_.maintenance.standing().trouble;
  if (!trouble.empty()) view.troubles.push_back("maintenance: " + trouble);
  return view;
}

// Of the configuration as it is now.
std::function<FarmView()> DaemonWeb::FarmToAsk() const {
  const DaemonConfig& config = parts_.config();
  if (config.tracker.empty()) return nullptr;
  return
      [tracker = TrackerEndpoint(config.tracker, config.farm_tls)] { return LookAtFarm(tracker); };
}

Status DaemonWeb::WishOf(std::int64_t id, JobWish wish) {
  ASSIGN_OR_RETURN(const Job job, parts_.store.JobOf(id));
  return parts_.queue.Wish(job, wish, "page");
}

}  // namespace kiln
