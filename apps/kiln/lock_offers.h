#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/kiln/command.h"
#include "base/shell_word.h"
#include "export/lock_update.h"

namespace kiln {

// For which machines: --target NAME..., --threads N..., --cache. What is empty is as in the lock
// file; where that has nothing, this machine with one thread.
struct LockScope {
  std::vector<std::string> targets;
  std::vector<std::int32_t> threads;
  std::string cache;
};
void AddLockScope(CLI::App& command, LockScope& scope);

// The keys of all workloads of a network for a scope. kNotFound: no such target.
StatusOr<std::vector<LockKey>> WantedOf(const Network& network, const LockScope& scope,
                                        const LockFile& lock);

// What the store has for a network; for `all`, of all that it has for the targets; else of what is
// locked. Targets that are no data files are described in `lock`. Workloads that no template serves
// are left out, and said on standard error.
StatusOr<std::vector<LockOffer>> OffersFor(const TemplateRegistry& registry,
                                           const TuningStore& store, const Network& network,
                                           bool all, const LockScope& scope, LockFile& lock);

// What the command is about after which an entry has a best config of today.
struct Mending {
  const LockKey& key;
  const What& what;      // of which it is a part; empty: nothing but the entry
  std::string db, lock;  // empty: the usual database; no lock file
};
std::string MendCommand(const Mending& mending);

}  // namespace kiln
