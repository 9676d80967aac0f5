#include "db/checkpoint_lock.h"

#include <sqlite3.h>

#include <cstddef>
#include <new>

namespace kiln {
namespace {

// The locks of a write-ahead log that matter here, by their numbers (sqlite.org/walformat.html,
// "WAL Locks").
constexpr int kWriteLock = 0;
constexpr int kCheckpointLock = 1;

constexpr int kLock = SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE;
constexpr int kUnlock = SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE;

sqlite3_vfs* base = nullptr;  // the default VFS

// What lies behind each database file that the default VFS has opened for us. The file's methods
// are the default ones but for xShmLock.
struct LockState {
  const sqlite3_io_methods* real;
  sqlite3_io_methods own;
  bool wants_write = false;       // SQLite believes to hold the write lock
  bool wants_checkpoint = false;  // and the lock of checkpoints, for which we hold both
};

int StateOffset() {
  constexpr int kAlign = alignof(LockState);
  return (base->szOsFile + kAlign - 1) / kAlign * kAlign;
}

LockState& StateOf(sqlite3_file* file) {
  return *reinterpret_cast<LockState*>(reinterpret_cast<char*>(file) + StateOffset());
}

int SetWriteLock(sqlite3_file* file, bool lock) {
  LockState& state = StateOf(file);
  if (!state.wants_checkpoint) {  // else it is held, and stays so
    const int result = state.real->xShmLock(file, kWriteLock, 1, lock ? kLock : kUnlock);
    if (result != SQLITE_OK) return result;
  }
  state.wants_write = lock;
  return SQLITE_OK;
}

// `count` locks from that of checkpoints on: recovery takes the next one with it.
int LockForCheckpoint(sqlite3_file* file, int count) {
  LockState& state = StateOf(file);
  if (!state.wants_write) {
    const int result = state.real->xShmLock(file, kWriteLock, 1, kLock);
    if (result != SQLITE_OK) return result;
  }
  const int result = state.real->xShmLock(file, kCheckpointLock, count, kLock);
  state.wants_checkpoint = result == SQLITE_OK;
  if (result != SQLITE_OK && !state.wants_write) {
    state.real->xShmLock(file, kWriteLock, 1, kUnlock);
  }
  return result;
}

int UnlockAfterCheckpoint(sqlite3_file* file, int count) {
  LockState& state = StateOf(file);
  const int result = state.real->xShmLock(file, kCheckpointLock, count, kUnlock);
  if (state.wants_checkpoint && !state.wants_write) {
    state.real->xShmLock(file, kWriteLock, 1, kUnlock);
  }
  state.wants_checkpoint = false;
  return result;
}

int ShmLock(sqlite3_file* file, int first, int count, int flags) {
  const bool lock = (flags & SQLITE_SHM_LOCK) != 0;
  if (first == kWriteLock) return SetWriteLock(file, lock);
  if (first == kCheckpointLock) {
    return lock ? LockForCheckpoint(file, count) : UnlockAfterCheckpoint(file, count);
  }
  return StateOf(file).real->xShmLock(file, first, count, flags);
}

int Open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out_flags) {
  const int result = base->xOpen(base, name, file, flags, out_flags);
  const sqlite3_io_methods* real = file->pMethods;
  if (result != SQLITE_OK || (flags & SQLITE_OPEN_MAIN_DB) == 0 || real->iVersion < 2) {
    return result;
  }
  LockState* state = new (&StateOf(file)) LockState{real, *real};
  if (real->xShmLock != nullptr) state->own.xShmLock = ShmLock;
  file->pMethods = &state->own;
  return SQLITE_OK;
}

}  // namespace

const char* CheckpointLockVfs() {
  static sqlite3_vfs* const vfs = [] {
    base = sqlite3_vfs_find(nullptr);
    static sqlite3_vfs shim = *base;  // all but xOpen
    shim.zName = "kiln-checkpoint-lock";
    shim.pNext = nullptr;
    shim.szOsFile = StateOffset() + static_cast<int>(sizeof(LockState));
    shim.xOpen = Open;
    sqlite3_vfs_register(&shim, /*makeDflt=*/0);
    return &shim;
  }();
  return vfs->zName;
}

}  // namespace kiln
