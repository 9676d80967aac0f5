#include "kernels_templates/probe_template.h"

#include <algorithm>

namespace kiln {

TaskSpec ProbeSpec(const Target& target, std::int32_t threads) {
  Workload workload;
  workload.op = OpKind::kDense;
  workload.c = 64;
  workload.o = std::max(64, threads);
  workload.rq = RequantizeForm::kGen;
  return {workload, target, threads};
}

LoopProgram ProbeTemplate::Program(const TaskSpec& spec, std::vector<Stmt> work) const {
  LoopProgram program;
  program.isa = isa_.required;
  program.prelude = Prelude(isa_, spec.workload);
  program.x_bytes = spec.workload.x_bytes();
  program.y_bytes = spec.workload.y_bytes();
  program.packed_bytes = 64;
  program.pack = {Text("(void)op;\n__builtin_memset(packed, 1, 64);\n")};
  work.push_back(Text(
      "if (chunk == 0) __builtin_memset(y, sum[0], " + std::to_string(program.y_bytes) + ");\n",
      {.stores = 1}));
  LoopProgram::Phase phase;
  phase.chunks = static_cast<std::uint32_t>(spec.threads);
  phase.body.push_back(
      Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", spec.threads, std::move(work)));
  program.phases.push_back(std::move(phase));
  return program;
}

}  // namespace kiln
