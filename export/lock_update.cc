#include "export/lock_update.h"

#include <fmt/format.h>

#include "measure/figures.h"

namespace kiln {
namespace {

bool IsConfirmed(const LockEntry& entry) {
  return entry.time && entry.time->confirmed && entry.time->kind == TimeKind::kMeasured;
}

// Why a best is not taken as it is; empty: it is.
std::string Doubt(const LockEntry& best, const LockPolicy& policy) {
  if (policy.unconfirmed || IsConfirmed(best)) return "";
  if (!best.time || best.time->kind != TimeKind::kMeasured) {
    return fmt::format(
        "the best config of the database is {}, not measured (--unconfirmed takes it)",
        best.time ? Name(best.time->kind) : "not timed");
  }
  return "the best config of the database is not confirmed: let `kiln tune` come to its end "
         "(--unconfirmed takes it)";
}

// The locked time that the best's may be compared with; nullopt: there is none.
std::optional<double> Comparable(const LockEntry& locked, const LockOffer& offer) {
  if (offer.locked_ns) return offer.locked_ns;
  const LockedTime& best = *offer.best->time;
  if (!locked.time || locked.time->kind != best.kind || locked.time->device != best.device) {
    return std::nullopt;
  }
  return locked.time->min_ns;
}

LockChange Keep(LockChange change, LockChange::Kind kind, std::string why = "") {
  change.kind = kind;
  change.after = change.before;
  change.gain.reset();
  change.why = std::move(why);
  return change;
}

LockChange Replace(LockChange change, const LockEntry& by, std::string why) {
  change.kind = LockChange::Kind::kReplaced;
  change.after = by;
  change.why = std::move(why);
  return change;
}

// What to do about an entry whose config cannot be relied on any more. One that somebody tuned is
// given up for one that nobody did only if it is known to fail.
LockChange DecideBroken(LockChange change, const LockOffer& offer, const LockEntry* best,
                        const std::string& doubt) {
  const std::string what = offer.refuted ? "the database knows that it fails" : "it was stale";
  if (best != nullptr) return Replace(std::move(change), *best, what);
  const std::string rest = doubt.empty() ? ", and nothing else is tuned" : "; " + doubt;
  if (offer.refuted || change.before->origin == Origin::kDefault) {
    return Replace(std::move(change), offer.fallback, what + rest);
  }
  return Keep(std::move(change), LockChange::Kind::kKept, "it is stale" + rest);
}

// What to do about an entry that is there, if it may be replaced.
LockChange Decide(LockChange change, const LockOffer& offer, const LockPolicy& policy) {
  using Kind = LockChange::Kind;
  const LockEntry& locked = *change.before;
  const std::string doubt = offer.best ? Doubt(*offer.best, policy) : "";
  const LockEntry* best = offer.best && doubt.empty() ? &*offer.best : nullptr;
  if (best != nullptr && best->time) {
    change.gain = Gain(Comparable(locked, offer), offer.best->time->min_ns);
  }
  if (offer.stale || offer.refuted) return DecideBroken(std::move(change), offer, best, doubt);
  if (best == nullptr) {
    return Keep(std::move(change), doubt.empty() ? Kind::kSame : Kind::kKept, doubt);
  }
  if (best->code_digest == locked.code_digest) {
    if (IsConfirmed(*best) && !IsConfirmed(locked)) {
      return Replace(std::move(change), *best, "the same code, confirmed");
    }
    return Keep(std::move(change), Kind::kSame);
  }
  if (!best->time) {
    return Keep(std::move(change), Kind::kKept, "the best config of the database is not timed");
  }
  if (locked.origin == Origin::kDefault && !locked.time) {
    return Replace(std::move(change), *best, "it was the default");
  }
  if (!change.gain) {
    return Keep(std::move(change), Kind::kKept,
                fmt::format("the database's best was measured on {}, the locked one on {}: remove "
                            "the line to take it",
                            best->time->device, locked.time ? locked.time->device : "none"));
  }
  if (*change.gain <= 1) {
    return Keep(std::move(change), Kind::kKept, "the database's best is not faster");
  }
  return Replace(std::move(change), *best, "");
}

LockChange Add(LockChange change, const LockOffer& offer, const LockPolicy& policy) {
  change.kind = LockChange::Kind::kAdded;
  if (!offer.best) {
    change.why = "nobody tuned it";
  } else {
    change.why = Doubt(*offer.best, policy);
  }
  change.after = offer.best && change.why.empty() ? *offer.best : offer.fallback;
  return change;
}

}  // namespace

std::vector<LockChange> UpdateLock(LockFile& lock, std::span<const LockOffer> offers,
                                   const LockPolicy& policy) {
  std::vector<LockChange> changes;
  for (const LockOffer& offer : offers) {
    LockChange change{.key = offer.key};
    const auto known = lock.entries.find(offer.key);
    if (known == lock.entries.end()) {
      change = Add(std::move(change), offer, policy);
    } else {
      change.before = known->second;
      change = Decide(std::move(change), offer, policy);
      if (change.kind == LockChange::Kind::kReplaced && !policy.replace) {
        change = Keep(std::move(change), LockChange::Kind::kKept, "--update replaces it");
      }
    }
    if (change.kind == LockChange::Kind::kAdded || change.kind == LockChange::Kind::kReplaced) {
      lock.entries.insert_or_assign(change.key, *change.after);
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace kiln
