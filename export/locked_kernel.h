#pragma once

#include <cstdint>
#include <string>

#include "export/lock_file.h"
#include "kernels_templates/task.h"

namespace kiln {

// An entry of a lock file as code of today.
struct LockedKernel {
  Task task;
  Config config;
  KernelSource source;
};

// Lowers an entry again. kFailedPrecondition: it is stale, and why: its template is gone, does not
// know the config any more, or makes other code of it than was measured. The code of an entry that is
// not stale is the code that was measured.
StatusOr<LockedKernel> LowerEntry(const TemplateRegistry& registry, const Target& target,
                                  const LockKey& key, const LockEntry& entry);

// What a workload gets that nobody tuned: the default config of the template that serves it.
// Errors as Task::Create.
StatusOr<LockedKernel> LowerDefault(const TemplateRegistry& registry, const Target& target,
                                    const LockKey& key);

// The entry that says so.
LockEntry EntryOf(const LockedKernel& kernel, Origin origin);

}  // namespace kiln
