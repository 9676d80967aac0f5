#include "proto/call_meter.h"

#include <algorithm>
#include <chrono>

namespace kiln {

bool CallMeter::Take(const std::string& caller, SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (buckets_.size() >= forget_at_) {
    // A full bucket is as good as a new one.
    std::erase_if(buckets_,
                  [&](const auto& entry) { return Refilled(entry.second, now) >= burst_; });
    forget_at_ = std::max<std::size_t>(1024, 2 * buckets_.size());
  }
  Bucket& bucket = buckets_.try_emplace(caller, Bucket{burst_, now}).first->second;
  bucket.tokens = Refilled(bucket, now);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

std::size_t CallMeter::callers() const {
  const std::lock_guard lock(mutex_);
  return buckets_.size();
}

double CallMeter::Refilled(const Bucket& bucket, SteadyTime now) const {
  const double seconds = std::chrono::duration<double>(now - bucket.filled).count();
  return std::min(burst_, bucket.tokens + std::max(0.0, seconds) * per_second_);
}

}  // namespace kiln
