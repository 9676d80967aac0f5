#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "ops/isa.h"

namespace kiln {

// With what a processor's speed is estimated where there is none (docs/estimates.md).
struct EstimateModel {
  std::string mca_cpu;  // whose scheduling model LLVM shall use
  double ghz = 0;       // cycles per nanosecond
};

// Where kernels run: an instruction set, a micro-architecture and what of it matters to a schedule.
// Read from a data file (targets/*.json, whose keys docs/targets.md explains) or detected.
struct Target {
  std::string name;     // "cascadelake", "rasp4b", "sapphirerapids-avx512vnni"
  std::string summary;  // one line for people
  std::string arch;     // "x86_64", "aarch64"
  std::string cpu;      // what clang calls it: -target-cpu
  IsaMask isa = 0;      // the features that kernels may use
  std::int32_t cores = 1;
  // Data caches: what one core finds, whether or not it shares them. 0: there is none.
  std::int64_t l1_bytes = 32 << 10, l2_bytes = 1 << 20, l3_bytes = 8 << 20;
  // Scratch memory that a kernel may ask for, shared plus threads.
  std::int64_t workspace_cap = 64 << 20;
  // The processor that an emulator stands in with where there is no such machine: qemu's -cpu.
  // Empty: none is like it.
  std::string emulated_cpu = {};
  std::optional<EstimateModel> estimate = std::nullopt;
};

// By name: `native` or what it is called here, a data file's name, or a path (with a '/', or that
// ends in .json). kNotFound lists the known names; kInvalidArgument says what is wrong in the file.
StatusOr<Target> FindTarget(std::string_view name_or_path);

// This machine: features by CPUID or HWCAP, cores that may be used, caches from sysfs. Its name is
// that of the micro-architecture and its best integer feature, so that databases of several
// machines merge.
StatusOr<Target> DetectNative();

// All data files, in order of name.
StatusOr<std::vector<Target>> KnownTargets();

// The target whose code every machine of an architecture runs. kNotFound: there is none.
StatusOr<Target> BaselineTarget(std::string_view arch);

// Whether code for `target` runs on this kind of machine.
bool CanRun(const Target& machine, const Target& target);

}  // namespace kiln
