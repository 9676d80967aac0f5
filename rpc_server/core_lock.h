#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace kiln {

// This is the box-wide right to measure on a set of cores: a lock file per core, taken with flock,
// which the system gives back when its holder dies. Servers and benches of one user that follow it
// never measure on one core at once. Not thread-safe.
class CoreLock {
 public:
  virtual ~CoreLock() = default;
  // Waits until the cores are ours. A holder keeps them for one trial, which has a deadline, so the
  // wait ends. kUnavailable: the file system refuses.
  virtual Status Take() = 0;
  virtual void Give() = 0;
};

// The files are `core-N.lock` in `directory`, which is made with mode 0700 if need be.
// kPermissionDenied: it belongs to somebody else, or others may write there.
StatusOr<std::unique_ptr<CoreLock>> OpenCoreLock(const std::string& directory,
                                                 std::vector<std::int32_t> cores);

// $XDG_RUNTIME_DIR/kiln, or /tmp/kiln-UID where there is no such directory.
std::string CoreLockDirectory();

}  // namespace kiln
