#include "kernels_templates/task.h"

#include <utility>

#include "base/digest.h"

namespace kiln {

StatusOr<Task> Task::Create(const TemplateRegistry& registry, TaskSpec spec) {
  ASSIGN_OR_RETURN(std::shared_ptr<const KernelTemplate> found, registry.For(spec));
  return Create(std::move(found), std::move(spec));
}

StatusOr<Task> Task::Create(std::shared_ptr<const KernelTemplate> kernel_template, TaskSpec spec) {
  const std::string workload = kiln::Key(spec.workload), name(kernel_template->name());
  if (spec.threads < 1) {
    return Error(StatusCode::kInvalidArgument, workload, ": a task needs at least one thread, not ",
                 spec.threads);
  }
  if (!kernel_template->Supports(spec)) {
    return Error(StatusCode::kUnimplemented, "the template ", name, " does not compute ", workload,
                 " on ", spec.target.name);
  }
  auto space = kernel_template->Space(spec);
  if (!space.ok()) {
    return Error(space.status().code(), workload, " on ", spec.target.name, " with ", name, ": ",
                 Message(space.status()));
  }
  Task task;
  task.key_ = std::make_shared<const std::string>(workload + "|" + spec.target.name + "|t" +
                                                  std::to_string(spec.threads) + "|" + name);
  task.template_ = std::move(kernel_template);
  task.spec_ = std::make_shared<const TaskSpec>(std::move(spec));
  task.space_ = *std::move(space);
  return task;
}

StatusOr<KernelSource> Task::Emit(const Config& config) const {
  if (!space_.Contains(config)) {
    return Error(StatusCode::kInvalidArgument, Key(), ": this config is not in the task's space");
  }
  ASSIGN_OR_RETURN(LoopProgram program, template_->Lower(*spec_, space_, config));
  // The compiler may use all that the target has, whatever the template asks for.
  program.isa |= spec_->target.isa;
  return EmitC(program);
}

void Task::Features(const Config& config, std::span<float> out) const {
  template_->Features(*spec_, space_, config, out);
}

StatusOr<Config> CurrentConfig(const Task& task, const ConfigLabels& labels,
                               std::uint64_t measured) {
  const auto stale = [](const std::string& why) {
    return Error(StatusCode::kFailedPrecondition, why);
  };
  StatusOr<Config> config = task.space().FromLabels(labels);
  if (!config.ok()) return stale(Message(config.status()));
  const StatusOr<KernelSource> source = task.Emit(*config);
  const std::uint64_t today = source.ok() ? source->code_digest : 0;
  if (today == measured) return config;
  if (!source.ok()) return stale(Message(source.status()));
  return stale("this Kiln makes other code of its config (" + Hex(today) + ") than was measured (" +
               Hex(measured) + ")");
}

}  // namespace kiln
