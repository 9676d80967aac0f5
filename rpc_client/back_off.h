#pragma once

#include <chrono>
#include <functional>

namespace kiln {

// These are the pauses between attempts of many clients that fail at the same time: each is random
// between nothing and a limit that doubles ("full jitter": Brooker, "Exponential backoff and jitter",
// 2015), so that they do not come back together. Not thread-safe.
class BackOff {
 public:
  struct Options {
    std::chrono::nanoseconds first = std::chrono::milliseconds(100);
    std::chrono::nanoseconds longest = std::chrono::seconds(5);
  };
  // `random` is uniform in [0, 1); null: always the limit.
  BackOff() : BackOff(nullptr) {}
  explicit BackOff(std::function<double()> random);
  BackOff(std::function<double()> random, const Options& options);

  // After a failure: how long to wait.
  std::chrono::nanoseconds Next();
  // After a success.
  void Reset() { limit_ = options_.first; }

 private:
  std::function<double()> random_;
  Options options_;
  std::chrono::nanoseconds limit_;
};

}  // namespace kiln
