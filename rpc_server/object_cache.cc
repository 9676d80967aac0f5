#include "rpc_server/object_cache.h"

namespace kiln {

void ObjectCache::Put(std::uint64_t digest, Object object) {
  std::lock_guard lock(mutex_);
  if (by_digest_.contains(digest)) return;
  bytes_ += object->size();
  by_use_.emplace_front(digest, std::move(object));
  by_digest_[digest] = by_use_.begin();
  while (bytes_ > capacity_) {
    const auto& [oldest, bytes] = by_use_.back();
    bytes_ -= bytes->size();
    by_digest_.erase(oldest);
    by_use_.pop_back();
  }
}

ObjectCache::Object ObjectCache::Find(std::uint64_t digest) {
  std::lock_guard lock(mutex_);
  const auto found = by_digest_.find(digest);
  if (found == by_digest_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second);
  return found->second->second;
}

}  // namespace kiln
