#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>

#include "apps/command_line/command_line.h"
#include "apps/serving/metrics_page.h"
#include "apps/serving/serving.h"
#include "base/standard_streams.h"
#include "base/version.h"
#include "proto/transport.h"
#include "rpc_tracker/tracker_metrics.h"
#include "rpc_tracker/tracker_service.h"
#include "rpc_tracker/tracker_state.h"

namespace kiln {
namespace {

struct Options {
  ListenOptions listen{"127.0.0.1:9190", false};
  double lease_ttl = 10;         // seconds
  std::string state, event_log;  // empty: none
  std::string metrics;           // empty: none
  CallRate rate;
};

// What a restart must remember.
StatusOr<std::unique_ptr<TrackerState>> OpenState(const Options& options) {
  if (options.state.empty()) return nullptr;
  return OpenTrackerState(options.state);
}

// With what can only be told by looking at the devices.
StatusOr<std::unique_ptr<HttpServer>> OfferMetrics(Reactor& reactor, const MetricsOptions& options,
                                                   Metrics* metrics, TrackerService& tracker) {
  if (metrics) {
    metrics->AddCollector("the devices", [&tracker](Metrics& gauges) {
      SetDeviceMetrics(gauges, tracker.Devices());
      return absl::OkStatus();
    });
  }
  return ServeMetrics(reactor, options, metrics);
}

Status Serve(const Options& options) {
  LogToStandardError();
  RaiseDescriptorLimit();
  const std::unique_ptr<Reactor> reactor = NewReactor();
  const std::shared_ptr<ServingLife> life = NewServingLife(*reactor);
  ASSIGN_OR_RETURN(const auto peers,
                   CheckPeers(options.listen, Role::kTracker, SystemClock(), options.rate));
  LeaseTableOptions leases;
  leases.ttl = std::chrono::milliseconds(static_cast<std::int64_t>(options.lease_ttl * 1000));
  ASSIGN_OR_RETURN(const auto state, OpenState(options));
  if (state) leases.first_epoch = state->first_epoch();
  if (state) leases.records = state->records();
  std::unique_ptr<EventLog> events;
  if (!options.event_log.empty()) {
    ASSIGN_OR_RETURN(events, OpenEventLog(options.event_log, SystemClock()));
  }
  const MetricsOptions page{options.metrics, options.listen.insecure};
  ASSIGN_OR_RETURN(const auto metrics, MetricsIfAsked(page, MetricSource::kTracker));
  const auto counted = metrics ? NewLeaseMetrics(*metrics, SystemClock(), events.get()) : nullptr;
  const auto tracker = NewTrackerService(*reactor, SystemClock(), *peers, leases,
                                         counted ? counted.get() : events.get(), state.get());
  ASSIGN_OR_RETURN(const auto metrics_server,
                   OfferMetrics(*reactor, page, metrics.get(), *tracker));
  ASSIGN_OR_RETURN(const auto server, ListenAsAsked(options.listen, {&tracker->service()}));
  WarnIfOpen(options.listen, server->address(), "lease the devices and run native code on them");
  AnnounceAddress(server->address());
  if (!state) {
    spdlog::info(
        "without --state a restart forgets which epochs were granted, and believes what the "
        "devices "
        "say of them");
  }
  life->AwaitEnd();
  tracker->StopKeeping();
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  PrepareStandardStreams();
  CLI::App app("The control plane of a Kiln farm: devices register here, clients take leases.",
               "kiln-tracker");
  app.footer(
      "Examples:\n"
      "  kiln-tracker                                    on this machine, port 9190\n"
      "  kiln-tracker --listen 0.0.0.0:9190 --cert tracker.crt --key tracker.key --ca ca.crt \\\n"
      "    --crl crl.pem --state /var/lib/kiln           a farm, over TLS\n"
      "  kiln-tracker --listen 0.0.0.0:9190 --insecure   for a network that you trust\n"
      "  kiln-server --tracker 127.0.0.1:9190 --target native\n"
      "  kiln devices --tracker 127.0.0.1:9190\n"
      "It prints the address that it listens on. Ctrl-C ends it; devices and clients carry on\n"
      "with what they measure, and come back by themselves when it is started again.");
  app.set_version_flag("--version", std::string("kiln-tracker ") + kVersion);
  Options options;
  app.add_option("--listen", options.listen.address,
                 "HOST:PORT or unix:PATH; port 0: the system picks")
      ->capture_default_str();
  app.add_flag("--insecure", options.listen.insecure,
               "allow to listen beyond this machine without TLS");
  AddNumber<double>(app, "--lease-ttl", options.lease_ttl,
                    "seconds after which a lease without heartbeat ends", {0.1, 3600})
      ->default_str("10");
  app.add_option("--state", options.state, "keep here what a restart must remember")
      ->type_name("DIR");
  app.add_option("--event-log", options.event_log,
                 "append what happens to devices and leases, a JSON object a line")
      ->type_name("FILE");
  AddMetricsOption(app, options.metrics);
  AddNumber<double>(app, "--max-rate", options.rate.per_second,
                    "calls a second of one client (over TLS: of one certificate)", {1, 1e9})
      ->default_str("5000");
  AddCredentials(app, options.listen.tls, CredentialUse::kToServe);
  AddSelfDescription(app);
  if (const std::optional<int> status = ParseCommandLine(app, argc, argv)) return *status;
  options.rate.burst = 2 * options.rate.per_second;
  return EndServing("kiln-tracker", Serve(options));
}

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) { return kiln::Main(argc, argv); }
