#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel_host/kiln_kernel.h"
#include "kernels_templates/loop_program.h"
#include "ops/op_data.h"
#include "ops/target.h"

// Runs emitted kernels in tests of templates without the rest of Kiln: the compiler is the program
// clang-19, the loader dlopen, and a run is a child process with guard pages around every buffer.

namespace kiln {

// Loaded into this process, or an object of another architecture for an emulator.
struct LoadedKernel {
  const kiln_info* info = nullptr;
  kiln_pack_fn* pack = nullptr;
  kiln_run_fn* run = nullptr;
  std::string object, symbol;
  IsaMask isa = 0;
};

// Whether this machine executes what CompileAndLoad makes for an instruction set: it has the
// features, or for AVX-VNNI the same instructions as AVX512-VNNI encodes them, or for AVX-512 and
// VNNI at least AVX2, which stands in for them (vnni_in_c.h), or for Arm qemu.
bool MachineRuns(IsaMask isa);

// Whether it does so in C, which takes several times as long.
bool RunsInC(IsaMask isa);

// Compiles sources for an instruction set with the flags that kernels are always compiled with,
// warnings being fatal (a vocabulary is never used in full: those but not), and loads them into
// this process for good. Where the machine lacks AVX-VNNI the compiler's assembly for it, made for
// 16 registers as ever, is assembled with the dots in AVX512-VNNI's encoding. Where it lacks that
// too, sources are compiled for AVX2 with the instructions in C; said once on stderr. KILN_KEEP_KERNELS in
// the environment keeps the files in the temporary folder. kInternal: what the compiler said.
StatusOr<std::vector<LoadedKernel>> CompileAndLoad(std::span<const KernelSource> sources,
                                                   IsaMask isa);

// Compiles one file of C for an instruction set, or for AVX2 with the set's instructions in C, and
// loads it into this process for good: a handle for dlsym. kInternal: what the compiler said.
enum class Instructions { kOwn, kInC };
StatusOr<void*> CompileAndOpen(const std::string& c, IsaMask isa, Instructions instructions);

// Packs and runs a kernel of such a handle in this process, in one piece and unguarded: for C that
// counts what it does. kInternal: no such kernel, or `pack` refused the values.
Status RunOpened(void* handle, const std::string& symbol, const OpCase& op_case);

// The compiler's assembly, on any machine.
StatusOr<std::string> CompileToAssembly(const KernelSource& source, IsaMask isa);

// Whether clang-19 is there; a test without it should skip loudly.
bool HasCompiler();

// Packs and runs the case, twice: buffers begin right behind a guard page, then end right before
// one; in one piece, then in three with the last first. Empty if y was `expected` both times and
// nothing else was touched; else what happened: "pack returned 1", "signal 11, buffers begin at a
// guard page", "y[17] is 3, not 4".
std::string CheckKernel(const LoadedKernel& kernel, const Workload& workload, const OpCase& op_case,
                        std::span<const std::uint8_t> expected);

// A target with all of an instruction set, for spaces to be made for.
Target TestTarget(IsaMask isa);

}  // namespace kiln
