#pragma once

#include <memory>
#include <string>
#include <variant>

#include "base/status.h"
#include "kernels_templates/loop_program.h"
#include "ops/target.h"
#include "toolchain/compile_job.h"

namespace kiln {

// What came out of a job.
struct CompiledCode {
  std::string output;    // the ELF shared object, or assembly
  std::string compiler;  // its name, version and flags
};

// The kernel does not compile, or takes the compiler down: the kernel's fault.
struct CompileFailure {
  std::string message;  // the first errors, or what the compiler died of
};

// This turns C into code. Thread-safe; blocks the calling thread. An error is the tool's: no worker
// program, an unknown processor.
class Compiler {
 public:
  virtual ~Compiler() = default;
  virtual StatusOr<std::variant<CompiledCode, CompileFailure>> Compile(const CompileJob& job) = 0;
  // Its name, version and flags, as CompiledCode has them.
  virtual StatusOr<std::string> Describe() = 0;
};

// The job that compiles `source` for `target`. The instructions used are those of the oldest
// processors that have target.isa, whatever else target.cpu may know: code runs wherever
// CanRun(machine, target) says so. target.cpu decides how they are scheduled.
CompileJob JobFor(const KernelSource& source, const Target& target, EmitKind emit);

}  // namespace kiln
