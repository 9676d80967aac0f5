#include "rpc_tracker/open_lists.h"

#include <grpc/grpc.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace kiln {
namespace {

// Of all; and from when on one connection gets no further ones.
constexpr std::size_t kMaxBytes = 16 << 20;
constexpr std::size_t kMaxBytesOfOne = kMaxBytes / 4;
constexpr std::size_t kBytesOfCall = 4096;  // which gRPC needs for each

}  // namespace

std::optional<OpenLists::Place> OpenLists::Add(grpc_call* call, const std::string& connection,
                                               const std::function<std::size_t()>& make) {
  std::vector<grpc_call*> victims;
  Place place;
  {
    std::lock_guard one_at_a_time(making_);
    if (!MayAdd(connection)) return std::nullopt;
    const std::size_t bytes = make() + kBytesOfCall;
    grpc_call_ref(call);  // so that it can be broken off whatever becomes of its context
    std::lock_guard lock(mutex_);
    place = entries_.insert(entries_.end(), {call, connection, bytes});
    bytes_[connection] += bytes;
    all_bytes_ += bytes;
    kept_bytes_ += bytes;
    while (kept_bytes_ > kMaxBytes) victims.push_back(BreakOff(OldestOfLargest()));
  }
  // Without a lock, since gRPC may call back from within.
  for (grpc_call* victim : victims) {
    grpc_call_cancel(victim, nullptr);
    grpc_call_unref(victim);
  }
  return place;
}

void OpenLists::Remove(Place place) {
  grpc_call* const call = place->call;
  {
    std::lock_guard lock(mutex_);
    if (!place->broken_off) kept_bytes_ -= place->bytes;
    all_bytes_ -= place->bytes;
    const auto found = bytes_.find(place->connection);
    found->second -= place->bytes;
    if (found->second == 0) bytes_.erase(found);
    entries_.erase(place);
  }
  grpc_call_unref(call);
}

bool OpenLists::MayAdd(const std::string& connection) const {
  std::lock_guard lock(mutex_);
  const auto found = bytes_.find(connection);
  return all_bytes_ <= 2 * kMaxBytes && (found == bytes_.end() || found->second <= kMaxBytesOfOne);
}

grpc_call* OpenLists::BreakOff(Entry& entry) {
  entry.broken_off = true;
  kept_bytes_ -= entry.bytes;
  grpc_call_ref(entry.call);
  return entry.call;
}

// There is one, since something is kept.
OpenLists::Entry& OpenLists::OldestOfLargest() {
  std::map<std::string_view, std::size_t> kept;
  for (const Entry& entry : entries_) {
    if (!entry.broken_off) kept[entry.connection] += entry.bytes;
  }
  const auto largest = std::max_element(
      kept.begin(), kept.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return *std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return !entry.broken_off && entry.connection == largest->first;
  });
}

}  // namespace kiln
