#include "telemetry/metrics.h"

namespace kiln {

HttpRoute MetricsRoute(Metrics& metrics, std::function<void(std::function<void()> scrape)> run) {
  const auto handle = [&metrics, run = std::move(run)](const HttpRequest&, HttpRespond respond) {
    const auto scrape = [&metrics, respond = std::move(respond)] {
      HttpResponse response;
      response.content_type = kMetricsContentType;
      response.body = metrics.Scrape();
      respond(std::move(response));
    };
    if (run) return run(scrape);
    scrape();
  };
  return {"GET", "/metrics", handle};
}

}  // namespace kiln
