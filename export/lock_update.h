#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "export/lock_file.h"

namespace kiln {

// What there is for one entry of a lock file, from a store and the templates of today.
struct LockOffer {
  LockKey key;
  LockEntry fallback;             // the default of its template
  std::optional<LockEntry> best;  // the store's
  bool stale = false;             // the locked entry, if there is one, is
  bool refuted = false;           // the store knows that the locked config fails
  // How the store judges the locked config today, on the device that measured `best`.
  std::optional<double> locked_ns = std::nullopt;
};

struct LockPolicy {
  bool replace = false;  // entries that are there; else only new ones are added
  bool unconfirmed =
      false;  // takes bests that were not measured in turn with others, or not measured
};

// What became of an offer.
struct LockChange {
  enum class Kind : std::uint8_t {
    kSame,      // nothing to do
    kAdded,     //
    kReplaced,  // by a better one, or where the locked one was stale
    kKept,      // although the store has another: `why` says what for
  };
  Kind kind = Kind::kSame;
  LockKey key;
  std::optional<LockEntry> before, after;
  std::optional<double> gain;  // time before / time after, both of one device
  std::string why;
};

// Brings the offers into the lock file; the changes are in their order. An entry is replaced if it
// is stale, known to fail, or a default, or if the best is faster than it on the same device; times
// of different devices are not compared. A stale entry that was tuned waits for a best. An entry whose code stays keeps its line, so that a lock file changes
// only where code does; but one that was not confirmed takes a confirmation.
std::vector<LockChange> UpdateLock(LockFile& lock, std::span<const LockOffer> offers,
                                   const LockPolicy& policy);

}  // namespace kiln
