#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "base/reactor.h"
#include "base/status.h"
#include "measure/measurer.h"
#include "ops/target.h"
#include "toolchain/cycle_model.h"

namespace kiln {

struct EstimatorOptions {
  Target target;
  std::int32_t devices = 1;  // kernels estimated at a time
};

// Devices that are not there: a kernel's Timings are one sample, the cycles that the model gives one
// call, over the clock of target.estimate. For one thread with hot caches: other requests are
// refused with kInvalidArgument, since a model of one core would only pretend to know. Times are of
// kind kEstimated. kInvalidArgument: the target has no "estimate" or its model does not exist;
// kNotFound, kFailedPrecondition: as NewEmulatedCounter. The reactor must outlive it.
StatusOr<std::unique_ptr<DevicePool>> NewEstimator(Reactor& reactor,
                                                   const EstimatorOptions& options);

}  // namespace kiln
