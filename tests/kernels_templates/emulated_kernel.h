#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "ops/isa.h"
#include "ops/op_data.h"
#include "ops/workload.h"

namespace kiln {

// Whether kernels for this instruction set of 64-bit Arm run here: qemu-aarch64 and kiln-host for
// Arm are there.
bool EmulatorRuns(IsaMask isa);

// Runs a kernel of an object in kiln-host under qemu, on a processor that has no more than the
// instruction set: between guard pages, at both ends. Empty if y was `expected`; else what
// happened, as kiln-host says it, or "pack returned 1".
std::string CheckEmulated(const std::string& object, const std::string& symbol, IsaMask isa,
                          const Workload& workload, const OpCase& op_case,
                          std::span<const std::uint8_t> expected);

}  // namespace kiln
