#pragma once

#include <memory>
#include <string>
#include <variant>

#include "base/reactor.h"
#include "base/status.h"
#include "toolchain/estimate_job.h"
#include "toolchain/worker_pool.h"

namespace kiln {

// What counted code takes on a processor, by a model of it.
struct CycleEstimate {
  double cycles = 0;  // of the whole run
  double instructions = 0;
  double simulated_share = 0;  // of the instructions
};

// The code cannot be estimated: the code's fault.
struct EstimateFailure {
  std::string message;
};

// This says how many cycles counted code takes on a processor that is not there. Thread-safe;
// blocks the calling thread. An error is the tool's: no worker program, a processor without a
// model.
class CycleModel {
 public:
  virtual ~CycleModel() = default;
  virtual StatusOr<std::variant<CycleEstimate, EstimateFailure>> Estimate(
      const EstimateJob& job) = 0;
};

// LLVM's models, in kiln-compile-worker processes. The reactor must outlive it.
std::unique_ptr<CycleModel> NewCycleModel(Reactor& reactor, const WorkerPoolOptions& options);

}  // namespace kiln
