#pragma once

#include <cstdint>
#include <optional>

namespace kiln {

// The time of a network's layers before and after tuning, in ns. A layer that lacks one of the two
// is counted, but not in either time: sums over different layers would not compare.
class SummedTime {
 public:
  // A layer that the network runs `count` times.
  void Add(double count, std::optional<double> before_ns, std::optional<double> after_ns) {
    ++layers_;
    if (!before_ns || !after_ns) return;
    ++timed_;
    before_ns_ += *before_ns * count;
    after_ns_ += *after_ns * count;
  }

  double before_ns() const { return before_ns_; }
  double after_ns() const { return after_ns_; }
  std::int64_t layers() const { return layers_; }
  std::int64_t timed() const { return timed_; }  // with both times
  bool complete() const { return timed_ == layers_; }
  // How many times faster; 0: nothing has both times.
  double gain() const { return after_ns_ > 0 ? before_ns_ / after_ns_ : 0; }

 private:
  double before_ns_ = 0, after_ns_ = 0;
  std::int64_t layers_ = 0, timed_ = 0;
};

}  // namespace kiln
