#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/clock.h"

namespace kiln {

// This is a bucket of tokens for every caller: a call takes one, and `per_second` come back, up to
// `burst`. Callers that have not called for a while are forgotten. Thread-safe.
class CallMeter {
 public:
  CallMeter(double per_second, double burst) : per_second_(per_second), burst_(burst) {}

  // False: the caller has none left.
  bool Take(const std::string& caller, SteadyTime now);

  std::size_t callers() const;

 private:
  struct Bucket {
    double tokens = 0;
    SteadyTime filled;
  };
  double Refilled(const Bucket& bucket, SteadyTime now) const;

  const double per_second_, burst_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;
  std::size_t forget_at_ = 1024;
};

}  // namespace kiln
