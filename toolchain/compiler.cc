#include "toolchain/compiler.h"

#include <string>

#include "ops/isa.h"

namespace kiln {
namespace {

// x86-64-v3 is AVX2 with FMA, F16C and BMI; x86-64-v4 is AVX-512 F, BW, CD, DQ, VL: the levels of
// the psABI are what IsaFeature means by kAvx2 and kAvx512.
void UseX86(IsaMask isa, CompileJob& job) {
  const bool avx512 = Has(isa, IsaFeature::kAvx512);
  job.cpu = avx512 ? "x86-64-v4" : Has(isa, IsaFeature::kAvx2) ? "x86-64-v3" : "x86-64";
  if (Has(isa, IsaFeature::kAvx512Vnni)) job.features.push_back("+avx512vnni");
  if (Has(isa, IsaFeature::kAvxVnni)) job.features.push_back("+avxvnni");
  // Processors that prefer 256 bits would have 512-bit vector types split in two.
  if (avx512) job.vector_bits = 512;
}

void UseArm(IsaMask isa, CompileJob& job) {
  job.cpu = "generic";
  if (Has(isa, IsaFeature::kNeon)) job.features.push_back("+neon");
  if (Has(isa, IsaFeature::kDotProd)) job.features.push_back("+dotprod");
  if (Has(isa, IsaFeature::kI8mm)) job.features.push_back("+i8mm");
}

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
  if (target.arch == "aarch64") {
    UseArm(target.isa, job);
  } else {
    UseX86(target.isa, job);
  }
  return job;
}

}  // namespace kiln
