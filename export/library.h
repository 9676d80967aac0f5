#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "export/lock_file.h"
#include "export/locked_kernel.h"
#include "models/model.h"

namespace kiln {

// What to do about a workload that the lock file has no entry for, or a stale one.
enum class Fallback { kError, kWarn, kSilent };

struct LibraryRequest {
  Network network;                    // without layers: all that is locked
  std::vector<std::string> targets;   // empty: all that are locked, of one architecture
  std::vector<std::int32_t> threads;  // empty: all that are locked for a target
  std::string arch;  // which one, where the lock file has several; empty: the only one
  CacheState cache = CacheState::kHot;
  bool portable = true;  // also kernels that every machine of the architecture runs
};

// One kernel of a library for one workload, target and number of threads.
struct LibraryVariant {
  LockKey key;
  LockEntry entry;
  std::size_t code = 0;  // index in Library::codes
  std::string why;       // it is a default although something was asked for; empty: it is not
  bool stale = false;    // since the locked entry is
};

// Code that several variants may share.
struct LibraryCode {
  LockedKernel kernel;
  std::string symbol() const { return kernel.source.symbol; }  // "kiln_" and the digest
};

// What is in a library, and in which order.
struct Library {
  std::string arch;
  std::vector<Target> targets;           // the richest first
  std::vector<std::string> workloads;    // their keys, sorted
  std::vector<LibraryVariant> variants;  // by workload, then target, then threads
  std::vector<LibraryCode> codes;        // by symbol
  std::vector<std::pair<std::string, std::string>> layers;  // name and workload, sorted by name
  std::vector<std::string>
      unserved;  // workloads that were asked for and have no kernel, with the reason
  std::vector<std::string> notes;  // what a user should know
};

// Decides what a library holds. Of targets that need the same instructions a program could not tell
// which it runs on: where the request names none, the one of which most is measured stays, and a note
// says so. kInvalidArgument: targets of several architectures, or named ones that need the same
// instructions; the message says what to do. kNotFound: the lock file has nothing for it.
StatusOr<Library> PlanLibrary(const TemplateRegistry& registry, const LockFile& lock,
                              const LibraryRequest& request);

// How well a library is tuned.
struct LibraryTally {
  std::size_t hits = 0, defaults = 0, stale = 0;  // variants, portable ones of last resort left out
  std::size_t unmeasured = 0, unconfirmed = 0;    // of the hits
  const LibraryVariant* largest = nullptr;  // of the defaults the one with the most multiplications
};
LibraryTally TallyOf(const Library& library);

}  // namespace kiln
