#pragma once

namespace kiln {

// The name of an SQLite VFS on whose connections no checkpoint runs but under the write lock.
//
// SQLite 3.7.0 to 3.51.2 loses committed transactions where a checkpoint begins while another
// connection starts the log anew: the checkpoint has read how long the log is, and then finds
// nothing of it copied; it notes as copied what was never in the new log, and what is written there
// next reaches neither readers nor the file (sqlite.org/wal.html, "The WAL-Reset Bug"). Every kind
// of checkpoint is exposed: the automatic one after a commit, and an explicit one too, since it
// goes on without the write lock where it does not get it. But a log is only started anew under the
// write lock. So here the lock of checkpoints is had together with the write lock or not at all
// (SQLITE_BUSY): an automatic checkpoint then waits for the next commit, by whomever. (The last
// connection to close takes no such lock for its checkpoint: it has the file for itself.)
//
// All else is as in the default VFS, whose files these are. Thread-safe.
const char* CheckpointLockVfs();

}  // namespace kiln
