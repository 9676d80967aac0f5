#include "kernels_templates/peak_probe.h"

#include <fmt/format.h>

#include "kernels_templates/isa/instruction_sets.h"
#include "kernels_templates/probe_template.h"

namespace kiln {
namespace {

constexpr std::int32_t kIterations = 4096;

// An operand may be shorter than the accumulator that it is made of.
constexpr char kDotStep[] =
    "kop w{0};\n__builtin_memcpy(&w{0}, &c{0}, sizeof w{0});\nc{0} = k_dot(c{0}, a, w{0});\n";

// Runs `step` on each of as many independent accumulators as its knob says.
class InstructionProbe final : public ProbeTemplate {
 public:
  // `step` is a format of C that changes accumulator c{0} with the operand a, which the compiler
  // does not know. A product of the accumulator itself: one of a alone would be made once for all.
  InstructionProbe(const VectorIsa& isa, const std::string& family, const char* step,
                   OpCounts counts)
      : ProbeTemplate(isa, family), step_(step), counts_(counts) {}

  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create({IntKnob("accumulators", {8, 12, 16, 20})}, {});
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    const std::int64_t accumulators = space.Value(config, "accumulators");
    std::string start, steps, sum = "kv sum = k_splat(0);\n";
    for (std::int64_t i = 0; i < accumulators; ++i) {
      start += fmt::format("kv c{0} = k_splat({0});\n", i);
      steps += fmt::format(fmt::runtime(step_), i);
      sum += fmt::format("sum += c{};\n", i);
    }
    std::vector<Stmt> work;
    work.push_back(Text(start + "kop a = k_weights(packed);\n"));
    work.push_back(Loop(fmt::format("for (int32_t i = 0; i < {}; ++i)", kIterations), kIterations,
                        {Text("K_UNKNOWN(a);\n" + steps, counts_ * double(accumulators))}));
    work.push_back(Text(sum));
    return Program(spec, std::move(work));
  }

 private:
  const char* const step_;
  const OpCounts counts_;
};

double Steps(const Task& task, const Config& config) {
  return double(kIterations) * double(task.space().Value(config, "accumulators")) * task.threads();
}

// Reads the thread's own memory from end to end, again and again.
class ReadProbe final : public ProbeTemplate {
 public:
  ReadProbe(const VectorIsa& isa, std::int64_t bytes_per_thread)
      : ProbeTemplate(isa, "read"), bytes_(bytes_per_thread / Step() * Step()) {}

  double BytesPerThread() const { return double(bytes_) * double(Passes()); }

  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create({IntKnob("bytes", {bytes_})}, {});
  }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace&,
                              const Config&) const override {
    std::string start, reads, sum = "kv sum = k_splat(0);\n";
    for (std::int32_t i = 0; i < kReads; ++i) {
      start += fmt::format("kv c{} = k_splat(0);\n", i);
      reads += fmt::format("c{} += k_load(at + {});\n", i, i * isa_.vector_bytes());
      sum += fmt::format("sum += c{};\n", i);
    }
    const double trips = double(bytes_) / double(Step());
    std::vector<Stmt> pass;
    pass.push_back(Text("const uint8_t *at = thread_ws;\nK_HIDE(at);\n"));
    pass.push_back(
        Loop(fmt::format("for (int64_t i = 0; i < {}; i += {}, at += {})", bytes_, Step(), Step()),
             trips, {Text(reads, {.loads = kReads})}));
    std::vector<Stmt> work;
    work.push_back(Text(start));
    work.push_back(Loop(fmt::format("for (int32_t pass = 0; pass < {}; ++pass)", Passes()),
                        double(Passes()), std::move(pass)));
    // What the memory holds is nobody's business, and must not come out.
    work.push_back(Text(sum + "K_UNKNOWN(sum);\nsum = k_splat(0);\n"));
    LoopProgram program = Program(spec, std::move(work));
    program.thread_bytes = bytes_;
    return program;
  }

 private:
  static constexpr std::int32_t kReads = 8;               // of a vector, per iteration
  static constexpr std::int64_t kBytesPerCall = 1 << 20;  // at least: far more than a call costs
  std::int64_t Step() const { return std::int64_t{kReads} * isa_.vector_bytes(); }
  std::int64_t Passes() const { return (kBytesPerCall + bytes_ - 1) / bytes_; }

  const std::int64_t bytes_;
};

}  // namespace

StatusOr<std::vector<Task>> PeakProbeTasks(const Target& target, std::int32_t threads) {
  std::vector<Task> tasks;
  for (const VectorIsa* method : RichestSet(target.isa).methods) {
    ASSIGN_OR_RETURN(Task task, Task::Create(std::make_shared<InstructionProbe>(
                                                 *method, "peak", kDotStep, OpCounts{.dots = 1}),
                                             ProbeSpec(target, threads)));
    tasks.push_back(std::move(task));
  }
  return tasks;
}

double PeakProbeDots(const Task& task, const Config& config) { return Steps(task, config); }

StatusOr<Task> VectorProbeTask(const Target& target, std::int32_t threads) {
  return Task::Create(
      std::make_shared<InstructionProbe>(RichestSet(target.isa).isa(), "vector", "c{0} += (kv)a;\n",
                                         OpCounts{.shuffles = 1}),
      ProbeSpec(target, threads));
}

double VectorProbeInstructions(const Task& task, const Config& config) {
  return Steps(task, config);
}

StatusOr<Task> ReadProbeTask(const Target& target, std::int32_t threads,
                             std::int64_t bytes_per_thread) {
  return Task::Create(std::make_shared<ReadProbe>(RichestSet(target.isa).isa(), bytes_per_thread),
                      ProbeSpec(target, threads));
}

double ReadProbeBytes(const Task& task) {
  return static_cast<const ReadProbe&>(task.kernel_template()).BytesPerThread() * task.threads();
}

}  // namespace kiln
