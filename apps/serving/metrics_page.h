#pragma once

#include <memory>
#include <string>

#include "base/reactor.h"
#include "base/status.h"
#include "telemetry/http_server.h"
#include "telemetry/metrics.h"

namespace CLI {
class App;
}

// How Kiln's servers offer their metrics: `--metrics HOST:PORT`, off unless it is given.

namespace kiln {

struct MetricsOptions {
  std::string address;    // empty: no metrics
  bool insecure = false;  // allow others than this machine's programs to read them: --insecure
};

// Adds --metrics.
void AddMetricsOption(CLI::App& app, std::string& address);

// Null if they are not asked for. kUnimplemented: this build has none.
StatusOr<std::unique_ptr<Metrics>> MetricsIfAsked(const MetricsOptions& options,
                                                  MetricSource source);

// Serves them at /metrics, and says in the log where; null if there are none. What is wrong with the
// address is a usage error. The server must go before the metrics, and before what they collect from.
StatusOr<std::unique_ptr<HttpServer>> ServeMetrics(Reactor& reactor, const MetricsOptions& options,
                                                   Metrics* metrics);

}  // namespace kiln
