#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ops/isa.h"
#include "ops/measurement.h"
#include "ops/op_data.h"
#include "ops/workload.h"

// What kiln-server and kiln-host say to each other, one frame (base/frame.h) each way per trial.
// Both machines are 64-bit and little-endian, so they need not be of one architecture. Plain C++.

namespace kiln {

// A set of values to run a kernel on, and what must come out.
struct HostCase {
  enum class Source : std::uint8_t { kRecipe, kExplicit };
  Source source = Source::kRecipe;
  DataSet set = DataSet::kUniform;    // kRecipe
  std::uint64_t seed = 0;             // kRecipe
  std::string explicit_case;          // kExplicit: Serialize(OpCase)
  bool check = true;                  // compare with expected_digest
  std::uint64_t expected_digest = 0;  // XXH64 of y
  bool return_output = false;         // send y back (golden comparison, first difference)
};

struct HostRequest {
  std::string object;  // the ELF shared object
  std::string symbol;  // P of the ABI
  Workload workload;
  std::vector<HostCase> cases;  // each is verified; the first is also timed
  MeasurePlan plan;
  std::vector<std::int32_t> cores;  // thread t runs on cores[t % size]; empty: anywhere
};

// Why no device can make this trial, whatever the kernel; empty: it can, if its explicit cases can be
// read. Limits: ops/trial_limits.h.
std::string Objection(const HostRequest& request);

struct HostReply {
  std::string objection;  // to the request: nothing was run, and nothing below means anything
  Outcome outcome;        // Timings without samples if the plan does not time
  std::vector<std::uint64_t> digests;  // of y, per case; empty if not every case was run
  std::vector<std::string> outputs;    // per case; empty unless return_output, or if not run
  DeviceState before, after;
  // When the kernel could run, in nanoseconds of the machine's steady clock; 0 if it could not.
  std::int64_t began_ns = 0, ended_ns = 0;
  std::string log;  // what the runner could not do as it should, a line each
};

// What a kiln-host is: the machine that kernels find themselves on, which may be an emulated one.
// The answer to a frame that holds kDescribeFrame, which is no request.
struct HostDescription {
  std::string arch;  // "x86_64", "aarch64", as Target::arch
  IsaMask isa = 0;
  std::int64_t page_bytes = 0;
};
inline constexpr std::string_view kDescribeFrame = "describe";
HostDescription DescribeHost();  // this process's machine

// Deserialize() refuses what no Serialize() wrote; whether the values make sense is checked where
// they are used.
std::string Serialize(const HostRequest& request);
bool Deserialize(std::string_view bytes, HostRequest& request);
std::string Serialize(const HostReply& reply);
bool Deserialize(std::string_view bytes, HostReply& reply);
std::string Serialize(const HostDescription& description);
bool Deserialize(std::string_view bytes, HostDescription& description);

}  // namespace kiln
