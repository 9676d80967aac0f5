#include "apps/serving/log_limiter.h"

#include <algorithm>

#include "apps/serving/log_line.h"

namespace kiln {
namespace {

constexpr std::size_t kLongestWord = 32;
constexpr std::size_t kLongestExample = 200;

}  // namespace

LogLimiter::Bucket& LogLimiter::BucketOf(SteadyTime now, LogClass kind, std::string_view text,
                                         const Rate& rate) {
  const std::string_view start = text.substr(0, kLongestWord);
  Kind key{kind, std::string(start.substr(0, start.find(' ')))};
  if (const auto known = buckets_.find(key); known != buckets_.end()) return known->second;
  if (kinds_[kind] >= options_.most_kinds) {
    key.second.clear();
  } else {
    ++kinds_[kind];
  }
  return buckets_.try_emplace(std::move(key), Bucket{.tokens = rate.burst, .filled = now})
      .first->second;
}

bool LogLimiter::Admit(SteadyTime now, LogClass kind, std::string_view text) {
  if (kind == LogClass::kError) return true;
  const Rate& rate = kind == LogClass::kWarning ? options_.warnings : options_.notes;
  Bucket& bucket = BucketOf(now, kind, text, rate);
  const std::chrono::duration<double> since = std::max(now - bucket.filled, Nanoseconds(0));
  bucket.tokens = std::min(rate.burst, bucket.tokens + since.count() * rate.per_second);
  bucket.filled = now;
  if (bucket.tokens >= 1) {
    --bucket.tokens;
    return true;
  }
  if (bucket.left_out++ == 0) {
    bucket.first = now;
    bucket.example = OneLine(text, kLongestExample);
  }
  bucket.last = now;
  return false;
}

SteadyTime LogLimiter::DueAt(const Bucket& bucket) const {
  return std::min(bucket.last + options_.calm, bucket.first + options_.often);
}

std::vector<LogLimiter::Sum> LogLimiter::TakeSums(SteadyTime now) {
  std::vector<Sum> sums;
  for (auto& [kind, bucket] : buckets_) {
    if (bucket.left_out == 0 || DueAt(bucket) > now) continue;
    const std::string lines = bucket.left_out == 1 ? " more line" : " more lines";
    sums.push_back({kind.first, Grouped(std::exchange(bucket.left_out, 0)) + lines +
                                    " like this: " + std::exchange(bucket.example, {})});
  }
  return sums;
}

std::optional<SteadyTime> LogLimiter::NextSum() const {
  std::optional<SteadyTime> next;
  for (const auto& [kind, bucket] : buckets_) {
    if (bucket.left_out > 0) next = std::min(next.value_or(SteadyTime::max()), DueAt(bucket));
  }
  return next;
}

}  // namespace kiln
