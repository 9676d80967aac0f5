#include "toolchain/compiler.h"

#include <string>
#include <utility>

#include "ops/isa.h"

namespace kiln {
namespace {

// A level of the psABI is no processor that clang can schedule for: there it has `generic`.
std::string TuneCpuOf(const Target& target) {
  return target.cpu.rfind("x86-64-v", 0) == 0 ? "generic" : target.cpu;
}

}  // namespace

CompileJob JobFor(const KernelSource& source, const Target& target, EmitKind emit) {
  CompileJob job;
  job.c = source.c;
  job.symbol = source.symbol;
  job.arch = target.arch;
  job.tune_cpu = TuneCpuOf(target);
  job.emit = emit;
  ClangInstructions instructions = InstructionsOf(target.arch, target.isa);
  job.cpu = std::move(instructions.cpu);
  job.features = std::move(instructions.features);
  job.vector_bits = instructions.vector_bits;
  return job;
}

}  // namespace kiln
