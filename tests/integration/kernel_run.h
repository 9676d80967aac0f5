#pragma once

#include <chrono>
#include <string>

#include "measure/measurer.h"

namespace kiln {

// Runs one of the test kernels (tests/kernel_host/kernels) on both data sets.
StatusOr<RunResult> RunKernel(Lease& lease, const std::string& kernel,
                              std::chrono::milliseconds time_out = std::chrono::seconds(10));

// How a run ended: "ok", the name of a failure, or the error.
std::string Summary(const StatusOr<RunResult>& result);

}  // namespace kiln
