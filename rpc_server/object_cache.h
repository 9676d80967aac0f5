#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace kiln {

// These are the kernel objects that a device has lately been sent, by content, so that what is
// measured again is not sent again. The least recently used go when they take more than
// `capacity_bytes`. Thread-safe.
class ObjectCache {
 public:
  using Object = std::shared_ptr<const std::string>;

  explicit ObjectCache(std::size_t capacity_bytes) : capacity_(capacity_bytes) {}

  void Put(std::uint64_t digest, Object object);
  Object Find(std::uint64_t digest);  // null: not here

 private:
  const std::size_t capacity_;
  std::mutex mutex_;
  std::size_t bytes_ = 0;
  std::list<std::pair<std::uint64_t, Object>> by_use_;  // the latest first
  std::unordered_map<std::uint64_t, decltype(by_use_)::iterator> by_digest_;
};

}  // namespace kiln
