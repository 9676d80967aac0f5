#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace kiln {

// This is the box-wide right to measure on a set of cores: a lock file per core, taken with flock,
// which the system gives back when its holder dies. A file that somebody has deleted, as cleaners of
// /tmp do, is made again. Servers and benches of one user that follow it
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

// One place for all programs of this user, whatever else their environment says: /tmp/kiln-UID, or
// /data/local/tmp/kiln-UID on a system without /tmp (Android). Not the user's runtime directory: that
// comes and goes with his logins, and services do not have it. $KILN_TEST_CORE_LOCKS, if it is set, is
// for tests, which must not wait for each other's kernels.
std::string CoreLockDirectory();

}  // namespace kiln
