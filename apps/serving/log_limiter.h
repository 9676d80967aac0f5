#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace kiln {

// What a line is about, which decides whether it may be left out.
enum class LogClass {
  kNote,     // info: the life of the program and of what it serves
  kWarning,  // refusals, lost peers: whatever others do, as often as they like
  kError,    // never left out
};

// This decides which lines of a log are left out, so that whoever is refused thousands of times a
// second fills no disk. Lines are of one kind if they have the same class and the same first word:
// the one part of a line that its author wrote and no peer did, so begin a message with a word of
// your own ("device {} refused"). Each kind has a token bucket. What was left out is summed up
// when it calms down, and now and then while it does not. Pure: it is told what time it is. Not
// thread-safe.
class LogLimiter {
 public:
  // So many at once, then so many a second.
  struct Rate {
    double burst = 0;
    double per_second = 0;
  };
  struct Options {
    Rate warnings{100, 20};
    // Wide enough for a farm of 10,000 devices that all come back, and a bound all the same for one
    // that comes and goes in a loop.
    Rate notes{20'000, 200};
    std::chrono::nanoseconds calm = std::chrono::seconds(1);    // nothing left out for so long
    std::chrono::nanoseconds often = std::chrono::seconds(10);  // between two sums, else
    std::size_t most_kinds = 32;  // of a class; what goes beyond shares one bucket
  };
  explicit LogLimiter(const Options& options) : options_(options) {}

  // Whether the line is to be written; else it is counted.
  bool Admit(SteadyTime now, LogClass kind, std::string_view text);

  // "1,234 more lines like this: device a refused: ...", with the first of those left out.
  struct Sum {
    LogClass kind;
    std::string text;
  };
  std::vector<Sum> TakeSums(SteadyTime now);
  // When TakeSums() has something, if nothing else happens; nullopt: never.
  std::optional<SteadyTime> NextSum() const;

 private:
  struct Bucket {
    double tokens = 0;
    SteadyTime filled;
    std::uint64_t left_out = 0;
    SteadyTime first, last;  // of those left out
    std::string example;
  };
  using Kind = std::pair<LogClass, std::string>;
  Bucket& BucketOf(SteadyTime now, LogClass kind, std::string_view text, const Rate& rate);
  SteadyTime DueAt(const Bucket& bucket) const;

  const Options options_;
  std::map<Kind, Bucket> buckets_;
  std::map<LogClass, std::size_t> kinds_;  // how many buckets each class has
};

}  // namespace kiln
