#include "export/locked_kernel.h"

#include <utility>

#include "ops/workload_key.h"

namespace kiln {
namespace {

Status Stale(const std::string& why) { return Error(StatusCode::kFailedPrecondition, why); }

}  // namespace

StatusOr<LockedKernel> LowerEntry(const TemplateRegistry& registry, const Target& target,
                                  const LockKey& key, const LockEntry& entry) {
  ASSIGN_OR_RETURN(const Workload workload, ParseWorkload(key.workload));
  const auto kernel_template = registry.Find(entry.kernel_template);
  if (!kernel_template.ok()) return Stale(Message(kernel_template.status()));
  StatusOr<Task> task = Task::Create(*kernel_template, {workload, target, key.threads});
  if (!task.ok()) return Stale(Message(task.status()));
  ASSIGN_OR_RETURN(Config config, CurrentConfig(*task, entry.labels, entry.code_digest));
  StatusOr<KernelSource> source = task->Emit(config);
  if (!source.ok()) return Stale(Message(source.status()));
  return LockedKernel{*std::move(task), std::move(config), *std::move(source)};
}

StatusOr<LockedKernel> LowerDefault(const TemplateRegistry& registry, const Target& target,
                                    const LockKey& key) {
  ASSIGN_OR_RETURN(const Workload workload, ParseWorkload(key.workload));
  ASSIGN_OR_RETURN(Task task, Task::Create(registry, {workload, target, key.threads}));
  Config config = task.kernel_template().Default(task.spec(), task.space());
  ASSIGN_OR_RETURN(KernelSource source, task.Emit(config));
  return LockedKernel{std::move(task), std::move(config), std::move(source)};
}

LockEntry EntryOf(const LockedKernel& kernel, Origin origin) {
  return {.kernel_template = std::string(kernel.task.kernel_template().name()),
          .labels = kernel.task.space().Labels(kernel.config),
          .code_digest = kernel.source.code_digest,
          .origin = origin,
          .time = std::nullopt};
}

}  // namespace kiln
