#pragma once

#include <string>
#include <utility>

#include "kernels_templates/isa/vector_isa.h"
#include "kernels_templates/kernel_template.h"
#include "kernels_templates/loop_program.h"

namespace kiln {

// A workload for kernels that compute nothing: each thread has a byte of output. They are built,
// run and timed like any other, with unchecked cases.
TaskSpec ProbeSpec(const Target& target, std::int32_t threads);

// This is what kernels have in common that only find out what a machine can do: one chunk for each
// thread, all of which write the same bytes.
class ProbeTemplate : public KernelTemplate {
 public:
  ProbeTemplate(const VectorIsa& isa, const std::string& family)
      : isa_(isa), name_(family + "." + std::string(isa.name)) {
    if (!isa.method.empty()) name_.append(".").append(isa.method);
  }

  std::string_view name() const final { return name_; }
  bool Supports(const TaskSpec& spec) const final {
    return (isa_.required & ~spec.target.isa) == 0;
  }
  Config Default(const TaskSpec&, const ConfigSpace& space) const final { return space.At(0); }
  void Features(const TaskSpec&, const ConfigSpace&, const Config&,
                std::span<float> out) const final {
    for (float& feature : out) feature = 0;  // nobody learns from a probe
  }

 protected:
  // The program whose threads each run `work`, which leaves a vector `sum` (kv).
  LoopProgram Program(const TaskSpec& spec, std::vector<Stmt> work) const;

  const VectorIsa& isa_;

 private:
  std::string name_;
};

}  // namespace kiln
