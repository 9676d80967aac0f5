#pragma once

#include <map>
#include <memory>
#include <string>

#include "toolchain/estimate_job.h"

namespace kiln {

class Processor;  // one of LLVM's scheduling models, and what was simulated on it

// This says how long counted code takes, by LLVM's machine code analyser (llvm/MCA, what llvm-mca
// prints) in this process: each straight run of instructions is simulated as a loop in steady state
// and counts as often as it was executed. Runs that were simulated before are not simulated again.
class CycleEstimator {
 public:
  CycleEstimator();
  ~CycleEstimator();
  EstimateReply Estimate(const EstimateJob& job);

 private:
  // nullptr with `error` if LLVM does not know it, or not how it schedules.
  Processor* Find(const std::string& arch, const std::string& cpu, std::string& error);

  std::map<std::string, std::unique_ptr<Processor>> processors_;  // by arch and cpu
};

}  // namespace kiln
