#include "apps/serving/metrics_page.h"

#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>

#include "apps/command_line/command_line.h"
#include "proto/address.h"

namespace kiln {
namespace {

// Of the descriptors that the gRPC server leaves to others, a part.
constexpr std::size_t kConnections = 16;

}  // namespace

void AddMetricsOption(CLI::App& app, std::string& address) {
  app.add_option("--metrics", address,
                 "offer metrics for Prometheus at http://HOST:PORT/metrics; port 0: the system "
                 "picks; beyond this machine only with --insecure")
      ->type_name("HOST:PORT");
}

StatusOr<std::unique_ptr<Metrics>> MetricsIfAsked(const MetricsOptions& options,
                                                  MetricSource source) {
  if (options.address.empty()) return nullptr;
  return NewMetrics(source);
}

StatusOr<std::unique_ptr<HttpServer>> ServeMetrics(Reactor& reactor, const MetricsOptions& options,
                                                   Metrics* metrics) {
  if (!metrics) return nullptr;
  HttpOptions http;
  http.address = options.address;
  http.allow_remote = options.insecure;
  http.connections = kConnections;
  StatusOr<std::unique_ptr<HttpServer>> server =
      StartHttpServer(reactor, http, RouteHttp({MetricsRoute(*metrics)}));
  if (server.status().code() == StatusCode::kPermissionDenied) {
    return UsageError("will not offer --metrics on ", options.address,
                      ", where others read them without TLS: use 127.0.0.1, or --insecure on a "
                      "network you trust");
  }
  if (server.status().code() == StatusCode::kInvalidArgument) {
    return UsageError("--metrics: ", Message(server.status()));
  }
  if (!server.ok()) return Error(server.status().code(), "--metrics: ", Message(server.status()));
  spdlog::info("metrics on http://{}/metrics", (*server)->address());
  if (!IsLocalAddress((*server)->address())) {
    spdlog::warn("INSECURE: the metrics are open to the network: whoever reaches {} can read them",
                 (*server)->address());
  }
  return server;
}

}  // namespace kiln
