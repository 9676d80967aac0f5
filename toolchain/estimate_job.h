#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "toolchain/compile_job.h"

// The second thing that kiln-compile-worker is asked (compile_job.h has the first): how many cycles
// code takes that was counted while it ran. Plain C++.

namespace kiln {

// A run of instructions that were always executed from the first to the last, and how often. Blocks
// may overlap: an instruction has the counts of all of them.
struct CountedBlock {
  std::uint64_t offset = 0;  // of the first byte from where the object is loaded
  std::uint32_t bytes = 0;
  std::uint64_t count = 0;
  bool operator==(const CountedBlock&) const = default;
};

// One run of a kernel.
struct EstimateJob {
  std::string object;  // the ELF shared object
  std::string arch{};  // "x86_64", "aarch64"
  std::string cpu{};   // whose scheduling model LLVM shall use
  std::vector<CountedBlock> blocks{};
};

struct EstimateReply {
  enum class Outcome : std::uint8_t {
    kEstimated,
    kRejected,  // the code is at fault: bytes that this processor does not know
    kBadJob,    // whoever wrote the job is: an unknown processor, one without a scheduling model
  };
  Outcome outcome = Outcome::kBadJob;
  double cycles = 0;           // of the whole run on one core, all loads from the first cache
  double instructions = 0;     // executed
  double simulated_share = 0;  // of the instructions; the rest counts as their average
  std::string message;         // where there is no estimate
};

std::string Serialize(const EstimateJob& job);
bool Deserialize(std::string_view bytes, EstimateJob& job);
std::string Serialize(const EstimateReply& reply);
bool Deserialize(std::string_view bytes, EstimateReply& reply);

}  // namespace kiln
