#include "export/lock_check.h"

#include <algorithm>

#include "ops/workload_key.h"

namespace kiln {

std::vector<LockFault> CheckLock(const TemplateRegistry& registry, const LockFile& lock,
                                 std::span<const LockKey> wanted) {
  std::vector<LockFault> faults;
  for (const auto& [key, entry] : lock.entries) {
    const StatusOr<Target> target = LockedTarget(lock, key.target);
    const Status status =
        target.ok() ? LowerEntry(registry, *target, key, entry).status() : target.status();
    if (!status.ok()) faults.push_back({key, entry.line, Message(status)});
  }
  std::ranges::sort(faults, {}, &LockFault::line);
  for (const LockKey& key : wanted) {
    if (lock.entries.contains(key)) continue;
    const StatusOr<Target> target = LockedTarget(lock, key.target);
    const StatusOr<Workload> workload = ParseWorkload(key.workload);
    const bool served =
        target.ok() && workload.ok() && registry.For({*workload, *target, key.threads}).ok();
    if (served) faults.push_back({key, 0, "there is no entry for it"});
  }
  return faults;
}

}  // namespace kiln
