// `kiln` with a template whose configs have a fate each: what a command says of kernels that are
// right, give a wrong byte, crash, do not compile or cannot be lowered.

#include "apps/kiln/cli.h"

namespace kiln {
namespace {

// The kernel that the built-in templates give for a dense workload, and what becomes of it.
class FatedDense final : public KernelTemplate {
 public:
  FatedDense() { RegisterBuiltinTemplates(builtin_); }

  std::string_view name() const override { return "dense.fated"; }
  bool Supports(const TaskSpec& spec) const override {
    return spec.workload.op == OpKind::kDense && builtin_.For(spec).ok();
  }
  StatusOr<ConfigSpace> Space(const TaskSpec&) const override {
    return ConfigSpace::Create(
        {ChoiceKnob("fate", {"right", "wrong", "crashes", "not_compiled", "not_lowered"})}, {});
  }
  Config Default(const TaskSpec&, const ConfigSpace& space) const override { return space.At(0); }

  StatusOr<LoopProgram> Lower(const TaskSpec& spec, const ConfigSpace& space,
                              const Config& config) const override {
    const std::string fate = space.Labels(config).front().second;
    if (fate == "not_lowered") return Error(StatusCode::kInvalidArgument, "not to be lowered");
    ASSIGN_OR_RETURN(const auto real, builtin_.For(spec));
    ASSIGN_OR_RETURN(const ConfigSpace real_space, real->Space(spec));
    ASSIGN_OR_RETURN(LoopProgram program,
                     real->Lower(spec, real_space, real->Default(spec, real_space)));
    std::vector<Stmt>& end = program.phases.back().body;
    if (fate == "wrong") end = {Text("y[0] ^= 1;\n")};  // and much faster
    if (fate == "crashes") end.push_back(Text("__builtin_trap();\n"));
    if (fate == "not_compiled") end.push_back(Text("this is not C;\n"));
    return program;
  }

  void Features(const TaskSpec&, const ConfigSpace&, const Config&,
                std::span<float> out) const override {
    for (float& feature : out) feature = 0;
  }

 private:
  TemplateRegistry builtin_;
};

}  // namespace
}  // namespace kiln

int main(int argc, char** argv) {
  kiln::TemplateRegistry registry;
  registry.Register(std::make_shared<kiln::FatedDense>());
  return kiln::RunKiln(argc, argv, registry);
}
