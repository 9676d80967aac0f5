#include "kernels_templates/peak_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernels_templates/isa/vector_isa.h"

namespace kiln {
namespace {

constexpr std::int32_t kIterations = 4096;

class PeakProbe final : public KernelTemplate {
 public:
  explicit PeakProbe(const VectorIsa& isa) : isa_(isa), name_("peak." + std::string(isa.name)) {}

  std::string_view name() const override { return name_; }
  bool Supports(const TaskSpec& spec) const override {
    return (isa_.required & ~spec.target.isa) == 0;
  }
  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create({IntKnob("accumulators", {8, 12, 16, 20})}, {});
  }
  Config Default(const TaskSpec&, const ConfigSpace& space) const override { return space.At(1); }
  void Features(const TaskSpec&, const ConfigSpace&, const Config&,
                std::span<float> out) const override {
    for (float& feature : out) feature = 0;  // nobody learns from a probe
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    const auto accumulators = static_cast<std::int32_t>(space.Value(config, "accumulators"));
    std::string start, step, sum = "kv sum = k_splat(0);\n";
    for (std::int32_t i = 0; i < accumulators; ++i) {
      start += fmt::format("kv c{0} = k_splat({0});\n", i);
      step += fmt::format("c{0} = k_dot(c{0}, a, w);\n", i);
      sum += fmt::format("sum += c{};\n", i);
    }
    LoopProgram program;
    program.isa = isa_.required;
    program.prelude = Prelude(isa_, spec.workload);
    program.x_bytes = spec.workload.x_bytes();
    program.y_bytes = spec.workload.y_bytes();
    program.packed_bytes = 64;
    program.pack = {Text("(void)op;\n__builtin_memset(packed, 1, 64);\n")};
    // Each thread runs one chunk; all write the same bytes.
    std::vector<Stmt> chunk;
    chunk.push_back(Text(start + "kop a = k_weights(packed), w = k_weights(packed);\n"));
    chunk.push_back(Loop(fmt::format("for (int32_t i = 0; i < {}; ++i)", kIterations), kIterations,
                         {Text("K_UNKNOWN(a);\n" + step, {.dots = double(accumulators)})}));
    chunk.push_back(Text(sum + "if (chunk == 0) __builtin_memset(y, sum[0], " +
                             std::to_string(program.y_bytes) + ");\n",
                         {.stores = 1}));
    LoopProgram::Phase phase;
    phase.chunks = static_cast<std::uint32_t>(spec.threads);
    phase.body.push_back(
        Loop("for (uint32_t chunk = begin; chunk < end; ++chunk)", spec.threads, std::move(chunk)));
    program.phases.push_back(std::move(phase));
    return program;
  }

  double Macs(const Config& config, const ConfigSpace& space, std::int32_t threads) const {
    return double(kIterations) * double(space.Value(config, "accumulators")) * isa_.lanes *
           isa_.group * threads;
  }

 private:
  const VectorIsa& isa_;
  const std::string name_;
};

const VectorIsa& RichestIsa(const Target& target) {
  for (const VectorIsa* isa : {&Avx512Vnni(), &Avx2()}) {
    if ((isa->required & ~target.isa) == 0) return *isa;
  }
  return Portable();
}

}  // namespace

StatusOr<Task> PeakProbeTask(const Target& target, std::int32_t threads) {
  Workload workload;  // any of which every thread has a byte of output
  workload.op = OpKind::kDense;
  workload.c = 64;
  workload.o = std::max(64, threads);
  workload.rq = RequantizeForm::kGen;
  return Task::Create(std::make_shared<PeakProbe>(RichestIsa(target)), {workload, target, threads});
}

double PeakProbeMacs(const Task& task, const Config& config) {
  return static_cast<const PeakProbe&>(task.kernel_template())
      .Macs(config, task.space(), task.threads());
}

}  // namespace kiln
