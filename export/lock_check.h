#pragma once

#include <span>
#include <string>
#include <vector>

#include "export/locked_kernel.h"

namespace kiln {

// An entry that a build cannot rely on.
struct LockFault {
  LockKey key;
  std::int64_t line = 0;  // of the lock file; 0: it is missing
  std::string why;
};

// Entries whose code is not what this Kiln makes of them, and those of `wanted` that are not there
// though a template serves them. No database is asked. In the order of the file, what is missing last.
std::vector<LockFault> CheckLock(const TemplateRegistry& registry, const LockFile& lock,
                                 std::span<const LockKey> wanted);

}  // namespace kiln
