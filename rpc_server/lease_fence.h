#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace kiln {

struct FencedLease {
  std::string id;
  std::string client;
  std::uint64_t epoch = 0;
  std::string owner = {};  // GrantEpoch.owner of proto/tracker.proto
};

// This is the device's side of the fencing token: which lease it serves. Whatever trackers and
// clients believe, only the lease with the highest epoch ever granted passes, and only until it is
// revoked. Thread-safe.
class LeaseFence {
 public:
  // Serves `lease` from now on, and no older one. False if its epoch is not a new one.
  bool Grant(const FencedLease& lease);
  // Serves nobody, if this is the epoch being served.
  void Revoke(std::uint64_t epoch);

  // Whether a call of this lease may be served. kFailedPrecondition: its epoch is past, revoked, or
  // another's. kUnavailable: its epoch has not been heard of yet; try again.
  Status Check(std::string_view id, std::uint64_t epoch) const;

  // Calls `ended` whenever a lease is not served any more, on the thread that has ended it; null:
  // nobody. Not while another thread grants or revokes.
  void OnEnd(std::function<void()> ended);

  std::uint64_t highest_epoch() const;
  std::optional<FencedLease> held() const;

 private:
  mutable std::mutex mutex_;
  std::uint64_t highest_ = 0;
  std::optional<FencedLease> held_;
  std::function<void()> ended_;
};

}  // namespace kiln
