#include "telemetry/metrics.h"

namespace kiln {

bool HasMetrics() { return false; }

StatusOr<std::unique_ptr<Metrics>> NewMetrics(MetricSource) {
  return Error(StatusCode::kUnimplemented,
               "this program was built without metrics (there was no prometheus-cpp to link with): "
               "take one that is linked dynamically");
}

}  // namespace kiln
