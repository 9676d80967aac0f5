#pragma once

#include <sqlite3.h>

#include <new>

namespace kiln {

// Sees the locks of write-ahead logs before SQLite gets them, on any thread. Methods may wait, and
// so let other connections come in between.
class LockWatcher {
 public:
  virtual ~LockWatcher() = default;
  // A connection is about to ask for `count` locks from `first` on (sqlite.org/walformat.html, "WAL
  // Locks"), or to give them back. `reads`: it has one of a reader.
  virtual void BeforeLock(int first, bool lock, bool reads) {
    (void)first, (void)lock, (void)reads;
  }
  // It was refused the lock, since another connection has it.
  virtual void Refused(int first) { (void)first; }
  // A checkpoint has found that the log is not what this connection knew, and has read how long it
  // is: it gives up what it has mapped of the file.
  virtual void AfterHeader() {}
};

// A VFS that tells `watcher` and else is the default one, in whose place it comes: for every
// database that is opened from now on. To be called once in a process.
inline void WatchLocks(LockWatcher& watcher) {
  struct FileState {  // behind each file of the default VFS
    const sqlite3_io_methods* real;
    sqlite3_io_methods own;
    int read_locks = 0;
  };
  static LockWatcher* watching = nullptr;
  static sqlite3_vfs* base = nullptr;
  static sqlite3_vfs shim;
  static const auto state_of = [](sqlite3_file* file) {
    return reinterpret_cast<FileState*>(reinterpret_cast<char*>(file) + base->szOsFile);
  };
  watching = &watcher;
  base = sqlite3_vfs_find(nullptr);
  shim = *base;
  shim.zName = "watched";
  shim.pNext = nullptr;
  shim.szOsFile += static_cast<int>(sizeof(FileState));
  shim.xOpen = [](sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
    const int result = base->xOpen(base, name, file, flags, out);
    if (result != SQLITE_OK || (flags & SQLITE_OPEN_MAIN_DB) == 0) return result;
    FileState* state = new (state_of(file)) FileState{file->pMethods, *file->pMethods};
    state->own.xShmLock = [](sqlite3_file* locked, int first, int count, int how) {
      FileState& own = *state_of(locked);
      const bool lock = (how & SQLITE_SHM_LOCK) != 0;
      watching->BeforeLock(first, lock, own.read_locks > 0);
      const int locking = own.real->xShmLock(locked, first, count, how);
      const bool shared = (how & SQLITE_SHM_SHARED) != 0;  // only readers' locks are
      if (shared && locking == SQLITE_OK) own.read_locks += lock ? 1 : -1;
      if (lock && locking == SQLITE_BUSY) watching->Refused(first);
      return locking;
    };
    state->own.xUnfetch = [](sqlite3_file* mapped, sqlite3_int64 offset, void* pages) {
      if (pages == nullptr) watching->AfterHeader();
      return state_of(mapped)->real->xUnfetch(mapped, offset, pages);
    };
    file->pMethods = &state->own;
    return SQLITE_OK;
  };
  sqlite3_vfs_register(&shim, /*makeDflt=*/1);
}

// Numbers of locks.
inline constexpr int kWalWriteLock = 0;
inline constexpr int kWalCheckpointLock = 1;

}  // namespace kiln
